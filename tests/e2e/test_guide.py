#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The model that is built in: its transcripts, to the letter, by every instruction set and through
every dialect; names and listings; and that it needs neither network nor a folder."""

import concurrent.futures
import ctypes
import json
import os
import pathlib
import stat
import subprocess
import tempfile
import unittest

import harness
from daemon import Daemon, wait_until
from harness import BINARY, Screen, made_model, omg, omg_json, omg_ok

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Made by tests/golden/make.py.
GOLDEN = json.loads((ROOT / "tests/golden/guide.json").read_text(encoding="utf-8"))
MOST = GOLDEN["max_tokens"]
NO_NETWORK = {"HF_ENDPOINT": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}


def requests():
    """(messages, answer) of every turn of every transcript; earlier turns as they were answered."""
    for conversation in GOLDEN["conversations"]:
        messages = []
        if "system" in conversation:
            messages.append({"role": "system", "content": conversation["system"]})
        for turn, answer in zip(conversation["turns"], conversation["answers"]):
            messages.append({"role": "user", "content": turn})
            yield list(messages), answer
            messages.append({"role": "assistant", "content": answer["text"]})


def single_turns():
    """Questions that stand alone, and their answers."""
    for messages, answer in requests():
        if len(messages) == 1:
            yield messages[0]["content"], answer["text"]


def supported_sets():
    sets = omg_json("info", "--json")["cpu"]["instruction_sets"]
    return [s["name"] for s in sets if s["supported"]]


# One question in each dialect, answered whole or in pieces: (text, tokens).

def ollama_chat(daemon, messages):
    answer = daemon.json("POST", "/api/chat", {
        "model": "guide", "messages": messages, "stream": False,
        "options": {"temperature": 0, "num_predict": MOST}})
    return answer["message"]["content"], answer["eval_count"]


def ollama_chat_stream(daemon, messages):
    events = list(daemon.events("/api/chat", {
        "model": "guide:latest", "messages": messages,
        "options": {"temperature": 0, "num_predict": MOST}}))
    return "".join(e["message"]["content"] for e in events), events[-1]["eval_count"]


def openai_chat(daemon, messages):
    answer = daemon.json("POST", "/v1/chat/completions", {
        "model": "guide", "messages": messages, "temperature": 0, "max_completion_tokens": MOST})
    return answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]


def openai_chat_stream(daemon, messages):
    events = list(daemon.events("/v1/chat/completions", {
        "model": "guide", "messages": messages, "temperature": 0, "max_completion_tokens": MOST,
        "stream": True, "stream_options": {"include_usage": True}}))
    pieces = [c["delta"].get("content") or "" for e in events for c in e["choices"]]
    return "".join(pieces), events[-1]["usage"]["completion_tokens"]


def management(daemon, messages):
    answer = daemon.json("POST", "/v1/generate", {
        "model": "guide", "messages": messages,
        "parameters": {"temperature": 0, "max_tokens": MOST}})
    return answer["text"], answer["usage"]["generated_tokens"]


def management_stream(daemon, messages):
    events = list(daemon.events("/v1/generate_stream", {
        "model": "guide", "messages": messages,
        "parameters": {"temperature": 0, "max_tokens": MOST}}))
    text = "".join(e.get("text", "") for e in events)
    return text, events[-1]["usage"]["generated_tokens"]


CHATS = [ollama_chat, ollama_chat_stream, openai_chat, openai_chat_stream, management,
         management_stream]


class Transcripts(unittest.TestCase):
    def check(self, ask, daemon):
        for messages, answer in requests():
            with self.subTest(ask.__name__, asked=messages[-1]["content"]):
                self.assertEqual(ask(daemon, messages), (answer["text"], answer["tokens"]))

    def test_they_are_of_the_model_that_is_built_in(self):
        (file,) = omg_json("show", "guide", "--json")["store"]["artifacts"]
        self.assertEqual(file["digest"], GOLDEN["model"],
                         "another model is built in: run tests/golden/make.py")

    def test_every_instruction_set_writes_them(self):
        sets = supported_sets()
        self.assertIn("scalar", sets)
        for name in sets:
            with self.subTest(isa=name), Daemon(env={"OMG_CPU_ISA": name}) as daemon:
                self.check(ollama_chat, daemon)
                for text in GOLDEN["texts"]:
                    self.assertEqual(self.raw(daemon, text["prompt"]), text["text"])

    def test_every_dialect_tells_them(self):
        with Daemon() as daemon:
            for ask in CHATS:
                self.check(ask, daemon)
            for question, answer in single_turns():
                body = {"model": "guide", "prompt": question, "stream": False,
                        "options": {"temperature": 0, "num_predict": MOST}}
                self.assertEqual(daemon.json("POST", "/api/generate", body)["response"], answer)

    @staticmethod
    def raw(daemon, prompt):
        body = {"model": "guide", "prompt": prompt, "stream": False, "raw": True,
                "options": {"temperature": 0, "num_predict": MOST}}
        return daemon.json("POST", "/api/generate", body)["response"]

    def test_texts_go_on_without_a_template(self):
        with Daemon() as daemon:
            for text in GOLDEN["texts"]:
                with self.subTest(text["prompt"]):
                    self.assertEqual(self.raw(daemon, text["prompt"]), text["text"])
                    body = {"model": "guide", "prompt": text["prompt"], "temperature": 0,
                            "max_tokens": MOST}
                    (choice,) = daemon.json("POST", "/v1/completions", body)["choices"]
                    self.assertEqual(choice["text"], text["text"])
                    alone = omg_ok("generate", "guide", text["prompt"], "--raw", "--temperature",
                                   0, "--max-tokens", MOST)
                    self.assertEqual(alone, text["text"])

    def test_all_at_once_they_stay_the_same(self):
        cases = list(requests())
        with Daemon() as daemon, concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            found = list(pool.map(lambda case: openai_chat(daemon, case[0])[0], cases))
        self.assertEqual(found, [answer["text"] for _, answer in cases])

    # Its own temperature is 0: nothing has to be said.
    def test_commands_tell_them_with_and_without_a_daemon(self):
        cases = list(single_turns())
        self.assertGreaterEqual(len(cases), 8)
        for question, answer in cases:
            with self.subTest(question):
                said = omg_ok("run", "guide", question, "--max-tokens", MOST)
                self.assertEqual(said, answer + "\n")
        with Daemon() as daemon:
            for question, answer in cases[:3]:
                said = omg_ok("run", "guide", question, "--max-tokens", MOST, env=daemon.env)
                self.assertEqual(said, answer + "\n")
                body = {"model": "guide", "messages": [{"role": "user", "content": question}],
                        "max_tokens": MOST}
                (choice,) = daemon.json("POST", "/v1/chat/completions", body)["choices"]
                self.assertEqual(choice["message"]["content"], answer)

    def test_a_terminal_begins_a_chat(self):
        question, answer = next(single_turns())
        screen = Screen("run", "guide", "--max-tokens", MOST)
        self.addCleanup(screen.close)
        screen.expect(">>> ")
        screen.line(question)
        screen.expect(answer.split()[0])
        screen.expect(">>> ")
        screen.line("/bye")
        self.assertEqual(screen.wait(), 0)


class FolderCase(unittest.TestCase):
    """A store of the test's own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="omg-guide-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.models = self.folder / "models"
        self.env = harness.environment(OMG_MODELS=str(self.models), HOME=str(self.folder),
                                       **NO_NETWORK)

    def ok(self, *arguments):
        return omg_ok(*arguments, env=self.env)

    def fails(self, code, *arguments):
        done = omg(*arguments, env=self.env)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr.decode()

    def names(self, *flags):
        return [m["name"] for m in omg_json("models", "--json", *flags, env=self.env)["models"]]

    def answer(self, model="guide"):
        question, _ = next(single_turns())
        return self.ok("run", model, question, "--max-tokens", MOST)

    def blobs(self):
        return list((self.models / "blobs").glob("*"))


