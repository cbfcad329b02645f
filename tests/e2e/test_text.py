# SPDX-License-Identifier: Apache-2.0
"""omg tokenize and omg render against the reference vocabularies and templates."""

import json
import subprocess
import unittest

from harness import (
    BINARY,
    FOLDER,
    REFERENCE,
    any_model,
    environment,
    made_model,
    needs_reference,
    omg,
    omg_json,
    omg_ok,
)


class Tokenize(unittest.TestCase):
    @needs_reference
    def test_reference_vocabularies(self):
        paths = sorted((REFERENCE / "tokenizers").glob("*.json"))
        self.assertTrue(paths)
        for path in paths:
            with self.subTest(path.stem):
                cases = json.loads(path.read_text())
                lines = "".join(json.dumps(case["text"]) + "\n" for case in cases)
                out = omg_ok("tokenize", path.with_suffix(".gguf"), "--jsonl", stdin=lines)
                ids = [json.loads(line) for line in out.splitlines()]
                self.assertEqual(ids, [case["ids"] for case in cases])

    def test_each_line_is_answered_before_the_next_is_read(self):
        process = subprocess.Popen(
            [BINARY, "tokenize", any_model(), "--jsonl"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        for text in ["one", "two words", "três"]:
            process.stdin.write(json.dumps(text).encode() + b"\n")
            process.stdin.flush()
            ids = json.loads(process.stdout.readline())
            self.assertEqual(ids, omg_json("tokenize", any_model(), "--json", stdin=text))
        process.stdin.close()
        process.stdout.close()
        self.assertEqual(process.wait(), 0)

    def test_special_tokens_only_when_asked_for(self):
        model = made_model()
        text = "<|eot_id|>"
        plain = omg_json("tokenize", model, text, "--json")
        special = omg_json("tokenize", model, text, "--json", "--special")
        self.assertGreater(len(plain), len(special))
        table = omg_ok("tokenize", model, text, "--special")
        self.assertIn(text, table)
        self.assertEqual(len(table.splitlines()), len(special) + 1)

    def test_lines_that_are_no_json_strings(self):
        for line in ["x", "3", '["a"]', '"a" "b"', '"open']:
            with self.subTest(line):
                done = omg("tokenize", any_model(), "--jsonl", stdin=f'"fine"\n{line}\n')
                self.assertEqual(done.returncode, 2)
                self.assertIn(b"line 2", done.stderr)
                self.assertEqual(len(done.stdout.splitlines()), 1)

    def test_bytes_that_are_no_text(self):
        done = omg("tokenize", any_model(), "--json", stdin=b"\xff\x00\xc3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout))


class Render(unittest.TestCase):
    def render(self, template, context):
        path = FOLDER / "render.jinja"
        path.write_text(template)
        return omg("render", "--template", path, "--input", "-", stdin=json.dumps(context))

    @needs_reference
    def test_reference_templates(self):
        paths = sorted((REFERENCE / "chat_templates").glob("*.json"))
        self.assertTrue(paths)
        right = []
        wrong = []
        for path in paths:
            sheet = json.loads(path.read_text())
            cases = [c for c in sheet["cases"] if "output" in c]
            same = [self.check(path.with_suffix(".jinja"), sheet["now"], c) for c in cases]
            (right if all(same) else wrong).append(path.stem)
        print(f"{len(right)} of {len(paths)} reference templates render right; not: {wrong}")
        self.assertGreaterEqual(len(right), 12)

    def check(self, template, now, case):
        context = json.dumps({**case["context"], "now": now})
        done = omg("render", "--template", template, "--input", "-", stdin=context)
        return done.returncode == 0 and done.stdout.decode() == case["output"]

    def test_nothing_is_added(self):
        done = self.render("{{ a }}{% for x in b %}[{{ x }}]{% endfor %}", {"a": "ü", "b": [1, 2]})
        self.assertEqual(done.stdout.decode(), "ü[1][2]")

    def test_now_fixes_the_clock_and_is_no_variable(self):
        template = "{{ strftime_now('%d %b %Y %H:%M') }} {{ now is defined }}"
        done = self.render(template, {"now": "2026-01-31T12:34:56"})
        self.assertEqual(done.stdout, b"31 Jan 2026 12:34 False")
        for now in ["yesterday", "2026-02-30T00:00:00", "2026-01-31T12:00", 5]:
            with self.subTest(now):
                self.assertEqual(self.render(template, {"now": now}).returncode, 2)

    def test_errors_say_where(self):
        done = self.render("a\n{% if %}", {})
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"line 2", done.stderr)
        self.assertEqual(done.stdout, b"")
        done = self.render("{{ raise_exception('roles must alternate') }}", {})
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"roles must alternate", done.stderr)
        self.assertEqual(self.render("x", []).returncode, 2)


if __name__ == "__main__":
    unittest.main()
