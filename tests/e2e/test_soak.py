#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many clients at once do all that clients do, well and badly; the daemon stays up, answers as it
would answer each alone, and its memory stays where it is.

OMG_SOAK_CLIENTS and OMG_SOAK_SECONDS (16 and 8 here; 256 and 600 for the figures in
bench/README.md). From the second minute on, where there is one, the daemon's memory with nothing
under way may not grow by more than 2 %."""

import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
import traceback
import unittest

from daemon import Daemon, wait_until
from harness import TIMEOUT, any_model, made_model

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hub"))
from server import Hub  # noqa: E402

CLIENTS = int(os.environ.get("OMG_SOAK_CLIENTS", "16"))
SECONDS = float(os.environ.get("OMG_SOAK_SECONDS", "8"))
PROMPTS = ["Once upon a time", "The little dog", "One day a girl", "Tom and Lily went",
           "There was a big", "Sun and moon and", "She said that", "In the garden"]
LOOK_EVERY_S = 30
LONG = 300  # tokens of an answer that outlives its reader's patience


class Mix:
    """What the clients share, and what each of them may do."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.counts = {}
        self.failures = []
        self.lock = threading.Lock()
        self.may_act = threading.Event()
        self.may_act.set()
        self.resting = 0  # clients that wait for that
        self.expected = {}
        for model in ("one:latest", "two:latest"):
            for prompt in PROMPTS:
                for tokens in (1, 8, 24):
                    self.expected[model, prompt, tokens] = self.whole(model, prompt, tokens)
                if model == "two:latest":  # the other may have no template
                    self.expected["chat", prompt] = self.chat_whole(prompt)
        self.expected["long"] = self.whole("one:latest", PROMPTS[0], LONG)

    def body(self, model, prompt, tokens, **more):
        return {"model": model, "prompt": prompt, "raw": True,
                "options": {"temperature": 0, "num_predict": tokens}, **more}

    def chat_body(self, prompt, **more):
        return {"model": "two:latest", "messages": [{"role": "user", "content": prompt}], **more}

    def whole(self, model, prompt, tokens):
        answer = self.daemon.json("POST", "/api/generate",
                                  self.body(model, prompt, tokens, stream=False))
        return answer["response"]

    def chat_whole(self, prompt):
        options = {"temperature": 0, "num_predict": 16}
        answer = self.daemon.json("POST", "/api/chat", self.chat_body(
            prompt, stream=False, options=options))
        return answer["message"]["content"]

    def pick(self, chance):
        return (chance.choice(["one:latest", "one:latest", "one:latest", "two:latest"]),
                chance.choice(PROMPTS), chance.choice([1, 8, 24]))

    def stream(self, chance):
        case = self.pick(chance)
        events = list(self.daemon.events("/api/generate", self.body(*case)))
        text = "".join(event["response"] for event in events)
        assert events[-1]["done"], events[-1]
        assert text == self.expected[case], (case, text, self.expected[case])

    def completion(self, chance):
        model, prompt, tokens = case = self.pick(chance)
        answer = self.daemon.json("POST", "/v1/completions", {
            "model": model, "prompt": prompt, "temperature": 0, "max_tokens": tokens})
        assert answer["choices"][0]["text"] == self.expected[case], (case, answer)

    def chat(self, chance):
        prompt = chance.choice(PROMPTS)
        events = list(self.daemon.events("/api/chat", self.chat_body(
            prompt, options={"temperature": 0, "num_predict": 16})))
        text = "".join(event["message"]["content"] for event in events)
        assert events[-1]["done"], events[-1]
        assert text == self.expected["chat", prompt], (prompt, text)

    def openai_chat(self, chance):
        prompt = chance.choice(PROMPTS)
        events = list(self.daemon.events("/v1/chat/completions", self.chat_body(
            prompt, temperature=0, max_tokens=16, stream=True)))
        choices = [choice for event in events for choice in event["choices"]]
        text = "".join(choice["delta"].get("content") or "" for choice in choices)
        assert choices[-1]["finish_reason"], choices[-1]
        assert text == self.expected["chat", prompt], (prompt, text)

    def own(self, chance):
        """The management API's answers."""
        model, prompt, tokens = case = self.pick(chance)
        events = list(self.daemon.events("/v1/generate_stream", {
            "model": model, "prompt": prompt,
            "parameters": {"temperature": 0, "max_tokens": tokens}}))
        assert events[-1]["finish_reason"], events[-1]
        text = "".join(event.get("text", "") for event in events[:-1])
        assert text == self.expected[case], (case, text, self.expected[case])

    def open(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=TIMEOUT)
        connection.request("POST", path, json.dumps(body))
        return connection

    def cancel(self, chance):
        """Leaves in the middle of the answer."""
        model, prompt, _ = self.pick(chance)
        connection = self.open("/api/generate", self.body(model, prompt, 400))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        for _ in range(chance.randrange(3)):
            answer.readline()
        connection.close()

    def cancel_prompt(self, chance):
        """Leaves while the prompt is read, or before."""
        model, prompt, _ = self.pick(chance)
        connection = self.open("/api/generate", self.body(model, prompt * 20, 4))
        time.sleep(chance.random() * 0.02)
        connection.close()

    def cut_body(self, chance):
        """Announces more than it sends."""
        data = json.dumps(self.body(*self.pick(chance))).encode()
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=TIMEOUT) as one:
            one.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(data))
            one.sendall(data[: chance.randrange(len(data))])

    def slow(self, chance):
        """Reads a few bytes at a time."""
        case = self.pick(chance)
        connection = self.open("/api/generate", self.body(*case))
        answer = connection.getresponse()
        data = b""
        while piece := answer.read(64):
            data += piece
            time.sleep(0.002)
        connection.close()
        text = "".join(json.loads(line)["response"] for line in data.splitlines())
        assert text == self.expected[case], (case, text)

    def stall(self, chance):
        """Reads nothing for a while, with next to no buffer of its own; and then all."""
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.settimeout(TIMEOUT)
            one.connect(("127.0.0.1", self.daemon.port))
            data = json.dumps(self.body("one:latest", PROMPTS[0], LONG)).encode()
            one.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n"
                        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            time.sleep(chance.random())
            answer = http.client.HTTPResponse(one)
            answer.begin()
            lines = answer.read().splitlines()
        text = "".join(json.loads(line)["response"] for line in lines)
        assert json.loads(lines[-1])["done"], lines[-1]
        assert text == self.expected["long"], text

    def bad_json(self, chance):
        junk = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 200)))
        path = chance.choice(["/api/generate", "/api/chat", "/v1/chat/completions", "/api/show"])
        status, _, data = self.daemon.request("POST", path, junk)
        assert 400 <= status < 500, (status, data)
        assert "error" in json.loads(data), data

    def unload(self, chance):
        model = chance.choice(["one:latest", "two:latest"])
        self.daemon.json("POST", "/api/generate", {"model": model, "keep_alive": 0})

    def stop_run(self, chance):
        for run in self.daemon.json("GET", "/v1/runs")["runs"]:
            if chance.randrange(2):
                status, _, data = self.daemon.request("POST", f"/v1/runs/{run['id']}/stop")
                assert status in (200, 404), (status, data)  # 404: it has gone by itself

    def pull_nothing(self, chance):
        """What is nowhere."""
        name = f"127.0.0.1:1/library/none{chance.randrange(3)}:latest"
        status, _, data = self.daemon.request(
            "POST", "/api/pull", {"model": name, "insecure": True, "stream": False})
        assert status >= 400, (status, data)

    def pull(self, chance):
        """What is there, to the end or not; then it goes, so that there is something to pull."""
        body = {"model": "hf.co/org/tiny-GGUF:Q8_0"}
        if chance.randrange(3) == 0:
            connection = self.open("/api/pull", body)
            time.sleep(chance.random() * 0.05)
            connection.close()
            return
        events = list(self.daemon.events("/api/pull", body))
        assert events[-1] == {"status": "success"}, events[-1]
        status, _, data = self.daemon.request("DELETE", "/api/delete", body)
        assert status in (200, 404), (status, data)  # 404: another was faster

    def create(self, chance):
        """A model of another's weights answers as that one does."""
        model, prompt, tokens = self.pick(chance)
        name = f"made-{threading.get_ident()}"
        self.daemon.json("POST", "/api/create", {
            "model": name, "from": model, "parameters": {"temperature": 0}, "stream": False})
        body = self.body(name, prompt, tokens, stream=False)
        del body["options"]["temperature"]
        answer = self.daemon.json("POST", "/api/generate", body)
        assert answer["response"] == self.expected[model, prompt, tokens], answer
        self.daemon.json("DELETE", "/api/delete", {"model": name})

    def follow(self, chance):
        """Events, for a moment."""
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=TIMEOUT)
        connection.request("GET", "/v1/events?last_event_id=0")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.readline()
        time.sleep(chance.random() * 0.1)
        connection.close()

    def look(self, chance):
        path = chance.choice(["/api/ps", "/api/tags", "/v1/models", "/v1/runs", "/v1/health",
                              "/v1/jobs", "/metrics"])
        status, _, data = self.daemon.request("GET", path)
        assert status == 200, (path, status, data)

    def rest(self):
        """Waits while memory is looked at."""
        if self.may_act.is_set():
            return
        with self.lock:
            self.resting += 1
        self.may_act.wait()
        with self.lock:
            self.resting -= 1

    def client(self, number, end):
        chance = random.Random(number)
        acts = ([self.stream] * 6 + [self.completion] * 3 + [self.cancel] * 3 + [self.slow] * 2 +
                [self.chat, self.openai_chat, self.own, self.stall, self.cancel_prompt,
                 self.cut_body, self.bad_json, self.look, self.follow] +
                ([self.unload, self.stop_run, self.pull, self.pull_nothing, self.create] * 2
                 if number % 8 == 0 else []))
        while time.monotonic() < end and not self.failures:
            self.rest()
            act = chance.choice(acts)
            try:
                act(chance)
                with self.lock:
                    self.counts[act.__name__] = self.counts.get(act.__name__, 0) + 1
            except Exception:  # noqa: BLE001  told by the test, with what was done
                self.failures.append(f"{act.__name__}: {traceback.format_exc()}")