class Names(FolderCase):
    def test_it_is_listed_alone_or_when_asked_for(self):
        self.assertEqual(self.names(), ["guide"])
        done = omg("models", env=self.env)
        self.assertIn(b"guide", done.stdout)
        self.assertIn(b"no models yet", done.stderr)
        self.assertEqual(self.names("other"), [])
        self.ok("import", made_model(), "--name", "mine")
        self.assertEqual(self.names(), ["mine"])
        self.assertEqual(self.names("--all"), ["mine", "guide"])
        self.assertEqual(self.names("-a", "guide"), ["guide"])
        (guide,) = omg_json("models", "--json", "--all", "guide", env=self.env)["models"]
        self.assertEqual(guide["provider"], "built-in")
        self.assertEqual(guide["quantization"], "Q8_0")
        self.assertTrue(guide["fits"])
        self.assertIn("guide", self.ok("ls", "--all"))

    def test_all_commands_know_it(self):
        text = self.ok("show", "guide")
        self.assertIn("Built in", text)
        self.assertIn("llama", text)
        shown = omg_json("show", "guide", "--json", env=self.env)
        self.assertTrue(shown["runs"])
        self.assertEqual(shown["store"]["provider"], "built-in")
        template = self.ok("show", "guide", "--template")
        self.assertEqual(template, shown["template"])
        ids = omg_json("tokenize", "guide", "--json", "Hello!", env=self.env)
        self.assertTrue(ids)
        (speed,) = omg_json("bench", "guide", "-p", 4, "-n", 0, "-r", 1, "--json", env=self.env)
        self.assertEqual(speed["prompt"], 4)
        self.ok("cache", "preload", "guide")
        self.assertEqual(self.blobs(), [])
        self.assertIn("did you mean guide?", self.fails(3, "show", "giude"))

    def test_nothing_is_fetched_or_deleted(self):
        self.assertIn("built in", self.ok("pull", "guide"))
        (pulled,) = omg_json("pull", "guide:latest", "--json", env=self.env)
        self.assertEqual((pulled["name"], pulled["fetched_bytes"]), ("guide", 0))
        for delete in (("rm",), ("cache", "delete")):
            self.assertIn("built in", self.fails(2, *delete, "guide"))
        self.assertIn("built in", self.fails(1, "verify", "guide"))
        self.assertIn("omg cp guide", self.fails(1, "export", "guide", "-o", self.folder / "x"))
        self.assertFalse((self.folder / "x").exists())
        self.ok("gc")
        self.ok("verify")
        self.assertEqual(self.names(), ["guide"])

    def test_a_copy_is_a_model_of_ones_own(self):
        expected = self.answer()
        self.ok("cp", "guide", "mine")
        self.ok("cp", "guide", "again")
        self.assertEqual(sorted(self.names()), ["again", "mine"])
        (blob,) = self.blobs()
        self.assertEqual("sha256:" + blob.name.removeprefix("sha256-"), GOLDEN["model"])
        self.assertEqual(self.answer("mine"), expected)
        self.assertIn("all right", self.ok("verify", "mine"))
        self.ok("rm", "mine", "again")
        self.assertEqual(self.blobs(), [])

    def test_ones_own_guide_goes_first(self):
        expected = self.answer()
        self.ok("import", made_model(), "--name", "guide")
        shown = self.ok("show", "guide")
        self.assertIn("instead of", shown)
        self.assertNotIn("Built in", shown)
        self.assertEqual(omg_json("show", "guide", "--json", env=self.env)["store"]["provider"],
                         "file")
        self.assertNotEqual(self.answer(), expected)
        self.assertEqual(self.names("--all"), ["guide"])
        self.ok("rm", "guide")
        self.assertIn("Built in", self.ok("show", "guide"))
        self.assertEqual(self.answer(), expected)

    def test_a_folder_of_its_name_is_not_in_the_way(self):
        (self.folder / "guide").mkdir()
        (self.folder / "other").mkdir()
        run = dict(cwd=self.folder, env=self.env, capture_output=True, check=False)
        done = subprocess.run([BINARY, "show", "guide"], **run)
        self.assertIn(b"Built in", done.stdout, done.stderr)
        done = subprocess.run([BINARY, "generate", "other", "x"], **run)
        self.assertIn(b"is a directory", done.stderr)


