#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon beside others: serve.py OMG MODEL.gguf [--peer LLAMA_SERVER] [--in-process]

All serve the same file on the same threads and are asked by the same client, over /v1/completions
with streams, in turns; who is not asked is idle. Each round each user asks once: a prompt
of its own of --prompt tokens, then --tokens generated. Told are generated tokens per second in
total, from the first request to the last token, and the time to the first token of each user.
With --in-process the bare batcher is given as many tokens by `omg bench` in each round, which tells
what HTTP, the worker's process, sampling and text cost. Then each begins its round by loading the
model and one untimed pass: a process that has been there while others of its size came and went is
up to a fifth slower on a virtual machine, whose host takes memory back and gives it again.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# A virtual machine hands the memory of the process that was measured before back to its host, some
# seconds after that has ended: 0.3 s of a round of 12 s went there.
REST_S = 6
PASSES = 3  # of a round with --in-process

WORDS = ("river stone light window garden paper silver morning bridge letter forest engine "
         "winter table music yellow ocean market doctor history").split()


def prompt_for(number, tokens):
    """Different from the first word on, so that no user's prompt is another's prefix."""
    words = [WORDS[(number * 7 + i * (number + 3)) % len(WORDS)] for i in range(tokens)]
    return f"{number} " + " ".join(words)


