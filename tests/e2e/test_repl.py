# SPDX-License-Identifier: Apache-2.0
"""The conversation at a terminal: omg run MODEL on a pseudo-terminal."""

import json
import stat
import unittest

from harness import FOLDER, Screen, any_model, environment, made_model, omg_json

PROMPT = r">>> "


class Repl(unittest.TestCase):
    def start(self, *flags, **options):
        screen = Screen("run", made_model(), "--temperature", "0", *flags, **options)
        self.addCleanup(screen.close)
        screen.expect(PROMPT)
        return screen

    def saved(self, screen):
        """The conversation as /save writes it."""
        path = FOLDER / "saved.json"
        screen.line(f"/save {path}")
        screen.expect("Saved to")
        screen.expect(PROMPT)
        return json.loads(path.read_text())

    def test_two_turns_then_bye(self):
        screen = self.start("--max-tokens", "8")
        for text in ["first question", "second question"]:
            screen.line(text)
            screen.expect(PROMPT)
        saved = self.saved(screen)
        roles = [m["role"] for m in saved["messages"]]
        self.assertEqual(roles, ["user", "assistant", "user", "assistant"])
        self.assertEqual(saved["messages"][2]["content"], "second question")
        screen.line("/bye")
        self.assertEqual(screen.wait(), 0)

    def test_control_c_stops_the_answer_not_the_program(self):
        screen = self.start("--repeat-penalty", "1.1")
        screen.line("tell me a long story")
        screen.expect(r"[^\s].{40}")  # it has begun to answer
        screen.interrupt()
        screen.expect(PROMPT)
        saved = self.saved(screen)
        self.assertEqual(len(saved["messages"]), 2)
        screen.line("/exit")
        self.assertEqual(screen.wait(), 0)

    def test_control_c_at_the_prompt_tells_how_to_leave(self):
        screen = self.start()
        screen.interrupt()
        screen.expect("/bye")
        screen.expect(PROMPT)
        screen.send("half a line")
        screen.interrupt()
        screen.expect(PROMPT)
        screen.send("\x04")
        self.assertEqual(screen.wait(), 0)
        self.assertNotIn("half a line", json.dumps(screen.text.split(PROMPT)[-1]))

    def test_messages_of_many_lines(self):
        screen = self.start("--max-tokens", "2")
        screen.line('"""first')
        screen.expect(r"\.\.\. ")
        screen.line("")
        screen.expect(r"\.\.\. ")
        screen.line('third"""')
        screen.expect(PROMPT)
        self.assertEqual(self.saved(screen)["messages"][0]["content"], "first\n\nthird")
        screen.line('"""given up')
        screen.expect(r"\.\.\. ")
        screen.interrupt()
        screen.expect(PROMPT)
        self.assertEqual(len(self.saved(screen)["messages"]), 2)

    def test_pasted_lines_are_one_message(self):
        screen = self.start("--max-tokens", "2")
        screen.send("\x1b[200~one\rtwo ü\r\x1b[201~")
        screen.line(" end")
        screen.expect(PROMPT)
        self.assertEqual(self.saved(screen)["messages"][0]["content"], "one\ntwo ü end")

    def test_settings(self):
        screen = self.start("--max-tokens", "3")
        screen.line("/set parameter top_k 7")
        screen.expect("top_k is 7")
        screen.line("/set parameter top_k many")
        screen.expect("Error: top_k cannot be 'many'")
        screen.line("/system You are a pirate.")
        screen.expect("The system message is set")
        screen.line("/show system")
        screen.expect("You are a pirate")
        screen.line("/show parameters")
        screen.expect(r"top_k +7")
        screen.line("/show info")
        screen.expect("llama")
        screen.line("/show template")
        screen.expect("start_header_id")
        screen.line("/set verbose")
        screen.expect(PROMPT)
        screen.line("hello")
        screen.expect("eval rate:")
        saved = self.saved(screen)
        self.assertEqual(saved["system"], "You are a pirate.")
        self.assertEqual(saved["parameters"], {"max_tokens": 3, "temperature": 0, "top_k": 7})
        screen.line("/reset")
        screen.expect("at the start")
        saved = self.saved(screen)
        self.assertEqual(saved["system"], "")
        self.assertEqual(saved["messages"], [])
        self.assertNotIn("top_k", saved["parameters"])

    def test_clear_load_and_history(self):
        screen = self.start("--max-tokens", "2")
        screen.line("remember this")
        screen.expect(PROMPT)
        before = self.saved(screen)
        screen.line("/clear")
        screen.expect("forgotten")
        screen.line("/history")
        screen.expect("Nothing was said")
        screen.line(f"/load {FOLDER / 'saved.json'}")
        screen.expect("Loaded 2 messages")
        screen.line("/history")
        screen.expect(r"user\S*\s+remember this")
        screen.expect(PROMPT)
        self.assertEqual(self.saved(screen), before)
        screen.line("/load /no/such/file.json")
        screen.expect("Error: .*No such file")
        screen.expect(PROMPT)
        screen.line("/nonsense")
        screen.expect("unknown command")
        screen.line("/model /no/such/model.gguf")
        screen.expect("not found")
        screen.line("/?")
        screen.expect("/save FILE")

    def test_another_model(self):
        screen = self.start("--max-tokens", "2")
        screen.line("one")
        screen.expect(PROMPT)
        screen.line(f"/model {made_model('tiny-qwen3')}")
        screen.expect("tiny-qwen3")
        screen.expect(PROMPT)
        screen.line("two")
        screen.expect(PROMPT)
        self.assertEqual(len(self.saved(screen)["messages"]), 4)

    def test_oldest_turns_go_only_when_a_context_was_asked_for(self):
        screen = self.start("--ctx", "128", "--max-tokens", "4")
        for _ in range(4):
            screen.line("word " * 12)
            screen.expect(PROMPT)
        screen.line("word " * 12)
        screen.expect("left out")
        screen.expect(PROMPT)
        self.assertLess(len(self.saved(screen)["messages"]), 10)

    def test_what_was_typed_is_there_next_time(self):
        state = FOLDER / "history-test"
        env = environment(TERM="xterm", XDG_STATE_HOME=str(state))
        screen = self.start("--max-tokens", "1", env=env)
        screen.line("an unusual question")
        screen.expect(PROMPT)
        screen.line("/bye")
        self.assertEqual(screen.wait(), 0)
        path = state / "ohmygpu" / "history"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        screen = self.start("--max-tokens", "1", env=env)
        screen.send("\x1b[A\x1b[A")  # up, up
        screen.expect("an unusual question")

    def test_tab_completes_commands(self):
        screen = self.start()
        screen.send("/cl\t")
        screen.expect("ear ")  # what completion adds; the terminal's line editor moves in between
        screen.line("")
        screen.expect("forgotten")

    def test_long_words_move_to_the_next_line(self):
        screen = self.start("--max-tokens", "60", columns=40)
        screen.line("go")
        screen.expect(PROMPT)
        content = self.saved(screen)["messages"][1]["content"]
        self.assertTrue(content.strip())


class NoRepl(unittest.TestCase):
    def test_a_model_without_a_template_says_what_to_do(self):
        if omg_json("show", any_model(), "--json")["template"] is not None:
            self.skipTest("no model without a chat template at hand")
        screen = Screen("run", any_model())
        self.addCleanup(screen.close)
        screen.expect("--raw")
        self.assertEqual(screen.wait(), 1)


if __name__ == "__main__":
    unittest.main()
