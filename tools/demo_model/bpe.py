# SPDX-License-Identifier: Apache-2.0
"""Byte-level BPE: learning a vocabulary, and encoding with it.

Pieces and merges are written as GPT-2's files write them; text is first cut as the pre-tokenizer
"smollm" of GGUF files says: each digit alone, then GPT-2's pattern. (\\p{L} is spelled [^\\W\\d_],
which is the same for the text at hand.)
Source of the method: Sennrich et al., "Neural Machine Translation of Rare Words with Subword
Units"; of bytes as the alphabet: Radford et al., "Language Models are Unsupervised Multitask
Learners".
"""

import collections
import heapq
import re

PRE_TOKENIZER = "smollm"
_DIGITS = re.compile(r"(\d)")
_GPT2 = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def byte_alphabet():
    """The printable character that stands for each byte in a GGUF file's vocabulary."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, extra = {}, 0
    for byte in range(256):
        if byte in plain:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(256 + extra)
            extra += 1
    return table


BYTES = byte_alphabet()


def words_of(text):
    for part in _DIGITS.split(text):
        if part:
            yield from _GPT2.findall(part)


def _symbols(word):
    return tuple(BYTES[byte] for byte in word.encode("utf-8"))


def learn(texts, merge_count):
    """The most frequent pair becomes a piece, merge_count times; ties go to the smaller text."""
    counts = collections.Counter()
    for text in texts:
        counts.update(words_of(text))
    words = [(list(_symbols(word)), count) for word, count in sorted(counts.items())]
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for index, (symbols, count) in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            pairs[pair] += count
            where[pair].add(index)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    merges = []
    while heap and len(merges) < merge_count:
        count, pair = heapq.heappop(heap)
        if pairs[pair] != -count:
            continue  # an old entry; the current one is in the heap too
        merges.append(pair)
        changed = set()
        for index in sorted(where[pair]):
            symbols, weight = words[index]
            for old in zip(symbols, symbols[1:]):
                pairs[old] -= weight
                changed.add(old)
            merged, at = [], 0
            while at < len(symbols):
                if tuple(symbols[at:at + 2]) == pair:
                    merged.append(symbols[at] + symbols[at + 1])
                    at += 2
                else:
                    merged.append(symbols[at])
                    at += 1
            words[index] = (merged, weight)
            for new in zip(merged, merged[1:]):
                pairs[new] += weight
                where[new].add(index)
                changed.add(new)
        for old in changed:
            if pairs[old] > 0:
                heapq.heappush(heap, (-pairs[old], old))
    return merges


class Tokenizer:
    """Ids: the 256 bytes in the alphabet's order, the merges, the special tokens."""

    def __init__(self, merges, specials):
        self.merges = [tuple(merge) for merge in merges]
        self.specials = list(specials)
        alphabet = sorted(BYTES.values())
        self.pieces = alphabet + ["".join(merge) for merge in self.merges] + self.specials
        self._ids = {piece: i for i, piece in enumerate(self.pieces)}
        self._ranks = {merge: rank for rank, merge in enumerate(self.merges)}
        self._cache = {}

    def id(self, piece):
        return self._ids[piece]

    def _word(self, word):
        symbols = list(_symbols(word))
        while len(symbols) > 1:
            best = min(range(len(symbols) - 1),
                       key=lambda i: self._ranks.get((symbols[i], symbols[i + 1]), 1 << 30))
            if (symbols[best], symbols[best + 1]) not in self._ranks:
                break
            symbols[best:best + 2] = [symbols[best] + symbols[best + 1]]
        return [self._ids[symbol] for symbol in symbols]

    def encode(self, text):
        ids = []
        for word in words_of(text):
            known = self._cache.get(word)
            if known is None:
                known = self._word(word)
                if len(self._cache) < 200_000:
                    self._cache[word] = known
            ids += known
        return ids

    def decode(self, ids):
        back = {character: byte for byte, character in BYTES.items()}
        text = "".join(self.pieces[i] for i in ids if self.pieces[i] not in self.specials)
        return bytes(back[c] for c in text).decode("utf-8", "replace")
