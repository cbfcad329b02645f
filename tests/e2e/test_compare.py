# SPDX-License-Identifier: Apache-2.0
"""omg bench --compare, against programs that speak as llama-bench does, and some that do not."""

import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import time
import unittest

from harness import (
    BINARY,
    FOLDER,
    MAKE_MODEL,
    any_model,
    environment,
    made_model,
    omg,
    omg_ok,
)

# A llama-bench: --help, then one row of JSON; how it answers is in its folder's file "manner".
PEER = '''#!{python}
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
manner = open(os.path.join(here, "manner")).read()
arguments = sys.argv[1:]
if "--help" in arguments:
    print("usage: llama-bench [options]\\n  -p, --n-prompt <n>")
    print("  -gp <pp,tg>" if manner == "ik" else "  -d, --n-depth <n>")
    sys.exit(0)
with open(os.path.join(here, "calls"), "a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
value = lambda flag, default: arguments[arguments.index(flag) + 1] if flag in arguments else default
if manner == "fails":
    print("loading\\nerror: no such tensor", file=sys.stderr)
    sys.exit(5)
if manner == "nonsense":
    print("Hello World")
elif manner == "other rows":
    print(json.dumps([{"n_prompt": 1, "n_gen": 0, "avg_ts": 10.0}]))
elif manner == "no speed":
    print('[{"n_prompt": %s, "n_gen": %s, "avg_ts": "fast"}]' % (value("-p", 0), value("-n", 0)))
elif manner == "ik":
    depth, tokens = value("-gp", "0,0").split(",")
    rows = [{"n_prompt": int(depth), "n_gen": int(tokens), "avg_ts": 40.0}]
    if "-gp" not in arguments:
        rows = [{"n_prompt": int(value("-p", 0)), "n_gen": int(value("-n", 0)), "avg_ts": 40.0}]
    print(json.dumps(rows))
else:
    speed = 100.0 if value("-p", "0") != "0" else 20.0
    row = {"n_prompt": int(value("-p", 0)), "n_gen": int(value("-n", 0)), "avg_ts": speed}
    print(json.dumps([{"n_prompt": 3, "n_gen": 3, "avg_ts": 1.0}, row]))
'''

# A llama-batched-bench that loses its row the first time, as the real one does now and then.
BATCHED = '''#!{python}
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
value = lambda flag: sys.argv[sys.argv.index(flag) + 1]
if open(os.path.join(here, "manner")).read() == "ik":
    sys.stdout = sys.stderr
print("main: n_kv_max = 512\\n")
print("| PP | TG | B | N_KV | T_PP s | S_PP t/s | T_TG s | S_TG t/s | T s | S t/s |")
print("|----|----|---|------|--------|----------|--------|----------|-----|-------|")
mark = os.path.join(here, "ran before")
if os.path.exists(mark):
    print("|", value("-npp"), "|", value("-ntg"), "|", value("-npl"),
          "| 40 | 0.5 | 200.00 | 1.0 | 50.00 | 1.5 | 80.00 |")
open(mark, "w").close()
'''


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def peer(manner, name="other", batched=False):
    """A llama-bench in a folder as it is built; its path."""
    folder = FOLDER / f"{name}-{manner.replace(' ', '-')}" / "build" / "bin"
    program(folder / "llama-bench", PEER.replace("{python}", sys.executable))
    if batched:
        program(folder / "llama-batched-bench", BATCHED.replace("{python}", sys.executable))
    (folder / "manner").write_text(manner)
    (folder / "calls").unlink(missing_ok=True)
    return folder / "llama-bench"


def calls(path):
    return [json.loads(line) for line in (path.parent / "calls").read_text().splitlines()]