class InTheDaemon(unittest.TestCase):
    def names(self, daemon, path="/api/tags"):
        return [m["name"] for m in daemon.json("GET", path)["models"]]

    def test_listings(self):
        with Daemon() as daemon:
            self.assertEqual(self.names(daemon), ["guide:latest"])
            (model,) = daemon.json("GET", "/v1/models")["data"]
            self.assertEqual((model["id"], model["owned_by"]), ("guide", "ohmygpu"))
            daemon.add(made_model(), "mine:latest")
            self.assertEqual(self.names(daemon), ["mine:latest"])
            self.assertEqual(self.names(daemon, "/api/tags?all=true"),
                             ["mine:latest", "guide:latest"])
            listed = daemon.json("GET", "/v1/models")["data"]
            self.assertEqual([m["id"] for m in listed], ["mine:latest"])
            self.assertEqual(daemon.json("GET", "/v1/models/guide"), model)
            store = daemon.json("GET", "/v1/system")["store"]
            self.assertEqual(store["models"], 1)

    def test_it_is_shown_loaded_and_unloaded(self):
        with Daemon() as daemon:
            shown = daemon.json("POST", "/api/show", {"model": "guide", "verbose": True})
            self.assertEqual(shown["details"]["family"], "llama")
            self.assertTrue(shown["template"])
            self.assertEqual(shown["model_info"]["general.architecture"], "llama")
            self.assertTrue(shown["model_info"]["tokenizer.ggml.tokens"])
            self.assertIn("completion", shown["capabilities"])
            body = {"model": "guide", "messages": [], "keep_alive": -1}
            daemon.json("POST", "/api/chat", body)
            (loaded,) = daemon.json("GET", "/api/ps")["models"]
            self.assertEqual(loaded["name"], "guide:latest")
            self.assertEqual(loaded["details"]["quantization_level"], "Q8_0")
            self.assertGreater(loaded["size"], 2_000_000)
            self.assertEqual(len(daemon.worker_pids()), 1)
            (run,) = daemon.json("GET", "/v1/runs")["runs"]
            self.assertEqual(run["model"], "guide")
            daemon.json("POST", "/api/chat", {**body, "keep_alive": 0})
            wait_until(lambda: not daemon.json("GET", "/api/ps")["models"], what="the unloading")

    def test_pull_delete_copy_and_create(self):
        with Daemon(env=NO_NETWORK) as daemon:
            events = list(daemon.events("/api/pull", {"model": "guide"}))
            self.assertEqual(events[-1]["status"], "success")
            self.assertIn("'guide' is built in", events[-1]["warnings"][0])
            said = omg("pull", "guide", env=daemon.env)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertIn(b"built in", said.stderr)
            answer = daemon.json("DELETE", "/api/delete", {"model": "guide"}, status=400)
            self.assertIn("built in", answer["error"])
            daemon.json("DELETE", "/v1/models/guide", status=400)
            daemon.json("POST", "/api/copy", {"source": "guide", "destination": "mine"})
            daemon.json("POST", "/api/create", {
                "model": "otto", "from": "guide", "system": "Your name is Otto.",
                "stream": False})
            self.assertEqual(sorted(self.names(daemon)), ["mine:latest", "otto:latest"])
            blobs = list((daemon.folder / "models" / "blobs").iterdir())
            self.assertEqual(["sha256:" + b.name.removeprefix("sha256-") for b in blobs],
                             [GOLDEN["model"]])
            conversation = next(c for c in GOLDEN["conversations"] if "system" in c)
            body = {"model": "otto", "stream": False, "options": {"num_predict": MOST},
                    "messages": [{"role": "user", "content": conversation["turns"][0]}]}
            answer = daemon.json("POST", "/api/chat", body)
            self.assertEqual(answer["message"]["content"], conversation["answers"][0]["text"])
            # The same settings hold without a daemon.
            said = omg_ok("run", "otto", conversation["turns"][0], "--max-tokens", MOST, "--direct",
                          env=daemon.env)
            self.assertEqual(said, conversation["answers"][0]["text"] + "\n")


