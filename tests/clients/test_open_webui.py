#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A recorded session of Open WebUI, replayed to the byte. What must hold of the answers is what its
backend does with them, written down as checks: what it would not find, or not parse, fails."""

import datetime
import hashlib
import http.client
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "hub")]
from daemon import Daemon, wait_until  # noqa: E402
from harness import TIMEOUT, any_model, made_model  # noqa: E402
from server import Hub  # noqa: E402

SESSION = json.loads((HERE / "open_webui_session.json").read_text())
# aiohttp's reader gives up on longer ones: "Chunk too big".
LONGEST_LINE = 1 << 16


class Reply:
    """An answer as it came, line by line where it is a stream."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.type = response.headers.get("Content-Type", "")
        self.lines = []
        for line in response:
            self.lines.append(line)
        self.body = b"".join(self.lines)

    def json(self):
        """aiohttp's json(): raises unless the type says that it is JSON."""
        if not re.match(r"application/json\s*(;|$)", self.type):
            raise AssertionError(f"aiohttp does not take {self.type!r} for JSON: {self.body!r}")
        return json.loads(self.body)


def send(daemon, method, path, headers, body):
    """As the header list says, nothing added."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=TIMEOUT)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders(body)
    return connection


class Replay:
    """One request after the other, and what they leave for later ones."""

    def __init__(self, test, daemon, names):
        self.test = test
        self.daemon = daemon
        self.names = names
        self.step = None

    def filled(self, value):
        if isinstance(value, str):
            if value in self.names:
                return self.names[value]
            for name, text in self.names.items():
                if isinstance(text, str):
                    value = value.replace(name, text)
            return value
        if isinstance(value, list):
            return [self.filled(entry) for entry in value]
        if isinstance(value, dict):
            return {key: self.filled(entry) for key, entry in value.items()}
        return value

    def body_of(self, step):
        if "file" in step:
            return pathlib.Path(self.filled(step["file"])).read_bytes()
        if "body" not in step:
            return None
        body = self.filled(step["body"])
        if step.get("compact"):
            return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        return json.dumps(body).encode()

    def headers_of(self, step, body):
        headers = [["Host", f"127.0.0.1:{self.daemon.port}"], *step["headers"]]
        if step.get("user"):
            headers += SESSION["user"]
        headers += SESSION["clients"][step["client"]]
        if body is not None:
            headers.append(["Content-Length", str(len(body))])
        return headers

    def run(self, step):
        self.step = step
        method, path = self.filled(step["request"]).split(" ", 1)
        body = self.body_of(step)
        connection = send(self.daemon, method, path, self.headers_of(step, body), body)
        try:
            reply = Reply(connection.getresponse())
        finally:
            connection.close()
        self.test.assertEqual(reply.status, step.get("status", 200), reply.body)
        self.test.assertNotIn("Content-Encoding", reply.headers)
        getattr(self, "check_" + step["check"])(reply)

    # The Ollama connection.

    def check_nothing(self, reply):
        """The status is all that is looked at."""

    def check_version(self, reply):
        version = reply.json()["version"]
        numbers = tuple(map(int, re.sub(r"^v|-.*", "", version).split(".")))
        self.test.assertGreaterEqual(len(numbers), 2)

    def check_tags(self, reply):
        models = {model["model"]: model for model in reply.json()["models"]}
        for model in models.values():
            self.test.assertEqual(model["name"], model["model"])
            self.test.assertIn(":", model["model"])  # else it asks for another, with ":latest"
            self.test.assertGreater(model["size"], 0)
            self.test.assertRegex(model["digest"], "^[0-9a-f]{64}$")
            self.test.assertIsInstance(model["details"]["quantization_level"], str)
            self.test.assertTrue(model["details"]["parameter_size"])
        for name in [self.names["$CHAT"], self.names["$TEXT"], *self.step.get("lists", [])]:
            self.test.assertIn(name, models)
        for name in self.step.get("lists_not", []):
            self.test.assertNotIn(name, models)

    def check_nothing_loaded(self, reply):
        self.test.assertEqual(reply.json()["models"], [])

    def check_loaded(self, reply):
        (model,) = reply.json()["models"]
        self.test.assertEqual(model["model"], self.names["$CHAT"])
        self.test.assertEqual(model["name"], self.names["$CHAT"])
        until = datetime.datetime.fromisoformat(model["expires_at"])
        self.test.assertGreater(int(until.timestamp()), time.time())

    def check_show(self, reply):
        shown = reply.json()
        self.test.assertIn("qwen3.context_length", shown["model_info"])
        self.test.assertIn("tools", shown["capabilities"])
        self.test.assertTrue(shown["details"]["family"])

    def check_ollama_error(self, reply):
        error = reply.json()["error"]
        self.test.assertIsInstance(error, str)
        self.test.assertIn(self.step["says"], error)

    def stream_of(self, reply):
        """NDJSON: an object a line, and an end of which usage can be made."""
        self.test.assertRegex(reply.type, "^application/x-ndjson")
        self.test.assertIsNone(reply.headers.get("Content-Length"))
        self.test.assertLess(max(map(len, reply.lines)), LONGEST_LINE)
        for line in reply.lines:
            self.test.assertTrue(line.endswith(b"\n"))
        parts = [json.loads(line) for line in reply.lines]
        self.test.assertEqual([part.get("done", False) for part in parts],
                              [False] * (len(parts) - 1) + [True])
        return parts

    def check_usage(self, last):
        for field in ("prompt_eval_count", "eval_count", "total_duration", "prompt_eval_duration"):
            self.test.assertGreater(int(last[field]), 0, field)
        for word in self.step.get("warns", []):
            self.test.assertTrue(any(word in w for w in last.get("warnings", [])), (word, last))

    def check_ollama_stream(self, reply):
        parts = self.stream_of(reply)
        self.test.assertGreater(len(parts), 1)
        for part in parts:
            self.test.assertEqual(part["message"]["role"], "assistant")
            self.test.assertIsInstance(part["message"]["content"], str)
            self.test.assertIsInstance(part["message"].get("thinking", ""), str)
        self.check_usage(parts[-1])

    def check_ollama_thinks(self, reply):
        self.check_ollama_stream(reply)
        parts = self.stream_of(reply)
        self.test.assertTrue("".join(part["message"].get("thinking", "") for part in parts))

    def check_ollama_whole(self, reply):
        answer = reply.json()
        self.test.assertIsInstance(answer["message"]["content"], str)
        self.check_usage(answer)

    def check_ollama_json(self, reply):
        self.check_ollama_whole(reply)
        self.test.assertIn(self.step["has"], json.loads(reply.json()["message"]["content"]))

    def check_generate_stream(self, reply):
        parts = self.stream_of(reply)
        self.test.assertTrue("".join(part["response"] for part in parts))

    def check_pull(self, reply):
        parts = [json.loads(line) for line in reply.lines]
        self.test.assertEqual(parts[-1]["status"], "success")
        shown = [part for part in parts if part.get("digest")]
        self.test.assertTrue(shown)
        for part in shown:
            self.test.assertLessEqual(part.get("completed", 0), part["total"])

    def check_pull_fails(self, reply):
        parts = [json.loads(line) for line in reply.lines]
        self.test.assertTrue(parts[-1]["error"])

    def check_created(self, reply):
        parts = [json.loads(line) for line in reply.lines]
        self.test.assertEqual(parts[-1]["status"], "success")

    def check_unloaded(self, reply):
        answer = reply.json()
        self.test.assertEqual(answer["done_reason"], "unload")

        def is_gone():
            models = self.daemon.json("GET", "/api/ps")["models"]
            return all(model["model"] != self.names["$CHAT"] for model in models)

        wait_until(is_gone, what="the model's end")

    # The OpenAI connection.

    def check_models(self, reply):
        listed = {model["id"] for model in reply.json()["data"]}
        self.test.assertLessEqual({self.names["$CHAT"], self.names["$TEXT"]}, listed)

    def check_preflight(self, reply):
        self.test.assertEqual(reply.headers["Access-Control-Allow-Origin"],
                              "http://localhost:3000")
        allowed = reply.headers["Access-Control-Allow-Headers"].lower()
        self.test.assertIn("authorization", allowed)
        self.test.assertIn("content-type", allowed)

    def check_models_for_browser(self, reply):
        self.check_models(reply)
        self.test.assertEqual(reply.headers["Access-Control-Allow-Origin"],
                              "http://localhost:3000")

    def check_openai_error(self, reply):
        error = reply.json()["error"]
        self.test.assertIn(self.step["says"], error["message"])

    def chunks_of(self, reply):
        """As its middleware reads a stream: lines that begin with 'data:', until '[DONE]'."""
        self.test.assertRegex(reply.type, "^text/event-stream")
        self.test.assertLess(max(map(len, reply.lines)), LONGEST_LINE)
        data = [line[len(b"data:"):].strip() for line in reply.lines if line.startswith(b"data:")]
        self.test.assertEqual(data[-1], b"[DONE]")
        chunks = [json.loads(piece) for piece in data[:-1]]
        for chunk in chunks:
            self.test.assertNotIn("error", chunk)
        return chunks

    def check_openai_stream(self, reply):
        chunks = self.chunks_of(reply)
        text, reason, usage = "", None, None
        for chunk in chunks:
            usage = chunk.get("usage") or usage
            choices = chunk.get("choices", [])
            if not choices:
                continue
            delta = choices[0].get("delta", {})
            text += delta.get("content") or ""
            text += (delta.get("reasoning_content") or delta.get("reasoning")
                     or delta.get("thinking") or "")
            reason = choices[0].get("finish_reason") or reason
        self.test.assertTrue(text)
        self.test.assertIn(reason, ("stop", "length"))
        if self.step.get("usage"):
            self.test.assertGreater(usage["prompt_tokens"], 0)
            self.test.assertGreater(usage["completion_tokens"], 0)
        else:
            self.test.assertIsNone(usage)

    def check_openai_calls(self, reply):
        """Deltas of calls are put together by index; what comes out goes back as it is."""
        calls = []
        for chunk in self.chunks_of(reply):
            for delta in (chunk["choices"] or [{}])[0].get("delta", {}).get("tool_calls") or []:
                known = [call for call in calls if call["index"] == delta["index"]]
                if not known:
                    delta.setdefault("function", {})
                    delta["function"].setdefault("name", "")
                    delta["function"].setdefault("arguments", "")
                    calls.append(delta)
                    continue
                known[0]["function"]["name"] += delta["function"].get("name") or ""
                known[0]["function"]["arguments"] += delta["function"].get("arguments") or ""
        self.test.assertTrue(calls)
        for call in calls:
            self.test.assertEqual(call["function"]["name"], "get_weather")
            self.test.assertIn(json.loads(call["function"]["arguments"])["city"],
                               ("Paris", "Rome"))
        self.names["$TOOL_CALLS"] = calls[:1]
        self.names["$TOOL_CALL_ID"] = calls[0]["id"]

    def check_openai_whole(self, reply):
        (choice,) = reply.json()["choices"]
        message = choice["message"]
        self.test.assertTrue(message.get("content") or message.get("reasoning_content"))

    def check_openai_json(self, reply):
        content = reply.json()["choices"][0]["message"]["content"]
        # It cuts from the first brace to the last.
        found = json.loads(content[content.find("{"):content.rfind("}") + 1])
        self.test.assertIn(self.step["has"], found)


class OpenWebUI(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="omg-webui-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        tiny = cls.folder / "hub" / "org" / "tiny-GGUF"
        tiny.mkdir(parents=True)
        shutil.copy(made_model(kind="Q8_0"), tiny / "tiny-Q8_0.gguf")
        hub = Hub(cls.folder / "hub")
        cls.addClassCleanup(hub.stop)
        cls.daemon = Daemon(env={"HF_ENDPOINT": hub.url})
        cls.addClassCleanup(cls.daemon.stop)
        cls.daemon.add(any_model(), "text:latest")
        cls.daemon.add(made_model("tiny-qwen3", "Q8_0", HERE / "chat_template.jinja"),
                       "chat:latest")

    def test_the_session(self):
        file = made_model("tiny-llama", "Q4_0")
        replay = Replay(self, self.daemon, {
            "$CHAT": "chat:latest",
            "$TEXT": "text:latest",
            "$FILE": str(file),
            "$DIGEST": "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest(),
        })
        for step in SESSION["session"]:
            with self.subTest(step["step"]):
                replay.run(step)

    def test_the_stop_button_ends_the_answer(self):
        """Its session is closed in the middle of a stream."""
        body = json.dumps({"model": "text:latest", "prompt": "Once", "raw": True,
                           "options": {"num_predict": 100000}}).encode()
        headers = [["Host", f"127.0.0.1:{self.daemon.port}"], ["Content-Type", "application/json"],
                   *SESSION["clients"]["aiohttp"], ["Content-Length", str(len(body))]]
        connection = send(self.daemon, "POST", "/api/generate", headers, body)
        response = connection.getresponse()
        json.loads(response.readline())
        response.close()
        connection.close()

        def is_idle():
            runs = self.daemon.json("GET", "/v1/runs")["runs"]
            return runs and all(run["answers"] == 0 for run in runs)

        wait_until(is_idle, 5, "the end of the answer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
