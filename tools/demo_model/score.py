#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Scores a finished guide.gguf on held-out phrasings, through the program itself.

    python3 tools/demo_model/score.py [--model models/guide/guide.gguf]

Questions go to a daemon's /api/chat at temperature 0. An answer is right if it is the expected text
to the letter; a story, if it holds together (stories.is_story). Needs no PyTorch.
"""

import argparse
import concurrent.futures
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import threading

import commands as command_help
import dialogs
import phrasing
from dialogs import MAX_FACTOR, MAX_SUM, Writer
from shape import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUESTIONS = 100  # of each category
ABOUT = {
    "command": "how to do what a command does", "recipe": "tasks that take a flag or two commands",
    "fact": "what OhMyGPU is and does", "term": "words of the trade",
    "meaning": "what a command does",
    "example": "an example of a command", "options": "the options of a command",
    "option": "what an option does", "no_command": "commands and options that do not exist",
    "add": f"sums to {MAX_SUM} + {MAX_SUM}", "subtract": "differences, also below nothing",
    "multiply": f"products to {MAX_FACTOR} * {MAX_FACTOR}",
    "divide": "quotients, also such as leave a rest",
    "too_large": "numbers out of range: says so", "capital": "capitals of 197 countries",
    "country": "the country of a capital", "no_country": "what is no country: says so",
    "chat": "greetings, thanks, who are you …", "unknown": "unknown things: says so",
    "cannot": "requests that it cannot do: says so", "story": "stories, about heroes held out",
    "repeat": "says words back",
    "name": "takes note of a name", "recall": "… and knows it later, or says that it does not",
    "follow_up": "\"and of Spain?\", \"give me an example.\", \"another one\"",
    "system": "has the name that the system message gives",
    "new_line": "known things in words of which none was trained",
    "natural": "questions written by hand, apart from the tables (a word of the answer)",
}


@dataclasses.dataclass
class Question:
    category: str
    messages: list  # (role, text), the last one the question
    answer: str
    check: object = None

    def is_right(self, text):
        return self.check(text) if self.check else text.strip() == self.answer


def _question(writer, rng, category):
    messages = []
    if category == "recall":
        told = writer.exchange(rng, phrasing.TEST, "name") if rng.random() < 0.75 else None
        before = [told] if told else []
        before += [writer.exchange(rng, phrasing.TEST) for _ in range(rng.randint(0, 2))]
        while any(made is not told and made.category == "name" for made in before):
            before = [made for made in before if made is told or made.category != "name"]
        made = writer.recall(rng, phrasing.TEST, told and told.subject)
    elif category == "follow_up":
        before = [writer.exchange(rng, phrasing.TEST, rng.choice(["command", "capital", "story"]))]
        made = writer.follow_up(rng, phrasing.TEST, before[0])
    elif category == "system":
        made = None
        while made is None:
            system, made = writer.system(rng, phrasing.TEST)
        before, messages = [], [("system", system)]
    else:
        before, made = [], writer.exchange(rng, phrasing.TEST, category)
    for earlier in before:
        messages += [("user", earlier.question), ("assistant", earlier.answer)]
    text = made.question
    if rng.random() < 0.5:
        text = dialogs.plain_noise(rng, text, keep_case=category in dialogs.KEEPS_CASE)
    return Question(category, messages + [("user", text)], made.answer, made.check)


def natural():
    """Questions by hand; the same each time."""
    found = []
    for line in phrasing.read_lines("natural.txt"):
        question, word = line.rsplit("|", 1)
        found.append(Question("natural", [("user", question)], word,
                              lambda text, word=word: word in text))
    return found


def questions(writer, seed, count=QUESTIONS):
    """The same for the same seed and texts; none twice."""
    rng, found = random.Random(f"{seed} score"), []
    for category in ABOUT:
        if category == "natural":
            found += natural()
            continue
        seen = set()
        for _ in range(count * 20):
            made = _question(writer, rng, category)
            key = tuple(made.messages)
            if len(seen) < count and key not in seen:
                seen.add(key)
                found.append(made)
    return found


class Daemon:
    """`omg serve` with a store of its own that holds the one model."""

    def __init__(self, binary, model):
        self.folder = tempfile.TemporaryDirectory(prefix="omg-g-")
        path = pathlib.Path(self.folder.name)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("OMG_", "OLLAMA_"))}
        env |= {"OMG_MODELS": str(path / "models"), "XDG_RUNTIME_DIR": str(path),
                "XDG_CONFIG_HOME": str(path), "XDG_STATE_HOME": str(path), "OMG_DIRECT": "1"}
        subprocess.run([binary, "import", model, "--name", "guide"], env=env, check=True,
                       stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen(
            [binary, "serve", "--port", "0", "--socket", str(path / "s")], env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            found = re.search(r"listening on http://[^ ]*:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        else:
            raise SystemExit("the daemon did not start")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.folder.cleanup()

    def answer(self, messages):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        body = {"model": "guide", "stream": False, "options": {"temperature": 0,
                                                               "num_predict": 300},
                "messages": [{"role": role, "content": text} for role, text in messages]}
        connection.request("POST", "/api/chat", json.dumps(body))
        answer = connection.getresponse()
        data = json.loads(answer.read())
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"/api/chat answered {answer.status}: {data}")
        return data["message"]["content"]


def score(binary, model, writer, seed, count=QUESTIONS):
    """category -> (right, all, wrong ones as (question, answer))."""
    asked = questions(writer, seed, count)
    with Daemon(binary, model) as daemon, concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda q: daemon.answer(q.messages), asked))
    results = {}
    for question, text in zip(asked, answers):
        right, everything, wrong = results.get(question.category, (0, 0, []))
        is_right = question.is_right(text)
        results[question.category] = (
            right + is_right, everything + 1,
            wrong if is_right else wrong + [(question.messages, text, question.answer)])
    return results


def table(results):
    lines = ["| What is asked | Right | Asked | Share |", "|---|---|---|---|"]
    for category, (right, everything, _) in results.items():
        lines.append(f"| {ABOUT[category]} | {right} | {everything} "
                     f"| {100 * right / everything:.0f} % |")
    right = sum(r for r, _, _ in results.values())
    everything = sum(a for _, a, _ in results.values())
    lines.append(f"| **all** | {right} | {everything} | {100 * right / everything:.1f} % |")
    return "\n".join(lines)


CARD = """# guide

