# SPDX-License-Identifier: Apache-2.0
"""omg info, omg show and omg bench."""

import os
import re
import unittest

from harness import (
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


class Info(unittest.TestCase):
    def test_what_the_machine_is(self):
        info = omg_json("info", "--json")
        cpu = info["cpu"]
        self.assertEqual(cpu["affinity_threads"], len(os.sched_getaffinity(0)))
        self.assertGreaterEqual(cpu["usable_threads"], 1)
        self.assertLessEqual(cpu["usable_threads"], cpu["affinity_threads"])
        names = {s["name"]: s["supported"] for s in cpu["instruction_sets"]}
        self.assertTrue(names["scalar"])
        self.assertTrue(names[cpu["instruction_set"]])
        with open("/proc/meminfo", encoding="ascii") as meminfo:
            self.assertEqual(info["memory"]["total"], int(meminfo.readline().split()[1]) * 1024)
        self.assertIsInstance(info["gpus"], list)

    def test_the_forced_instruction_set_is_in_use(self):
        info = omg_json("info", "--json", env=environment(OMG_CPU_ISA="scalar"))
        self.assertEqual(info["cpu"]["instruction_set"], "scalar")
        self.assertRegex(
            omg_ok("info", env=environment(OMG_CPU_ISA="scalar")), r"scalar .*← in use"
        )

    def test_text(self):
        text = omg_ok("info")
        for heading in ["Processor", "Instruction sets", "Memory", "GPUs"]:
            self.assertIn(f"  {heading}\n", text)


class Show(unittest.TestCase):
    @needs_reference
    def test_the_trained_model(self):
        details = omg_json("show", STORIES, "--json", "--tensors")
        self.assertEqual(details["family"], "llama")
        self.assertIsNone(details["template"])
        self.assertEqual(details["vocab_size"], 512)
        parameters = 0
        for tensor in details["tensors"]:
            count = 1
            for extent in tensor["shape"]:
                count *= extent
            parameters += count
        self.assertEqual(details["parameters"], parameters)
        text = omg_ok("show", STORIES)
        self.assertRegex(text, r"family +llama\n")
        self.assertRegex(text, r"template +—\n")

    @needs_reference
    def test_every_reference_model_runs(self):
        for path in sorted((REFERENCE / "architectures").glob("*.gguf")):
            with self.subTest(path.stem):
                details = omg_json("show", path, "--json")
                self.assertTrue(details["runs"], details)

    def test_template_alone(self):
        model = made_model()
        template = omg_ok("show", model, "--template")
        self.assertEqual(template, omg_json("show", model, "--json")["template"])
        self.assertIn("messages", template)

    def test_tensor_table(self):
        model = made_model()
        details = omg_json("show", model, "--json", "--tensors")
        table = omg_ok("show", model, "--tensors")
        for tensor in details["tensors"]:
            self.assertRegex(table, rf"(?m)^{tensor['name']} +{tensor['type']} ")
        for share in details["weight_types"]:
            types = [t for t in details["tensors"] if t["type"] == share["type"]]
            self.assertEqual(share["tensors"], len(types))
            self.assertEqual(share["bytes"], sum(t["bytes"] for t in types))


class Bench(unittest.TestCase):
    def bench(self, *flags):
        return omg_json("bench", any_model(), "-t", 1, "--json", *flags)

    def test_both_tests(self):
        results = self.bench("-p", 32, "-n", 8, "-r", 3)
        self.assertEqual([r["test"] for r in results], ["pp32", "tg8"])
        for result in results:
            speeds = result["tokens_per_second"]
            self.assertLessEqual(speeds["min"], speeds["median"])
            self.assertLessEqual(speeds["median"], speeds["max"])
            self.assertGreater(speeds["min"], 0)
            self.assertEqual((result["batch"], result["threads"]), (1, 1))
            self.assertGreater(result["load_seconds"], 0)
            self.assertGreater(result["peak_resident_bytes"], 1 << 20)

    def test_one_test_and_many_sequences(self):
        self.assertEqual([r["test"] for r in self.bench("-p", 0, "-n", 4)], ["tg4"])
        self.assertEqual([r["test"] for r in self.bench("-p", 4, "-n", 0)], ["pp4"])
        (result,) = self.bench("-p", 0, "-n", 4, "-d", 40)
        self.assertEqual(result["test"], "tg4 @ d40")
        (result,) = self.bench("-p", 0, "-n", 4, "-b", 5)
        self.assertEqual((result["test"], result["batch"]), ("tg4 x5", 5))

    def test_cache_types_take_what_they_say(self):
        sizes = {}
        for name in ["f32", "f16", "q8_0", "q4_0"]:
            (result,) = self.bench("-p", 64, "-n", 0, "-r", 1, "--kv-type", name)
            self.assertEqual(result["kv_type"], name)
            sizes[name] = result["kv_bytes"]
        self.assertEqual(sizes["f32"], 2 * sizes["f16"])
        self.assertLess(sizes["q4_0"], sizes["q8_0"])
        self.assertLess(sizes["q8_0"], sizes["f32"])

    def test_users_at_once(self):
        results = self.bench("-p", 24, "-n", 8, "-b", "1,30", "-r", 1)  # not all in one step
        speeds = {r["test"]: r["tokens_per_second"]["median"] for r in results}
        expected = [f"{part} x{n}" for n in (1, 30) for part in ("pp24", "tg8", "pp24+tg8")]
        self.assertEqual(list(speeds), expected)
        for users in (1, 30):
            seconds = 24 * users / speeds[f"pp24 x{users}"] + 8 * users / speeds[f"tg8 x{users}"]
            total = speeds[f"pp24+tg8 x{users}"]
            self.assertAlmostEqual(total, 32 * users / seconds, delta=total * 1e-6)

    def test_lists_make_every_combination(self):
        results = self.bench("-p", "4,8", "-n", "0,2", "-d", "0,33", "-r", 1)
        expected = ["pp4", "pp8", "tg2", "pp4 @ d33", "pp8 @ d33", "tg2 @ d33"]
        self.assertEqual([r["test"] for r in results], expected)
        self.assertEqual(results[4]["depth"], 33)
        for bad in ["x", "4,", "", "-1", "4;5", "1048577", ",".join(["1"] * 65)]:
            done = omg("bench", any_model(), f"--prompt={bad}")
            self.assertEqual(done.returncode, 2, bad)
            self.assertIn(b"--prompt", done.stderr)

    def test_the_instruction_set_is_the_forced_one(self):
        env = environment(OMG_CPU_ISA="scalar")
        (result,) = omg_json("bench", any_model(), "-p", 4, "-n", 0, "-r", 1, "--json", env=env)
        self.assertEqual(result["isa"], "scalar")

    def test_table(self):
        text = omg_ok("bench", any_model(), "-p", 4, "-n", 2, "-r", 2)
        self.assertRegex(text, r"TEST +TOKENS/S +MIN +MAX +OF MEMORY\n")
        self.assertRegex(text, r"pp4 +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +-\n")
        self.assertRegex(text, r"tg2 +\d.* \d+ %\n")

    def test_longer_than_the_model_can(self):
        done = omg("bench", any_model(), "-p", 1 << 20, "-n", 0)
        self.assertIn(done.returncode, (1, 2))
        self.assertTrue(done.stderr.startswith(b"Error: "))


class Profile(unittest.TestCase):
    def test_where_the_time_goes(self):
        env = environment(OMG_PROFILE="1")
        for model in [any_model(), made_model("tiny-qwen3moe")]:
            done = omg("bench", model, "-p", 20, "-n", 3, "-r", 1, env=env)
            self.assertEqual(done.returncode, 0, done.stderr)
            text = done.stderr.decode()
            self.assertRegex(text, r"Limits of \d+ threads?: [\d.]+ GB/s read from memory, ")
            prompt, generation = text.split("Prompt: ")[1].split("Generation: ")
            self.assertTrue(prompt.startswith("40 tokens in 2 steps, "), text)  # one is a warm-up
            self.assertTrue(generation.startswith("6 tokens in 6 steps, "), text)
            for phase in (prompt, generation):
                row = r"(?m)^([a-z]+(?: [a-z]+)*) {2,}(?:\d+|-) +([\d.]+) "  # name, calls, ms
                rows = dict(re.findall(row, phase))
                expected = {"embed", "norm", "qkv projection", "rope", "cache write", "attention",
                            "output projection", "gate and up", "activation", "down", "add", "head"}
                self.assertLessEqual(expected, set(rows))
                times = {name: float(milliseconds) for name, milliseconds in rows.items()}
                total = times.pop("all")
                self.assertAlmostEqual(sum(times.values()), total, delta=0.06 * len(times))

    def test_commands_that_answer_say_it_too(self):
        env = environment(OMG_PROFILE="1")
        done = omg("generate", any_model(), "Once upon a time", "--raw", "--max-tokens", 3,
                   env=env)
        self.assertIn(b"Generation: 2 tokens", done.stderr)  # the first one is the prompt's

    def test_off_and_nonsense(self):
        flags = ["bench", any_model(), "-p", 4, "-n", 0, "-r", 1]
        for value in ["", "0"]:
            done = omg(*flags, env=environment(OMG_PROFILE=value))
            self.assertEqual(done.stderr, b"")
        done = omg(*flags, env=environment(OMG_PROFILE="yes"))
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"OMG_PROFILE", done.stderr)


if __name__ == "__main__":
    unittest.main()