class Soak(unittest.TestCase):
    def test_everything_at_once(self):
        folder = tempfile.TemporaryDirectory(prefix="omg-soak-")
        self.addCleanup(folder.cleanup)
        repository = pathlib.Path(folder.name) / "org" / "tiny-GGUF"
        repository.mkdir(parents=True)
        shutil.copy(made_model("tiny-qwen2", "Q8_0"), repository / "tiny-Q8_0.gguf")
        hub = Hub(folder.name)
        self.addCleanup(hub.stop)
        daemon = Daemon(env={"HF_ENDPOINT": hub.url})
        self.addCleanup(daemon.kill)
        daemon.add(any_model(), "one:latest")
        daemon.add(made_model("tiny-llama", "Q8_0"), "two:latest")
        mix = Mix(daemon)
        end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=mix.client, args=(i, end)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        memory = []
        while any(thread.is_alive() for thread in threads):
            threads[0].join(LOOK_EVERY_S)
            self.assertLess(time.monotonic(), end + 2 * TIMEOUT, "a request is stuck")
            if end - time.monotonic() > 10 and not mix.failures:
                memory.append(self.look_at_memory(mix, threads))
        self.assertEqual(mix.failures, [], "\n".join(mix.failures[:3]))
        self.assertIsNone(daemon.process.poll(), bytes(daemon.log[-2000:]))
        self.assertEqual(mix.whole("one:latest", PROMPTS[0], 24),
                         mix.expected["one:latest", PROMPTS[0], 24])
        memory.append(self.look_at_memory(mix, []))
        print(f"\n{CLIENTS} clients, {SECONDS:.0f} s: {dict(sorted(mix.counts.items()))}")
        self.check_memory(memory)
        daemon.stop()

    def look_at_memory(self, mix, threads):
        """What the daemon holds with nothing under way and nothing loaded; its workers are young,
        since the mix ends them."""
        mix.may_act.clear()
        wait_until(lambda: mix.resting == sum(thread.is_alive() for thread in threads),
                   what="a moment in which nobody asks")
        runs = lambda: mix.daemon.json("GET", "/v1/runs")["runs"]  # noqa: E731
        wait_until(lambda: all(run["answers"] == 0 for run in runs()),
                   what="the end of all answers")
        for run in runs():
            mix.daemon.request("POST", f"/v1/runs/{run['id']}/stop")
        wait_until(lambda: not runs() and not mix.daemon.worker_pids(),
                   what="the end of all workers")
        size = mix.daemon.resident_bytes()
        mix.may_act.set()
        return size

    def check_memory(self, memory):
        print("memory, MiB:", [round(size / 2**20, 1) for size in memory])
        steady = memory[2:]  # from the second minute on
        if len(steady) > 2:
            self.assertLess(max(steady), 1.02 * steady[0], steady)


if __name__ == "__main__":
    unittest.main(verbosity=2)
