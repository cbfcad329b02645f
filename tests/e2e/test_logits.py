# SPDX-License-Identifier: Apache-2.0
"""omg logits against the reference models, and against itself in other settings."""

import json
import unittest

from harness import (
    REFERENCE,
    STORIES,
    any_model,
    made_model,
    needs_reference,
    omg_json,
)

# The reference rounds its GELU through f16 in these.
ROUNDED_GELU = {"gemma2", "gemma3", "phi2"}


def logits(model, tokens, last, *flags):
    ids = ",".join(map(str, tokens))
    return omg_json("logits", model, "--tokens", ids, "--last", last, *flags)


def normalised_error(rows, expected):
    error = sum((a - b) ** 2 for r, e in zip(rows, expected) for a, b in zip(r, e))
    return error / sum(b * b for e in expected for b in e)


class References(unittest.TestCase):
    @needs_reference
    def test_every_architecture(self):
        paths = sorted((REFERENCE / "architectures").glob("*.json"))
        self.assertTrue(paths)
        for path in paths:
            with self.subTest(path.stem):
                expected = json.loads(path.read_text())
                model = path.with_suffix(".gguf")
                found = logits(model, expected["tokens"], len(expected["positions"]))
                self.assertEqual(found["n_vocab"], expected["n_vocab"])
                self.assertEqual(found["tokens"], expected["tokens"])
                self.assertEqual(found["positions"], expected["positions"])
                self.assertEqual([len(r) for r in found["logits"]], [found["n_vocab"]] * 2)
                limit = 1e-6 if path.stem in ROUNDED_GELU else 1e-8
                error = normalised_error(found["logits"], expected["logits"])
                self.assertLessEqual(error, limit)

    @needs_reference
    def test_the_trained_model(self):
        expected = json.loads((REFERENCE / "models" / "stories260K.logits.json").read_text())
        found = logits(STORIES, expected["tokens"], len(expected["positions"]))
        for row, wanted in zip(found["logits"], expected["logits"], strict=True):
            for a, b in zip(row, wanted, strict=True):
                self.assertLessEqual(abs(a - b), 1e-4)


class Invariance(unittest.TestCase):
    tokens = [(7 * i + 3) % 250 for i in range(40)]

    def test_chunks_and_threads_change_no_bit(self):
        for model in [any_model(), made_model("tiny-qwen3moe")]:
            expected = logits(model, self.tokens, 5)
            self.assertEqual(expected["positions"], [35, 36, 37, 38, 39])
            settings = [("--chunk", 1), ("--chunk", 7), ("--threads", 1), ("--threads", 2)]
            for flags in settings:
                with self.subTest(model=model.name, flags=flags):
                    self.assertEqual(logits(model, self.tokens, 5, *flags), expected)

    def test_tokens_from_standard_input(self):
        model = any_model()
        text = ",".join(map(str, self.tokens)) + "\n"
        by_input = omg_json("logits", model, "--tokens", "-", "--last", 2, stdin=text)
        self.assertEqual(by_input, logits(model, self.tokens, 2))

    def test_other_number_types_are_near(self):
        model = made_model()
        exact = logits(model, self.tokens, 3)["logits"]
        for flags in [("--kv-type", "f16"), ("--kv-type", "q8_0"), ("--activations", "int8")]:
            with self.subTest(flags):
                error = normalised_error(logits(model, self.tokens, 3, *flags)["logits"], exact)
                self.assertLess(error, 2e-2)


if __name__ == "__main__":
    unittest.main()
