# SPDX-License-Identifier: Apache-2.0
"""omg perplexity; and that speed is not bought with quality: int8 activations beside exact ones."""

import math
import pathlib
import unittest

from harness import (
    FOLDER,
    STORIES,
    any_model,
    environment,
    made_model,
    omg,
    omg_json,
    omg_ok,
)

# What the trained model of the reference data wrote, 28 stories (temperature 0.9, seeds 1 to 28).
# 13600 tokens of it: on 1000, chance alone makes 0.2 %.
TEXT = pathlib.Path(__file__).parent / "data" / "stories.txt"
STORY = TEXT.read_text()[:2000]


def perplexity(model, text, *flags, env=None):
    return omg_json("perplexity", model, text, "--json", *flags, env=env)


def vector_sets():
    """The portable code is left out: it takes minutes, and other tests hold the rest to it."""
    sets = omg_json("info", "--json")["cpu"]["instruction_sets"]
    return [s["name"] for s in sets if s["supported"] and s["name"] != "scalar"]


class Definition(unittest.TestCase):
    def test_counts_as_it_says(self):
        """Beside the same sum over the raw logits."""
        model = any_model()
        exact = ["--activations", "f32", "--kv-type", "f32"]
        tokens = omg_json("tokenize", model, "--json", "--special", stdin=STORY)
        starts_with_bos = tokens[0] != omg_json("tokenize", model, "--json", stdin=STORY)[0]
        context, chunks = 24, 3
        likelihoods = []
        for chunk in range(chunks):
            part = tokens[chunk * context : (chunk + 1) * context]
            if starts_with_bos:
                part[0] = tokens[0]
            ids = ",".join(map(str, part))
            rows = omg_json("logits", model, "--tokens", ids, "--last", context // 2)["logits"]
            for position, row in enumerate(rows[:-1], start=context // 2):
                most = max(row)
                total = math.log(sum(math.exp(x - most) for x in row)) + most
                likelihoods.append(total - row[part[position + 1]])
        mean = sum(likelihoods) / len(likelihoods)
        variance = sum(x * x for x in likelihoods) / len(likelihoods) - mean * mean
        error = math.exp(mean) * math.sqrt(variance / (len(likelihoods) - 1))
        found = perplexity(model, TEXT, "--ctx", context, "--chunks", chunks, *exact)
        self.assertAlmostEqual(found["perplexity"] / math.exp(mean), 1, delta=1e-6)
        self.assertAlmostEqual(found["error"] / error, 1, delta=1e-5)
        self.assertEqual((found["chunks"], found["scored_tokens"]), (3, 33))

    def test_text_and_input(self):
        flags = ["--ctx", 16, "--chunks", 2]
        done = omg("perplexity", any_model(), "-", *flags, stdin=STORY)
        self.assertRegex(done.stdout.decode(), r"^perplexity \d+\.\d{4} ± \d+\.\d{4}\n$")
        self.assertRegex(done.stderr, rb"^2 chunks of 16 tokens, 14 tokens scored, int8 ")
        found = perplexity(any_model(), TEXT, *flags)
        self.assertIn(f"{found['perplexity']:.4f} ".encode(), done.stdout)

    def test_what_cannot_be(self):
        short = FOLDER / "short.txt"
        short.write_text("One day")
        done = omg("perplexity", any_model(), short, "--ctx", 100)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"fewer than one chunk of 100", done.stderr)
        self.assertEqual(omg("perplexity", any_model(), "/no/such/text").returncode, 3)
        self.assertEqual(omg("perplexity", "/no/such/model", short).returncode, 3)
        self.assertEqual(omg("perplexity", any_model(), short, "--ctx", 3).returncode, 2)


class Quality(unittest.TestCase):
    """Perplexity with int8 activations is within 0.2 % of that with exact ones."""

    def check(self, model, text, context):
        exact = perplexity(model, text, "--ctx", context, "--activations", "f32")
        self.assertGreater(exact["scored_tokens"], 2500)
        for name in vector_sets():
            with self.subTest(model=model.name, isa=name):
                env = environment(OMG_CPU_ISA=name)
                fast = perplexity(model, text, "--ctx", context, env=env)
                self.assertEqual((fast["isa"], fast["activations"]), (name, "int8"))
                self.assertNotEqual(fast["perplexity"], exact["perplexity"])  # it is another path
                ratio = fast["perplexity"] / exact["perplexity"]
                self.assertLess(abs(ratio - 1), 0.002, f"{ratio:.5f}")

    @unittest.skipUnless(STORIES.is_file(), f"no reference model at {STORIES}")
    def test_the_trained_model_on_a_story(self):
        for kind in ["Q8_0", "Q4_0"]:
            model = FOLDER / f"stories-{kind}.gguf"
            omg_ok("quantize", STORIES, model, kind)
            self.check(model, TEXT, 256)

    def test_random_models_on_their_own_samples(self):
        for kind in ["Q4_K_M", "Q8_0"]:
            model = made_model(kind=kind)
            text = FOLDER / f"samples-{kind}.txt"
            parts = []
            for seed in range(30):
                flags = ["--raw", "--temperature", 1, "--max-tokens", 240, "--seed", seed]
                parts.append(omg_ok("generate", model, "The", *flags))
            text.write_text("".join(parts))
            self.check(model, text, 96)


if __name__ == "__main__":
    unittest.main()
