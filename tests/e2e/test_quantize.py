# SPDX-License-Identifier: Apache-2.0
"""omg quantize: files that run, say what they are, and appear complete or not at all."""

import unittest

from harness import FOLDER, Screen, made_model, omg, omg_json, omg_ok


def source():
    return made_model(kind="F32")


def logits(model):
    ids = ",".join(str(5 * i + 1) for i in range(16))
    return omg_json("logits", model, "--tokens", ids)["logits"][0]


class Quantize(unittest.TestCase):
    def quantize(self, kind, *flags):
        out = FOLDER / f"quantised-{kind}.gguf"
        self.addCleanup(lambda: out.unlink(missing_ok=True))
        self.summary = omg_ok("quantize", source(), out, kind, *flags)
        return out

    def test_the_result_runs_and_is_near(self):
        exact = logits(source())
        size = source().stat().st_size
        for kind, limit in [("Q8_0", 1e-2), ("Q4_K_M", 0.3), ("q4_0", 0.5)]:
            with self.subTest(kind):
                out = self.quantize(kind)
                self.assertLess(out.stat().st_size, size)
                found = logits(out)
                error = sum((a - b) ** 2 for a, b in zip(found, exact)) / sum(b * b for b in exact)
                self.assertLess(error, limit)
                self.assertIn("bits per weight", self.summary)
                omg_ok("generate", out, "Hello", "--raw", "--max-tokens", "3")

    def test_threads_change_no_byte(self):
        one = self.quantize("Q4_K", "-t", 1).read_bytes()
        two = self.quantize("Q4_K", "-t", 2).read_bytes()
        self.assertEqual(one, two)

    def test_wrong_use(self):
        out = FOLDER / "never.gguf"
        done = omg("quantize", source(), out, "Q99")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"Q99", done.stderr)
        self.assertEqual(omg("quantize", "/no/such.gguf", out, "Q8_0").returncode, 3)
        before = source().read_bytes()
        self.assertEqual(omg("quantize", source(), source(), "Q8_0").returncode, 2)
        self.assertEqual(source().read_bytes(), before)
        self.assertFalse(list(FOLDER.glob("never*")))

    def test_progress_is_lines_in_a_pipe_and_a_bar_on_a_terminal(self):
        out = FOLDER / "progress.gguf"
        self.addCleanup(lambda: out.unlink(missing_ok=True))
        done = omg("quantize", source(), out, "Q8_0")
        count = len(omg_json("show", out, "--json", "--tensors")["tensors"])
        self.assertRegex(done.stderr.decode(), rf"(?m)^\[{count}/{count}\] ")
        screen = Screen("quantize", source(), out, "Q8_0")
        self.addCleanup(screen.close)
        screen.expect("█")
        screen.expect("100 %")
        screen.expect("bits per weight")
        self.assertEqual(screen.wait(), 0)


if __name__ == "__main__":
    unittest.main()
