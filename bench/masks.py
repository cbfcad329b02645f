#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a grammar costs while tokens are generated: masks.py OMG MODEL.gguf [--users 1 16]

The same daemon answers the same prompts with a JSON schema and without, in turns; each answer is
--tokens long (the schemas have no end before that). Told is the processor time of a token, of the
daemon and its worker together: while masks are made, the worker's threads spin, so it is as the
time that passes, but other programs that run meanwhile do not count.
"""

import argparse
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import threading
import time

PORT = 18434
SCHEMAS = {
    "numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 10000},
    "texts": {"type": "array", "items": {"type": "string", "minLength": 6}, "minItems": 10000},
    "records": {"type": "array", "minItems": 10000, "items": {
        "type": "object", "required": ["name", "kind", "size"], "additionalProperties": False,
        "properties": {"name": {"type": "string"}, "kind": {"enum": ["small", "large"]},
                       "size": {"type": "number"}}}},
}


def ask(body):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=1800)
    connection.request("POST", "/api/generate", json.dumps(body),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"answered {answer.status}: {told}")
    return told


def processor_seconds(daemon):
    """Of it and its children."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if daemon.pid in (int(stat.parent.name), int(fields[1])):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def token_ms(options, daemon, users, schema):
    """Processor time of a token of all users."""
    answers = []

    def one(number):
        body = {"model": "m:latest", "prompt": f"{number} a river and a stone", "raw": True,
                "stream": False, "options": {"temperature": 0.8, "seed": number,
                                             "num_predict": options.tokens}}
        if schema:
            body["format"] = schema
        told = ask(body)
        if told["eval_count"] != options.tokens:
            raise SystemExit(f"an answer has {told['eval_count']} tokens")
        answers.append(told)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(users)]
    begin = processor_seconds(daemon)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answers) != users:
        raise SystemExit("an answer failed")
    return 1000 * (processor_seconds(daemon) - begin) / (users * options.tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("omg")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--users", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({"OMG_MODELS": f"{folder}/models", "OMG_SOCKET": f"{folder}/s",
                           "XDG_CONFIG_HOME": folder, "HOME": folder})
        subprocess.run([options.omg, "import", options.model.resolve(), "--name", "m:latest"],
                       check=True, stdout=subprocess.DEVNULL)
        daemon = subprocess.Popen([options.omg, "serve", "--port", str(PORT), "--threads",
                                   str(options.threads)], stderr=subprocess.DEVNULL)
        try:
            wait_for_it()
            token_ms(options, daemon, max(options.users), None)
            print("| users | schema | ms of a token | without | masks take |")
            print("|---|---|---|---|---|")
            for users in options.users:
                for name, schema in SCHEMAS.items():
                    tell(options, daemon, users, name, schema)
        finally:
            daemon.terminate()
            daemon.wait()


def wait_for_it():
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
            connection.request("GET", "/health")
            connection.getresponse()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the daemon did not start")


def tell(options, daemon, users, name, schema):
    with_masks, without = [], []
    for _ in range(options.rounds):
        with_masks.append(token_ms(options, daemon, users, schema))
        without.append(token_ms(options, daemon, users, None))
    # Of pairs, since neighbours in time share what else the machine does.
    shares = [1 - plain / ours for ours, plain in zip(with_masks, without)]
    print(f"| {users} | {name} | {statistics.median(with_masks):.1f} "
          f"| {statistics.median(without):.1f} | {100 * statistics.median(shares):.1f} % "
          f"({100 * min(shares):.1f} to {100 * max(shares):.1f}) |", flush=True)


if __name__ == "__main__":
    main()
