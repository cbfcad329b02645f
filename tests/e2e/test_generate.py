# SPDX-License-Identifier: Apache-2.0
"""omg generate and omg run with a prompt: exact text on every instruction set, and their flags."""

import json
import re
import unittest

from harness import (
    FOLDER,
    REFERENCE,
    STORIES,
    any_model,
    environment,
    made_model,
    needs_reference,
    omg,
    omg_json,
    omg_ok,
)

GREEDY = REFERENCE / "models" / "stories260K.greedy.json"


def supported_sets():
    sets = omg_json("info", "--json")["cpu"]["instruction_sets"]
    return [s["name"] for s in sets if s["supported"]]


def greedy(model, prompt, count, *flags, **options):
    fixed = ["--raw", "--temperature", "0", "--max-tokens", count]
    return omg_ok("generate", model, prompt, *fixed, *flags, **options)


@needs_reference
class Stories(unittest.TestCase):
    """The one trained model: its text must be the reference's, token for token."""

    def test_greedy_text_on_every_instruction_set(self):
        cases = json.loads(GREEDY.read_text())
        self.assertTrue(cases)
        for name in supported_sets():
            for case in cases:
                with self.subTest(isa=name, prompt=case["prompt"]):
                    env = environment(OMG_CPU_ISA=name)
                    text = greedy(STORIES, case["prompt"], len(case["ids"]), env=env)
                    self.assertEqual(text, case["text"])

    def test_threads_and_cache_type_change_nothing(self):
        case = json.loads(GREEDY.read_text())[0]
        for flags in [("--threads", 1), ("--threads", 2), ("--kv-type", "f32"), ("--no-stream",)]:
            with self.subTest(flags):
                text = greedy(STORIES, case["prompt"], len(case["ids"]), *flags)
                self.assertEqual(text, case["text"])

    def test_a_cache_of_eight_bits_writes_the_same_story(self):
        case = json.loads(GREEDY.read_text())[0]
        for name in supported_sets():
            with self.subTest(isa=name):
                env = environment(OMG_CPU_ISA=name)
                flags = ("--kv-type", "q8_0")
                text = greedy(STORIES, case["prompt"], len(case["ids"]), *flags, env=env)
                self.assertEqual(text, case["text"])

    def test_a_cache_of_four_bits_writes_text(self):
        text = greedy(STORIES, "Once upon a time", 40, "--kv-type", "q4_0")
        self.assertIn("there was a", text)

    def test_stop_strings(self):
        text = greedy(STORIES, "Once upon a time", 60, "--stop", "named Lily")
        self.assertEqual(text, ", there was a little girl ")
        text = greedy(STORIES, "Once upon a time", 60, "--stop", "xyzzy", "--stop", " little")
        self.assertEqual(text, ", there was a")

    def test_the_prompt_comes_from_anywhere(self):
        path = FOLDER / "prompt.txt"
        path.write_text("Once upon a time")
        flags = ["--raw", "--temperature", "0", "--max-tokens", "5"]
        expected = greedy(STORIES, "Once upon a time", 5)
        self.assertEqual(omg_ok("generate", STORIES, *flags, stdin="Once upon a time"), expected)
        self.assertEqual(omg_ok("generate", STORIES, "--input-file", path, *flags), expected)
        words = ["Once", "upon", "a", "time"]
        self.assertEqual(omg_ok("generate", STORIES, *words, *flags), expected)

    def test_run_refuses_what_cannot_chat(self):
        done = omg("run", STORIES, "Hello")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"no chat template", done.stderr)
        self.assertIn(b"--raw", done.stderr)
        done = omg("generate", STORIES, "Hello")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"--raw", done.stderr)


