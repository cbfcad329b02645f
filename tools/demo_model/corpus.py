# SPDX-License-Identifier: Apache-2.0
"""Conversations as token ids, in batches: an endless stream that follows from a seed.

Chunk i of the stream is always the same, so a training that was stopped goes on where it was.
"""

import random

import bpe
import phrasing

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END_OF_TEXT, START, END = SPECIALS
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
RAW_SHARE = 0.03  # texts outside of any conversation: stories, and what is said of the program
CONVERSATIONS = 3000  # of a chunk


def learn_vocabulary(writer, seed, size, conversations=15000):
    rng = random.Random(f"{seed} vocabulary")
    texts = []
    for _ in range(conversations):
        system, exchanges = writer.conversation(rng, noise=True)
        texts.append("system\n" + system)
        for made in exchanges:
            texts += ["user\n" + made.question, "assistant\n" + made.answer]
    return bpe.Tokenizer(bpe.learn(texts, size - 256 - len(SPECIALS)), SPECIALS)


class Encoder:
    """Texts to (ids, targets): a target is the next id, or -1 where nothing is to be learned."""

    def __init__(self, tokenizer, context):
        self.tokenizer = tokenizer
        self.context = context
        self.start, self.end = tokenizer.id(START), tokenizer.id(END)
        self.newline = tokenizer.encode("\n")

    def turn(self, role, text):
        return [self.start, *self.tokenizer.encode(f"{role}\n{text.strip()}"), self.end,
                *self.newline]

    def prompt(self, messages):
        """Ids up to where the assistant begins; messages: (role, text)."""
        ids = [i for role, text in messages for i in self.turn(role, text)]
        return ids + [self.start, *self.tokenizer.encode("assistant\n")]

    def conversation(self, system, exchanges):
        ids, learned = [], []
        if system:
            ids += self.turn("system", system)
            learned += [False] * len(ids)
        for made in exchanges:
            asked = self.turn("user", made.question)
            asked += [self.start, *self.tokenizer.encode("assistant\n")]
            answer = self.tokenizer.encode(made.answer) + [self.end]
            if len(ids) + len(asked) + len(answer) > self.context:
                break
            ids += asked + answer + self.newline
            learned += [False] * len(asked) + [True] * len(answer) + [False] * len(self.newline)
        return self._shifted(ids, learned)

    def raw(self, text):
        ids = self.tokenizer.encode(text) + [self.end]
        return self._shifted(ids, [True] * len(ids))

    @staticmethod
    def _shifted(ids, learned):
        targets = [i if wanted else -1 for i, wanted in zip(ids[1:], learned[1:])]
        return ids[:-1], targets


def chunk(writer, encoder, seed, index):
    """Samples of one chunk: (ids, targets)."""
    rng = random.Random(f"{seed} chunk {index}")
    samples = []
    for _ in range(CONVERSATIONS):
        if rng.random() < RAW_SHARE:
            made = writer.exchange(rng, phrasing.TRAIN, rng.choice(["story", "story", "fact"]))
            samples.append(encoder.raw(made.answer))
        else:
            samples.append(encoder.conversation(*writer.conversation(rng)))
    return samples


def batches(samples, tokens, seed):
    """Samples of like length together, at most `tokens` ids with their padding, in random order."""
    rng = random.Random(f"{seed} batches")
    # Lengths are blurred a little, so that batches differ between chunks.
    samples = sorted((sample for sample in samples if sample[0]),
                     key=lambda sample: len(sample[0]) * rng.uniform(0.95, 1.05))
    groups, group, longest = [], [], 0
    for sample in samples:
        length = max(longest, len(sample[0]))
        if group and length * (len(group) + 1) > tokens:
            groups.append(group)
            group, length = [], len(sample[0])
        group.append(sample)
        longest = length
    groups.append(group)
    rng.shuffle(groups)
    return groups
