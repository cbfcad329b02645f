#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the transcripts of the built-in model, tests/golden/guide.json:

    python3 tests/golden/make.py [--binary build/release/bin/ohmygpu] [--check]

What is in prompts.py is asked at temperature 0 of the scalar reference kernels
(OMG_CPU_ISA=scalar), one request at a time; tests/e2e/test_guide.py holds everything else against
that. Run it again when the model was trained anew or prompts.py was changed; --check only compares.

Floats are summed in another order by each instruction set, so that two tokens of nearly the same
probability could change places. A prompt where any choice was as close as that is refused: take
another one.
"""

import argparse
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "guide.json"
# Of log probabilities, between the token that came and the next best one. Activations are rounded
# to 8 bits, where a sum's last bit may tip the scales: between instruction sets such differences
# were seen to move by up to 0.04.
LEAST_MARGIN = 0.1

sys.dont_write_bytecode = True


def margin_of(logprobs):
    """The closest choice of an answer."""
    return min(first["logprob"] - second["logprob"]
               for first, second in (token["top_logprobs"] for token in logprobs))


def chat(daemon, messages, most):
    answer = daemon.json("POST", "/v1/chat/completions", {
        "model": "guide", "messages": messages, "temperature": 0, "max_completion_tokens": most,
        "logprobs": True, "top_logprobs": 2})
    (choice,) = answer["choices"]
    return {"text": choice["message"]["content"], "tokens": answer["usage"]["completion_tokens"],
            "finish": choice["finish_reason"], "margin": margin_of(choice["logprobs"]["content"])}


def converse(daemon, conversation, most):
    messages = []
    if "system" in conversation:
        messages.append({"role": "system", "content": conversation["system"]})
    answers = []
    for turn in conversation["turns"]:
        messages.append({"role": "user", "content": turn})
        answers.append(chat(daemon, messages, most))
        messages.append({"role": "assistant", "content": answers[-1]["text"]})
    return answers


def go_on(daemon, text, most):
    answer = daemon.json("POST", "/v1/completions", {
        "model": "guide", "prompt": text, "temperature": 0, "max_tokens": most, "logprobs": 2})
    (choice,) = answer["choices"]
    margins = []
    for best in choice["logprobs"]["top_logprobs"]:
        ranked = sorted(best.values(), reverse=True)
        if len(ranked) > 1:  # two tokens may have the same text
            margins.append(ranked[0] - ranked[1])
    return {"text": choice["text"], "tokens": answer["usage"]["completion_tokens"],
            "finish": choice["finish_reason"], "margin": min(margins)}


def make(prompts):
    from daemon import Daemon
    from harness import omg_json

    store = omg_json("show", "guide", "--json")["store"]
    golden = {"model": store["artifacts"][0]["digest"], "max_tokens": prompts.MAX_TOKENS,
              "conversations": [], "texts": []}
    with Daemon(env={"OMG_CPU_ISA": "scalar"}) as daemon:
        for conversation in prompts.CONVERSATIONS:
            answers = converse(daemon, conversation, prompts.MAX_TOKENS)
            golden["conversations"].append({**conversation, "answers": answers})
        for text in prompts.TEXTS:
            golden["texts"].append({"prompt": text, **go_on(daemon, text, prompts.MAX_TOKENS)})
    return golden


def show(golden, least_margin):
    close = []
    rows = [(turn, answer) for conversation in golden["conversations"]
            for turn, answer in zip(conversation["turns"], conversation["answers"])]
    rows += [(text["prompt"], text) for text in golden["texts"]]
    for prompt, answer in rows:
        print(f"{answer['margin']:6.3f}  {prompt}  →  {' '.join(answer['text'].split())}")
        if answer["margin"] < least_margin:
            close.append(prompt)
    return close


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=HERE.parents[1] / "build/release/bin/ohmygpu",
                        type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it would change")
    parser.add_argument("--margin", default=LEAST_MARGIN, type=float,
                        help=f"the closest choice that is accepted; default: {LEAST_MARGIN}")
    options = parser.parse_args()
    os.environ["OMG_BINARY"] = str(options.binary.resolve())
    sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
    import prompts

    golden = make(prompts)
    close = show(golden, options.margin)
    if close:
        sys.exit(f"too close to tell whether instruction sets agree: {close}; change prompts.py")
    text = json.dumps(golden, indent=1, ensure_ascii=False) + "\n"
    if options.check:
        sys.exit(0 if OUT.read_text(encoding="utf-8") == text else f"{OUT} is not what it would be")
    OUT.write_text(text, encoding="utf-8")
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