class Generate(unittest.TestCase):
    def test_all_instruction_sets_agree_on_a_made_model(self):
        model = made_model()
        texts = {
            name: greedy(model, "Hello", 24, env=environment(OMG_CPU_ISA=name))
            for name in supported_sets()
        }
        self.assertEqual(len(set(texts.values())), 1, texts)

    def test_a_seed_fixes_the_answer(self):
        flags = ["--raw", "--max-tokens", "20", "--temperature", "1.5"]
        model = any_model()
        first = omg_ok("generate", model, "One day", "--seed", "7", *flags)
        self.assertEqual(omg_ok("generate", model, "One day", "--seed", "7", *flags), first)
        others = {omg_ok("generate", model, "One day", "--seed", s, *flags) for s in range(1, 5)}
        self.assertGreater(len(others), 1)

    def test_odd_prompts_arrive_as_they_are(self):
        flags = ["--raw", "--temperature", "0", "--max-tokens", "3"]
        for prompt in ["[a,b]", "info", "-1", "--", "{}", "ü\n\t"]:
            with self.subTest(prompt):
                by_argument = omg("generate", any_model(), *flags, "--", prompt)
                by_input = omg("generate", any_model(), *flags, stdin=prompt)
                self.assertEqual(by_argument.returncode, 0, by_argument.stderr)
                self.assertEqual(by_argument.stdout, by_input.stdout)

    def test_verbose_is_laid_out_as_ollama_does(self):
        flags = ["--raw", "--verbose", "--max-tokens", "5", "--temperature", "0"]
        done = omg("generate", any_model(), "Once upon a time", *flags)
        self.assertEqual(done.returncode, 0)
        duration = r"(\d+h)?(\d+m)?\d+(\.\d+)?(s|ms|µs)"
        rate = r"\d+\.\d\d tokens/s"
        lines = [
            rf"total duration:       {duration}",
            rf"load duration:        {duration}",
            r"prompt eval count:    \d+ token\(s\)",
            rf"prompt eval duration: {duration}",
            rf"prompt eval rate:     {rate}",
            r"eval count:           \d+ token\(s\)",
            rf"eval duration:        {duration}",
            rf"eval rate:            {rate}",
        ]
        self.assertRegex(done.stderr.decode(), re.compile("^\n" + "\n".join(lines) + "\n$"))

    def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(self):
        done = omg("generate", any_model(), "word " * 400, "--raw", "--ctx", "64")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"64", done.stderr)
        self.assertRegex(done.stderr.decode(), r"[4-9]\d\d|\d{4}")


class Chat(unittest.TestCase):
    """omg run on a made model: its text means nothing, but it goes through a real template."""

    flags = ["--temperature", "0", "--max-tokens", "8"]

    def test_prompt_from_arguments_and_standard_input(self):
        model = made_model()
        both = omg_ok("run", model, "second", *self.flags, stdin="first")
        self.assertEqual(omg_ok("run", model, "first\nsecond", *self.flags), both)
        self.assertTrue(both.endswith("\n"))

    def test_the_template_is_applied(self):
        model = made_model()
        template = FOLDER / "made.jinja"
        template.write_text(omg_ok("show", model, "--template"))
        context = {
            "messages": [{"role": "user", "content": "Hello"}],
            "add_generation_prompt": True,
            "bos_token": "",
            "eos_token": "",
        }
        (FOLDER / "made.json").write_text(json.dumps(context))
        prompt = omg_ok("render", "--template", template, "--input", FOLDER / "made.json")
        direct = omg_ok("generate", model, "Hello", *self.flags)
        by_hand = omg_ok("generate", model, "--raw", *self.flags, stdin=prompt)
        self.assertEqual(direct, by_hand)

    def test_history_file_keeps_the_conversation(self):
        model = made_model()
        path = FOLDER / "history.json"
        omg_ok("run", model, "one", "--history", path, "--system", "Be brief.", *self.flags)
        omg_ok("run", model, "two", "--history", path, *self.flags)
        saved = json.loads(path.read_text())
        self.assertEqual(saved["system"], "Be brief.")
        self.assertEqual([m["role"] for m in saved["messages"]], ["user", "assistant"] * 2)
        self.assertEqual(saved["messages"][2]["content"], "two")
        path.write_text('{"messages": 3}')
        done = omg("run", model, "three", "--history", path)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(path.read_text(), '{"messages": 3}')

    def test_no_prompt_at_all(self):
        done = omg("run", made_model(), stdin="")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"no prompt", done.stderr)

    def test_thinking_needs_a_switch_in_the_template(self):
        done = omg("run", made_model(), "x", "--think")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"thinking", done.stderr)


class Logging(unittest.TestCase):
    def run_with(self, level):
        env = environment(OMG_LOG=level)
        return omg("generate", any_model(), "Once", "--raw", "--max-tokens", "3", env=env)

    def test_says_what_it_did_when_asked(self):
        lines = self.run_with("debug").stderr.decode()
        self.assertRegex(lines, r"T[\d:.]+Z info loaded .* threads, context of \d+ tokens, weights")
        self.assertRegex(lines, r"debug answered in .*: \d+ prompt tokens .* 3 generated, ended by")

    def test_says_nothing_by_default(self):
        self.assertNotIn(b"loaded", self.run_with("").stderr)

    def test_an_unknown_level_is_a_wrong_use(self):
        done = self.run_with("loud")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"OMG_LOG=loud", done.stderr)


if __name__ == "__main__":
    unittest.main()