class NoFolder(FolderCase):
    """What cannot be: a folder below a file."""

    def setUp(self):
        super().setUp()
        (self.folder / "file").write_text("")
        self.models = self.folder / "file" / "models"
        self.env["OMG_MODELS"] = str(self.models)

    def test_commands_work_without_a_store(self):
        question, answer = next(single_turns())
        self.assertEqual(self.ok("run", "guide", question, "--max-tokens", MOST), answer + "\n")
        self.assertIn("Built in", self.ok("show", "guide"))
        self.assertTrue(self.ok("tokenize", "guide", "Hello"))
        done = omg("models", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"guide", done.stdout)
        self.assertIn(str(self.models).encode(), done.stderr)
        for change in (("cp", "guide", "mine"), ("import", made_model(), "--name", "x"),
                       ("gc",)):
            said = self.fails(1, *change)
            self.assertIn("OMG_MODELS", said)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["file"])

    def test_the_daemon_works_without_a_store(self):
        with Daemon(models=self.models, env=NO_NETWORK) as daemon:
            for messages, answer in list(requests())[:3]:
                self.assertEqual(openai_chat(daemon, messages)[0], answer["text"])
            tags = daemon.json("GET", "/api/tags")["models"]
            self.assertEqual([m["name"] for m in tags], ["guide:latest"])
            daemon.json("POST", "/api/show", {"model": "guide"})
            status, _, data = daemon.request("POST", "/api/copy",
                                             {"source": "guide", "destination": "mine"})
            self.assertEqual(status, 500)
            self.assertIn(b"OMG_MODELS", data)
        self.assertIn(b"can be used but not changed", daemon.log)


