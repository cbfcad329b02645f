#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon as a whole: crashes, limits of the context, the prefix cache, who may connect, and
how it starts and ends."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest

from daemon import Daemon, wait_until
from harness import BINARY, any_model, endless_model, made_model, omg, omg_json, omg_ok

LONG = {"model": "text:latest", "prompt": "Once", "raw": True,
        "options": {"num_predict": 100000, "temperature": 0}}


def alive(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def counts_of(answer):
    """(tokens of the prompt, generated tokens, why it ended) in any dialect."""
    status, _, data = answer
    if status != 200:
        raise AssertionError(f"{status}: {data.decode(errors='replace')}")
    told = json.loads(data)
    if "prompt_eval_count" in told:
        return told["prompt_eval_count"], told["eval_count"], told["done_reason"]
    usage = told["usage"]
    generated = usage.get("completion_tokens", usage.get("generated_tokens"))
    reason = told["choices"][0] if "choices" in told else told
    return usage["prompt_tokens"], generated, reason["finish_reason"]


class WithDaemon(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.stop)
        cls.daemon.add(any_model(), "text:latest")
        cls.daemon.add(made_model("tiny-qwen3", "Q8_0"), "chat:latest")


class Crashes(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.kill)
        self.daemon.add(any_model(), "text:latest")

    def under_way(self):
        """A long answer: (its events as they come, when it ended)."""
        events, ended = [], []

        def ask():
            try:
                for event in self.daemon.events("/api/generate", LONG):
                    events.append(event)
            except (AssertionError, OSError) as error:
                events.append({"error": str(error)})
            ended.append(time.monotonic())

        thread = threading.Thread(target=ask)
        thread.start()
        self.addCleanup(thread.join)
        wait_until(lambda: events, what="the first token")
        return events, ended

    def test_a_killed_worker_fails_its_requests_alone(self):
        events, ended = self.under_way()
        workers = self.daemon.worker_pids()
        self.assertEqual(len(workers), 1)
        killed = time.monotonic()
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: ended, 5, "the end of the answer")
        self.assertLess(ended[0] - killed, 1)
        self.assertIn("error", events[-1])
        self.assertIn("signal 9", events[-1]["error"])
        self.assertNotIn("busy", events[-1]["error"])
        # The next request waits at most for the first back-off, and is served.
        def served():
            status, _, data = self.daemon.request(
                "POST", "/api/generate", {**LONG, "stream": False, "options": {"num_predict": 3}})
            return status == 200 and json.loads(data)["done"]

        wait_until(served, 10, "an answer of the new worker")
        self.assertNotEqual(self.daemon.worker_pids(), workers)

    def test_a_killed_daemon_leaves_no_process(self):
        self.under_way()
        workers = self.daemon.worker_pids()
        self.assertTrue(workers)
        self.daemon.process.kill()
        wait_until(lambda: not any(alive(pid) for pid in workers), 2, "the workers' end")


