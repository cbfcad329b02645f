#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The recorded session is one that the program as it is now would give:

    /usr/bin/python3 tools/record/record_test.py build/release/bin/ohmygpu

Types the session at the program again. What depends on the machine and the time may differ from
docs/first-minute.svg; what was typed and what the built-in model answered may not.
"""

import pathlib
import re
import socket
import sys
import unittest
import xml.etree.ElementTree

sys.dont_write_bytecode = True
BINARY = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build/release/bin/ohmygpu")

import record  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def rows_of(svg):
    """The texts of a drawing, row by row, without the spaces between them."""
    root = xml.etree.ElementTree.fromstring(svg)
    return ["".join("".join(text.itertext()) for text in row.iter(f"{SVG}text"))
            for row in root.iter(f"{SVG}g")]


def chat_of(rows):
    """Question -> its answer, of the chat."""
    answers, question = {}, None
    for row in rows:
        if row.startswith(">>>"):
            question = row.removeprefix(">>>")
            answers[question] = ""
        elif row.startswith("$"):
            question = None
        elif question:
            answers[question] += row
    return answers


class Recording(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import svg
            import terminal  # noqa: F401, needs pyte
        except ImportError as missing:
            raise unittest.SkipTest(f"{missing}: apt-get install python3-pyte") from None
        typed = record.record(BINARY.resolve(), free_port())
        cls.drawn = svg.draw(typed.screen, typed.seen_s, record.TITLE)
        cls.rows = rows_of(cls.drawn)
        cls.kept = rows_of((record.ROOT / "docs/first-minute.svg").read_text(encoding="utf-8"))

    def test_all_that_is_typed_is_drawn(self):
        for rows in (self.rows, self.kept):
            text = "".join(rows).replace(" ", "")
            for prompt, typed in record.session("PORT"):  # which differs
                for part in (prompt + typed).replace(" ", "").split("PORT"):
                    self.assertIn(part, text)

    def test_nothing_failed(self):
        for rows in (self.rows, self.kept):
            text = "\n".join(rows)
            self.assertNotRegex(text, r"(?i)\berror|command not found|no such")
            self.assertIn("`omg pull MODEL`", text)
            self.assertIn("the daemon has ended", text)

    def test_the_model_answers_as_recorded(self):
        now, then = chat_of(self.rows), chat_of(self.kept)
        self.assertGreater(len(then), 4)
        self.assertEqual(list(now), list(then))
        for question, answer in then.items():
            if "story" in question:  # its choices are so close that each processor may tell another
                self.assertIn("dragon named", answer)
                self.assertIn("dragon named", now[question])
            else:
                self.assertEqual(now[question], answer, "run tools/record/record.py again")

    def test_rows_come_one_after_the_other(self):
        delays = [float(s) for s in re.findall(r"animation-delay:([0-9.]+)s", self.drawn)]
        self.assertEqual(len(delays), len(self.rows))
        self.assertEqual(delays, sorted(delays))
        self.assertLess(delays[-1], 60)


if __name__ == "__main__":
    unittest.main()