def obey_permissions():
    """Programs that are started from now on may not write where nobody may, even as root."""
    if os.geteuid() != 0:
        return True
    drop, override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    return ctypes.CDLL(None).prctl(drop, override, 0, 0, 0) == 0


class ReadOnly(FolderCase):
    def setUp(self):
        super().setUp()
        self.ok("import", made_model(), "--copy", "--name", "mine")
        if not obey_permissions():
            self.skipTest("this root may not give up writing everywhere")
        for folder in [self.models, *(p for p in self.models.rglob("*") if p.is_dir())]:
            folder.chmod(0o555)
            self.addCleanup(folder.chmod, 0o755)
        for file in [p for p in self.models.rglob("*") if p.is_file()]:
            file.chmod(0o444)

    def test_what_is_there_can_be_used(self):
        self.assertFalse(os.stat(self.models).st_mode & stat.S_IWUSR)
        question, answer = next(single_turns())
        self.assertEqual(self.ok("run", "guide", question, "--max-tokens", MOST), answer + "\n")
        self.assertEqual(self.names("--all"), ["mine", "guide"])
        flags = ["--max-tokens", 5, "--temperature", 0]
        self.assertEqual(self.ok("generate", "mine", "Once", *flags),
                         self.ok("generate", made_model(), "Once", *flags))
        for change in (("rm", "mine"), ("cp", "guide", "other")):
            self.assertIn("cannot be changed", self.fails(1, *change))
        with Daemon(models=self.models) as daemon:
            self.assertEqual(ollama_chat(daemon, [{"role": "user", "content": question}])[0],
                             answer)
            body = {"model": "mine", "prompt": "Once", "stream": False,
                    "options": {"num_predict": 5}}
            daemon.json("POST", "/api/generate", body)


class Demo(unittest.TestCase):
    def test_it_shows_the_built_in_model(self):
        done = subprocess.run(["bash", ROOT / "tools/demo.sh"], check=False, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=harness.TIMEOUT,
                              env=harness.environment(OMG=str(BINARY), **NO_NETWORK))
        self.assertEqual(done.returncode, 0, done.stderr)
        for shown in ("$ omg info", "$ omg show guide", "Built in", "$ omg run guide"):
            self.assertIn(shown, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