class Answers(WithDaemon):
    def test_the_context_has_one_end_on_every_route(self):
        """A prompt of context - 1 or of context tokens is answered, one of more is not."""
        context = 160
        for name in ("text", "chat"):
            self.daemon.json("POST", "/api/create", {
                "model": f"{name}-small", "from": name, "stream": False,
                "parameters": {"num_ctx": context, "num_predict": 4, "temperature": 0}})
            self.addCleanup(self.daemon.request, "DELETE", "/api/delete",
                            json.dumps({"model": f"{name}-small"}))

        ollama = {"stream": False, "truncate": False, "shift": False}

        def said(words):
            return [{"role": "user", "content": words}]

        routes = {
            "/api/generate": lambda words: {**ollama, "model": "text-small", "raw": True,
                                            "prompt": words},
            "/api/chat": lambda words: {**ollama, "model": "chat-small", "think": False,
                                        "messages": said(words)},
            "/v1/completions": lambda words: {"model": "text-small", "prompt": words,
                                              "max_tokens": 4},
            "/v1/chat/completions": lambda words: {"model": "chat-small",
                                                   "reasoning_effort": "none",
                                                   "messages": said(words)},
            "/v1/generate": lambda words: {"model": "text-small", "prompt": words},
            "/v1/generate ": lambda words: {"model": "chat-small", "messages": said(words)},
        }
        for path, body_of in routes.items():
            path = path.strip()

            def ask(count):
                return self.daemon.request("POST", path, body_of(" a" * count))

            beside = counts_of(ask(10))[0] - 10  # what stands around: BOS, the template
            self.assertEqual(counts_of(ask(30))[0], 30 + beside, "' a' is not one token")
            for tokens, generated in ((context - 1, 1), (context, 1), (context, 1)):
                answer = ask(tokens - beside)
                with self.subTest(path=path, tokens=tokens):
                    self.assertEqual(answer[0], 200, answer)
                    self.assertEqual(counts_of(answer), (tokens, generated, "length"), answer)
            status, _, data = ask(context + 1 - beside)
            with self.subTest(path=path, tokens=context + 1):
                self.assertEqual(status, 400, data)
                self.assertIn(f"{context + 1} tokens", data.decode())
                self.assertIn(f"holds {context}:", data.decode())

        # Where the dialect cuts, it says so.
        turns = said(" a" * context) + [{"role": "assistant", "content": "b"}] + said("c")
        cut = self.daemon.json("POST", "/api/chat", {
            "model": "chat-small", "stream": False, "think": False, "messages": turns})
        self.assertLess(cut["prompt_eval_count"], context)
        self.assertTrue(any("left out" in warning for warning in cut["warnings"]), cut)

    def test_ollamas_way_cuts_and_says_so(self):
        answer = self.daemon.json("POST", "/api/generate", {
            "model": "text", "prompt": " a" * 100, "raw": True, "stream": False,
            "options": {"num_ctx": 32, "num_predict": 2, "temperature": 0}})
        self.assertLess(answer["prompt_eval_count"], 32)
        self.assertTrue(any("left out" in warning for warning in answer["warnings"]), answer)

    def test_a_shared_beginning_is_not_computed_again(self):
        prompt = [7 + i % 50 for i in range(100)]
        body = {"model": "text", "prompt": prompt, "max_tokens": 2, "temperature": 0}
        first = self.daemon.json("POST", "/v1/completions", body)
        second = self.daemon.json("POST", "/v1/completions", {**body, "prompt": prompt + [9, 9]})
        told = second["usage"]["prompt_tokens_details"]["cached_tokens"]
        self.assertEqual(told, 96, second)  # whole blocks of 32
        self.assertEqual(first["usage"]["prompt_tokens"], 100)

    def test_readiness_health_and_figures(self):
        self.assertEqual(self.daemon.request("GET", "/health")[0], 200)
        self.daemon.json("POST", "/v1/completions", {"model": "text", "prompt": "A",
                                                     "max_tokens": 2})
        self.assertTrue(self.daemon.json("GET", "/readyz")["ready"])
        status, headers, text = self.daemon.request("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertIn("version=0.0.4", headers["Content-Type"])
        self.assertIn(b"# TYPE", text)

    def test_pages_of_other_sites_are_kept_out(self):
        foreign = {"Host": "evil.example"}
        self.assertEqual(self.daemon.request("GET", "/api/tags", headers=foreign)[0], 403)
        self.assertEqual(
            self.daemon.request("GET", "/api/tags", headers={"Origin": "https://evil.example"})[0],
            403)
        self.assertEqual(
            self.daemon.request("GET", "/api/tags", headers={"Origin": "http://localhost:3000"})[0],
            200)


class Starting(unittest.TestCase):
    def test_it_is_told_apart_from_others(self):
        with Daemon() as daemon:
            told = omg_json("serve", "status", "--json", env=daemon.env)
            self.assertEqual(told["pid"], daemon.process.pid)
            second = omg("serve", "--port", "0", "--socket", daemon.socket, env=daemon.env)
            self.assertEqual(second.returncode, 1)
            self.assertIn(f"running already, process {daemon.process.pid}, at ".encode(),
                          second.stderr)
            self.assertIn(b"omg serve stop", second.stderr)
            omg_ok("serve", "stop", env=daemon.env)
            self.assertEqual(daemon.process.wait(timeout=20), 0)
            self.assertEqual(omg("serve", "status", env=daemon.env).returncode, 4)

    def test_an_answer_under_way_is_finished(self):
        daemon = Daemon()
        self.addCleanup(daemon.kill)
        daemon.add(endless_model(), "text:latest")
        events = []
        body = {**LONG, "options": {"num_predict": 1000, "temperature": 0}}
        for event in daemon.events("/api/generate", body):
            if not events:  # told here, where 999 tokens are still to come
                daemon.process.send_signal(signal.SIGTERM)
            events.append(event)
        self.assertTrue(events[-1].get("done"), events[-1:])
        self.assertEqual(events[-1]["eval_count"], 1000)
        self.assertEqual(daemon.process.wait(timeout=20), 0)

    def test_beyond_this_machine_only_with_a_key(self):
        with Daemon() as daemon:
            refused = subprocess.run(
                [str(BINARY), "serve", "--host", "0.0.0.0", "--port", "0", "--socket",
                 str(daemon.folder / "other")],
                env=daemon.env, capture_output=True, timeout=60, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(b"key", refused.stderr)
        open_daemon = Daemon("--host", "0.0.0.0", env={"OMG_API_KEY": "omg-secret-of-a-test"})
        self.addCleanup(open_daemon.stop)
        self.assertEqual(open_daemon.request("GET", "/api/tags")[0], 200)  # from this machine
        behind = {"X-Forwarded-For": "203.0.113.9"}
        self.assertEqual(open_daemon.request("GET", "/api/tags", headers=behind)[0], 401)
        behind["Authorization"] = "Bearer omg-secret-of-a-test"
        self.assertEqual(open_daemon.request("GET", "/api/tags", headers=behind)[0], 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