class Compare(unittest.TestCase):
    def compare(self, *arguments):
        """Rows of the JSON. This machine may be busy: then the figures come with an error."""
        done = omg("bench", "-t", 1, "--json", *arguments)
        self.check_end(done)
        return json.loads(done.stdout)

    def check_end(self, done):
        if done.returncode == 1:
            self.assertRegex(done.stderr, rb"^Error: these figures are worthless: .*\n$")
        else:
            self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_in_turns(self):
        path = peer("plain")
        model = any_model()
        rows = self.compare(model, "-p", "16", "-n", "4", "-r", 3, "--compare", path)
        self.assertEqual([row["test"] for row in rows], ["pp16", "tg4"])
        for row, speed in zip(rows, (100.0, 20.0)):
            (found,) = row["peers"]
            self.assertEqual(found["name"], "other-plain")
            self.assertEqual(found["path"], str(path))
            self.assertEqual(found["samples"], [speed] * 3)
            self.assertEqual(found["tokens_per_second"]["median"], speed)
            self.assertEqual(len(row["samples"]), 3)
            self.assertAlmostEqual(found["ratio"], row["tokens_per_second"]["median"] / speed)
        done = calls(path)
        self.assertEqual([c[c.index("-p") + 1] for c in done], ["16", "0"] * 3)
        for call in done:
            self.assertEqual(call[call.index("-m") + 1], str(model))
            self.assertEqual(call[call.index("-t") + 1], "1")
            self.assertEqual(call[call.index("-ctk") + 1], "f16")

    def test_table_of_two_models_and_two_peers(self):
        first, second = peer("plain"), peer("ik", "fork")
        models = [made_model(), made_model(kind="Q8_0")]
        done = omg("bench", *models, "-p", "8", "-n", "4", "-d", "0,32", "-r", 1, "-t", 1,
                   "--compare", first, "--compare", second)
        self.check_end(done)
        text = done.stdout.decode()
        for model in models:
            self.assertIn(f"{model}: llama ", text)
        other = "{} +RANGE +RATIO +"
        heading = "TEST +OHMYGPU +RANGE +" + other.format("OTHER-PLAIN") + other.format("FORK-IK")
        self.assertEqual(len(re.findall(heading, text)), 2)
        number = r"\d+\.\d\d"
        both = rf"{number} +{number}-{number} +"
        self.assertRegex(text, rf"\ntg4 +{both}20\.00 +20\.00-20\.00 +{number}x +40\.00 ")
        # The fork cannot measure a prompt behind a context, but generation there.
        self.assertRegex(text, rf"\npp8 @ d32 +{both}100\.00 +\S+ +{number}x +- +- +-")
        self.assertRegex(text, rf"\ntg4 @ d32 +{both}20\.00 +\S+ +{number}x +40\.00 ")
        deep = [c for c in calls(first) if "-d" in c]
        self.assertEqual({c[c.index("-d") + 1] for c in deep}, {"32"})
        self.assertTrue(any("-gp" in c for c in calls(second)))

    def test_users(self):
        arguments = ["-p", "16", "-n", "4", "-b", "3", "-r", 1]
        expected = {"pp16 x3": [200.0], "tg4 x3": [50.0], "pp16+tg4 x3": [80.0]}
        for manner in ("plain", "ik"):
            path = peer(manner, "users", batched=True)
            rows = self.compare(any_model(), *arguments, "--compare", path)
            speeds = {row["test"]: row["peers"][0]["samples"] for row in rows}
            self.assertEqual(speeds, expected)
        alone = peer("plain", "no-users")
        self.check_failure(3, alone, "llama-batched-bench", *arguments)

    def check_failure(self, code, path, says, *arguments):
        arguments = arguments or ["-p", "16", "-n", "4", "-r", 1]
        done = omg("bench", any_model(), *arguments, "--compare", path)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        self.assertIn(says, done.stderr.decode())
        self.assertIn(str(path.parent), done.stderr.decode())
        self.assertEqual(done.stdout, b"")

    def test_peers_that_are_none(self):
        self.check_failure(1, peer("fails"), "ended with 5: it said 'error: no such tensor'")
        self.check_failure(1, peer("nonsense"), "no JSON array: its last line is 'Hello World'")
        self.check_failure(1, peer("other rows"), "no speed of 16 prompt and 0 generated tokens")
        self.check_failure(1, peer("no speed"), "no speed of 16")
        self.check_failure(3, FOLDER / "nowhere" / "llama-bench", "No such file")
        folder = FOLDER / "no program"
        folder.mkdir(exist_ok=True)
        (folder / "llama-bench").write_text("text")
        self.check_failure(1, folder / "llama-bench", "Permission denied")
        program(folder / "llama-bench", "#!/bin/sh\necho usage: cat\n")
        self.check_failure(1, folder / "llama-bench", "is no llama-bench")

    def test_interrupt_ends_both(self):
        folder = FOLDER / "slow"
        program(folder / "llama-bench",
                "#!/bin/sh\n[ \"$1\" = --help ] && echo --n-prompt && exit\n"
                f"echo $$ > {folder}/pid; exec sleep 600\n")
        process = subprocess.Popen(
            [str(BINARY), "bench", str(any_model()), "-p", "8", "-n", "0", "-r", "1",
             "--compare", str(folder / "llama-bench")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
            start_new_session=True,  # the signal reaches the command alone
        )
        pid = folder / "pid"
        end = time.monotonic() + 60
        while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < end:
            time.sleep(0.05)
        sleeper = int(pid.read_text())
        process.send_signal(2)
        self.assertEqual(process.wait(60), 130)
        with self.assertRaises(ProcessLookupError):
            os.kill(sleeper, 0)

    def test_the_table_of_the_readme(self):
        table = pathlib.Path(__file__).parents[2] / "bench" / "table.py"
        peers = [peer("plain", "users", batched=True), peer("fails", "broken")]
        command = [sys.executable, "-B", table, "--quick", "--rounds", "2", "--threads", "1"]
        command += ["--preset", "tiny-llama", "--models", FOLDER / "table", "--omg", BINARY]
        command += ["--make-model", MAKE_MODEL, "--peer", peers[0], "--peer", peers[1]]
        sets = json.loads(omg_ok("info", "--json"))["cpu"]["instruction_sets"]
        if any(s["name"] == "avx2" and s["supported"] for s in sets):
            command += ["--avx2-peer", peers[0]]
        done = subprocess.run([str(c) for c in command], env=environment(), capture_output=True,
                              text=True, check=False)
        worthless = "WORTHLESS" in done.stdout
        self.assertEqual(done.returncode, 1 if worthless else 0, done.stderr)
        speed = r"[\d.]+ \([\d.]+–[\d.]+\)"
        self.assertRegex(done.stdout, rf"\| Q4_K_M pp512 \| {speed} \| 100 \(100–100\) \| \*\*")
        self.assertRegex(done.stdout, rf"\| Q4_K_M tg64 x4 \| {speed} \| 50.0 \(50.0–50.0\) \| ")
        self.assertRegex(done.stdout, r"\| Q4_K_M \| [\d.]+, [\d.]+ s \| 1 MiB \| \d+ MiB \| ")
        self.assertIn("left out, ", done.stdout)
        self.assertIn("no such tensor", done.stdout)


class Alone(unittest.TestCase):
    def test_share_of_what_memory_allows(self):
        rows = json.loads(omg_ok("bench", any_model(), "-p", 8, "-n", 4, "-r", 1, "--json"))
        self.assertNotIn("memory_share", rows[0])
        self.assertGreater(rows[1]["memory_share"], 0)
        self.assertGreater(rows[1]["read_bytes_per_second"], 1e8)
        # The 256 MiB that measuring the memory takes are not the model's.
        self.assertLess(rows[1]["peak_resident_bytes"], 200 << 20)


if __name__ == "__main__":
    unittest.main()