A tiny chat model that explains OhMyGPU: {weights} weights, Llama family, {size} bytes in {type}.
It was trained from nothing by [tools/demo_model](../../tools/demo_model/README.md), on text that
the script there generates, and on nothing else. Apache-2.0, like the program.

## What it is for

The first minute with OhMyGPU, with no network and no download, and real text for the project's own
tests. It knows the program's commands and options, facts of the program, the capitals of the world,
sums and differences to {sum}, products to {factor} times {factor}, and short stories; it greets,
remembers a name within a conversation, and says so when it does not know something.

## What it is not

It has seen nothing but phrasings from tables, so it takes what is close to them for the same
question: a question about something unknown that sounds like a known one may get the known one's
answer. It only speaks English. Nothing it says outside of the program's commands should be relied
on. It remembers what stands in its context of {context} tokens, and was trained on few
conversations of more than 300.

## Data

Made by the script from phrasing tables and grammars, seed {seed}: what is said of commands and
options comes from `omg --help` and `omg COMMAND --help` of the program as it was built, and answers
that name a command or flag which is not there stop the script. It was trained with these commands:
{commands}.

Questions are disturbed as people type: no capitals, no question mark, "please", a typo. About one
phrasing in seven of each entry and one word in seven of what fills unknown questions were never
trained; these are what the scores below are of. They combine words anew that other phrasings have;
what happens with other words, the last two rows tell. Sums and capitals are learned by heart: there
the phrasing is new, and the numbers and countries are not.

## Training

{steps} steps, {minutes} minutes of processor time in all (two cores: half of that), PyTorch on a
CPU, float32. Layers: {shape}. Tokens: byte-level BPE of its own, {vocabulary} pieces, each digit by
itself. Template: ChatML.

## Scores

Answers of this file, given by the program's daemon at temperature 0, to phrasings that were held
out; half of them also without capitals or marks. Right is what is the expected answer to the letter
(a story: one hero who stays, and an end; questions by hand: a word that the answer must have).

{table}

`python3 tools/demo_model/score.py` repeats them.
"""


def write_card(binary, model, writer, seed, minutes, steps, path):
    config = Config()
    results = score(binary, model, writer, seed)
    path.write_text(CARD.format(
        weights=config.million_weights() + " million", size=f"{model.stat().st_size:,}",
        type="Q8_0", sum=MAX_SUM, factor=MAX_FACTOR,
        context=config.context, seed=seed, steps=steps, minutes=f"{minutes:.0f}",
        commands=", ".join(f"`{command.name}`" for command in writer.commands),
        shape=f"{config.layers} of width {config.width}, {config.heads} heads that share "
              f"{config.kv_heads} of keys and values, {config.ff} inside",
        vocabulary=config.vocabulary, table=table(results)), encoding="utf-8")
    report(results)


def report(results, shown=4):
    print(table(results))
    for category, (_, _, wrong) in results.items():
        for messages, text, expected in wrong[:shown]:
            print(f"\n{category}: {messages}\n  said     {text!r}\n  expected {expected!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build/release/bin/ohmygpu"))
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/guide/guide.gguf")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=QUESTIONS)
    parser.add_argument("--wrong", type=int, default=4, help="wrong answers shown of a category")
    options = parser.parse_args()
    writer = Writer(command_help.read_commands(options.binary))
    report(score(options.binary, options.model, writer, options.seed, options.count),
           options.wrong)


if __name__ == "__main__":
    main()