class Server:
    def __init__(self, name, command, port, model):
        self.name = name
        self.port = port
        self.model = model
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)

    def wait(self):
        end = time.monotonic() + 300
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        self.log.seek(0)
        sys.exit(f"{self.name} did not start: {self.log.read().decode(errors='replace')[-2000:]}")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def unload(self):
        """Ours alone."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/api/generate",
                           json.dumps({"model": self.model, "keep_alive": 0}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            sys.exit(f"{self.name} did not unload: {answer.read().decode()}")
        connection.close()

    def ask(self, prompt, tokens, result):
        """Appends (time of the first token, time of the last, tokens generated)."""
        body = {"model": self.model, "prompt": prompt, "max_tokens": tokens, "temperature": 0,
                "stream": True, "stream_options": {"include_usage": True}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1800)
        connection.request("POST", "/v1/completions", json.dumps(body),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            sys.exit(f"{self.name} answered {answer.status}: {answer.read().decode()}")
        first = None
        generated = 0
        prompted = 0
        for line in answer:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if first is None and any(choice.get("text") for choice in event["choices"]):
                first = time.monotonic()
            if event.get("usage"):
                generated = event["usage"]["completion_tokens"]
                prompted = event["usage"]["prompt_tokens"]
        connection.close()
        result.append((first or time.monotonic(), time.monotonic(), generated, prompted))


def one_round(server, users, prompt_tokens, tokens, number, rest_s=REST_S):
    """All users at once. {tokens per second, times to first token}."""
    time.sleep(rest_s)
    results = []
    prompts = [prompt_for(number * users + i, prompt_tokens) for i in range(users)]
    threads = [threading.Thread(target=server.ask, args=(p, tokens, results)) for p in prompts]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end = max(last for _, last, _, _ in results)
    first = sorted(time_of_first - begin for time_of_first, _, _, _ in results)
    generated = sum(count for _, _, count, _ in results)
    after_prompts = end - max(time_of_first for time_of_first, _, _, _ in results)
    return {"rate": generated / (end - begin), "first": first, "generated": generated,
            "prompt": statistics.mean(p for _, _, _, p in results), "after": after_prompts}


def fresh_round(server, users, prompt_tokens, tokens, number):
    """A round by a worker that was not there before, as in_process() has it."""
    server.unload()
    passes = [one_round(server, users, prompt_tokens, tokens, number + i, rest_s=REST_S * (i == 0))
              for i in range(PASSES + 1)][1:]
    return sorted(passes, key=lambda one: one["rate"])[PASSES // 2]


def in_process(options, users, prompt_tokens):
    """The same number of tokens by the batcher alone, after an untimed pass: {rate}."""
    time.sleep(REST_S)
    done = subprocess.run(
        [options.omg, "bench", options.model, "-p", str(prompt_tokens), "-n", str(options.tokens),
         "-b", str(users), "--served", "-r", str(PASSES), "-t", str(options.threads), "--json"],
        check=True, capture_output=True)
    total = next(test for test in json.loads(done.stdout) if test["prompt"] and test["generate"])
    share = options.tokens / (prompt_tokens + options.tokens)
    return {"rate": total["tokens_per_second"]["median"] * share, "first": [0.0], "prompt":
            prompt_tokens}


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def describe(rounds):
    firsts = [t for r in rounds for t in r["first"]]
    rates = [r["rate"] for r in rounds]
    return {"rates": rates, "rate": statistics.median(rates), "least": min(rates),
            "most": max(rates),
            "p50": percentile(firsts, 0.5), "p95": percentile(firsts, 0.95),
            "prompt": rounds[0]["prompt"]}


def measure(options, servers, users):
    """{name: figures} of all rounds, in turns."""
    rounds = {}
    for number in range(options.rounds):
        for server in servers:
            measured = fresh_round if options.in_process else one_round
            done = measured(server, users, options.prompt, options.tokens,
                            users * 1000 + number * (PASSES + 1))
            rounds.setdefault(server.name, []).append(done)
        if options.in_process:
            prompt_tokens = round(rounds["ohmygpu"][-1]["prompt"])
            rounds.setdefault("the engine alone", []).append(
                in_process(options, users, prompt_tokens))
    return {name: describe(one) for name, one in rounds.items()}


def show(table):
    print("| users | server | prompt tokens | tokens/s in total | first token p50 | p95 |")
    print("|---|---|---|---|---|---|")
    for users, row in table.items():
        for name, told in row.items():
            print(f"| {users} | {name} | {told['prompt']:.0f} | {told['rate']:.1f} "
                  f"({told['least']:.1f}-{told['most']:.1f}) | {told['p50']:.2f} s "
                  f"| {told['p95']:.2f} s |")
        ours = row["ohmygpu"]
        for name, other in row.items():
            if name == "ohmygpu":
                continue
            firsts = ([f"{ours[p] / other[p]:.2f}" for p in ("p50", "p95")] if other["p50"]
                      else ["", ""])
            # Of each round by itself: what the machine does in the meantime is in both.
            ratios = sorted(a / b for a, b in zip(ours["rates"], other["rates"]))
            print(f"| {users} | ohmygpu / {name} | | {statistics.median(ratios):.2f} "
                  f"({ratios[0]:.2f}-{ratios[-1]:.2f}) | {firsts[0]} | {firsts[1]} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("omg")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--peer", metavar="LLAMA_SERVER", help="the program to measure beside us")
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--users", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=1024, help="of each user")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    slots = max(options.users)
    with tempfile.TemporaryDirectory() as folder:
        environment = {"OMG_MODELS": f"{folder}/models", "OMG_SOCKET": f"{folder}/s",
                       "XDG_CONFIG_HOME": folder, "PATH": "/usr/bin:/bin", "HOME": folder}
        subprocess.run([options.omg, "import", options.model.resolve(), "--name", "m:latest"],
                       env=environment, check=True, stdout=subprocess.DEVNULL)
        os.environ.update(environment)
        servers = [
            Server("ohmygpu", [options.omg, "serve", "--port", "18434", "--threads",
                               str(options.threads)], 18434, "m:latest"),
        ]
        if options.peer:
            command = [options.peer, "-m", str(options.model), "--port", "18435", "-np", str(slots),
                       "-c", str(options.context * slots), "-t", str(options.threads),
                       "-tb", str(options.threads), "--no-webui"]
            servers.append(Server("llama-server", command, 18435, "m"))
        try:
            for server in servers:
                server.wait()
                server.ask("warm", 4, [])
            table = {users: measure(options, servers, users) for users in options.users}
        finally:
            for server in servers:
                server.stop()
    if options.json:
        print(json.dumps(table))
        return
    show(table)


if __name__ == "__main__":
    main()
