# SPDX-License-Identifier: Apache-2.0
"""What a chat template can do: omg show --capabilities, and its use when a model answers."""

import json
import subprocess
import unittest

from harness import FOLDER, MAKE_MODEL, REFERENCE, Screen, made_model, needs_reference, omg
from harness import omg_json, omg_ok

THINKING = """{% if tools %}{{ tools | tojson }}{% endif -%}
{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif -%}
<{{ m.role }}>{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif -%}
{{ m.content or '' }}{% for c in m.tool_calls or [] -%}
<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}</>{% endfor -%}
{% if add_generation_prompt %}<assistant>{% if enable_thinking is defined and enable_thinking -%}
<think>{% endif %}{% endif %}"""


def model_with_template(text, preset="tiny-llama"):
    """A small model with another template; None for no template at all."""
    name = f"{preset}-{abs(hash(text))}"
    template = FOLDER / f"{name}.jinja"
    template.write_text(text or "")
    path = FOLDER / f"{name}.gguf"
    subprocess.run(
        [str(MAKE_MODEL), "--preset", preset, "--template", "none" if text is None else template]
        + [path],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return path


class Show(unittest.TestCase):
    def test_of_a_template_with_tools_and_thinking(self):
        model = model_with_template(THINKING)
        found = omg_json("show", model, "--capabilities", "--json")
        self.assertEqual(found["system"], "refused")
        self.assertTrue(found["tools"])
        self.assertTrue(found["parallel_tool_calls"])
        self.assertEqual(found["thinking"]["on"], {"enable_thinking": True})
        self.assertFalse(found["thinking"]["on_by_default"])
        self.assertEqual(found["reasoning"], {"begin": "<think>", "end": "</think>"})
        self.assertEqual(found["calls"]["syntax"], "json")
        self.assertEqual(found["generation_prompt"], "<assistant>")
        text = omg_ok("show", model, "--capabilities")
        for words in ["put before the user's first", "off unless asked for", "<tool_call>"]:
            self.assertIn(words, text)

    def test_of_a_plain_template(self):
        found = omg_json("show", made_model(), "--capabilities", "--json")
        self.assertEqual(found["system"], "yes")
        self.assertIsNone(found["calls"])
        self.assertIsNone(found["reasoning"])
        self.assertIsNone(found["default_template"])

    def test_the_familys_template_where_the_file_has_none(self):
        model = model_with_template(None)
        self.assertIsNone(omg_json("show", model, "--json")["template"])
        done = omg("show", model, "--template")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"start_header_id", done.stdout)
        self.assertIn(b"usual for its family", done.stderr)
        found = omg_json("show", model, "--capabilities", "--json")
        self.assertEqual(found["default_template"], "llama3")
        done = omg("run", model, "hi", "--max-tokens", "2", "--temperature", "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"usual for its family", done.stderr)

    def test_no_template_is_guessed(self):
        model = model_with_template(None, "tiny-phi2")
        for command in [["show", model, "--capabilities"], ["show", model, "--template"]]:
            done = omg(*command)
            self.assertEqual(done.returncode, 3)
            self.assertIn(b"no chat template", done.stderr)
        done = omg("run", model, "hi")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"--raw", done.stderr)

    def test_a_template_that_fails(self):
        model = model_with_template("{{ raise_exception('this never works') }}")
        self.assertIn("this never works", omg_ok("show", model, "--capabilities"))
        done = omg("run", model, "hi")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"this never works", done.stderr)

    @needs_reference
    def test_of_published_templates(self):
        folder = REFERENCE / "chat_templates"
        for name, syntax in [
            ("Qwen-Qwen3-0.6B", "json"),
            ("GLM-4.6", "pairs"),
            ("moonshotai-Kimi-K2", "named_json"),
        ]:
            model = model_with_template((folder / f"{name}.jinja").read_text())
            found = omg_json("show", model, "--capabilities", "--json")
            self.assertEqual(found["calls"]["syntax"], syntax, name)


class Run(unittest.TestCase):
    def test_a_system_message_that_the_template_refuses(self):
        model = model_with_template(THINKING)
        done = omg("run", model, "hi", "--system", "Be kind.", "--max-tokens", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"no system message", done.stderr)

    def test_thoughts_are_no_part_of_the_answer(self):
        model = model_with_template(THINKING)
        flags = ["--temperature", "0", "--max-tokens", "6"]
        plain = omg_ok("run", model, "hi", *flags)
        self.assertGreater(len(plain.strip()), 0)
        self.assertEqual(omg_ok("run", model, "hi", "--think", *flags).strip(), "")
        done = omg("run", model, "hi", "--think=high", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = omg("run", made_model(), "hi", "--think", *flags)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"no switch", done.stderr)

    def test_thoughts_on_a_terminal(self):
        model = model_with_template(THINKING)
        screen = Screen("run", model, "--temperature", "0", "--max-tokens", "6", "--think")
        self.addCleanup(screen.close)
        screen.expect(">>> ")
        screen.line("hi")
        screen.expect("Thinking…")
        screen.expect("done thinking")
        screen.expect(">>> ")
        path = FOLDER / "thoughts.json"
        screen.line(f"/save {path}")
        screen.expect("Saved to")
        answer = json.loads(path.read_text())["messages"][1]
        self.assertEqual(answer["content"], "")
        self.assertGreater(len(answer["reasoning_content"]), 0)
        screen.line("/bye")
        screen = Screen("run", model, "--max-tokens", "6", "--think", "--hide-thinking")
        self.addCleanup(screen.close)
        screen.expect(">>> ")
        screen.line("hi")
        screen.expect(">>> ")
        self.assertNotIn("Thinking", screen.text)


if __name__ == "__main__":
    unittest.main()
