# SPDX-License-Identifier: Apache-2.0
"""Tables of phrasings, their expansion, and which of them are kept for scoring.

A table is a text file of entries:

    == key            the key of an entry; after '=' its answer, if it has one of its own
    a line            phrasings; {a|b} is a choice, also nested; <name> is filled by the caller
    !a line           one that is never held out

What is held out is decided by texts before anything is filled in, so that a held-out phrasing was
never seen with any filling. The first phrasing of an entry, the commonest, is never held out.
"""

import dataclasses
import hashlib
import pathlib
import re
import sys

TRAIN, TEST = "train", "test"
NEW_LINE = "new line"  # a line of which nothing was trained: harder than TEST
ALWAYS = "!"
TEXT = pathlib.Path(__file__).parent / "text"
_CHOICE = re.compile(r"\{([^{}]*)\}")


def digest(text):
    """A number that is the same in each run and on each machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def held_out(lines, always, share, fewest):
    """Those of `lines` that are kept for scoring: at least one of `fewest` or more.

    The first line and those of `always` are what most people say, and are always trained.
    """
    free = [line for line in lines[1:] if line not in always]
    count = max(round(len(lines) * share), 1) if len(lines) >= fewest else 0
    return set(sorted(free, key=digest)[:count])


@dataclasses.dataclass
class Split:
    """Lines for training and lines for scoring."""

    train: list
    test: list

    @classmethod
    def of(cls, lines, share=0.15, fewest=4):
        always = {line[1:].strip() for line in lines if line.startswith(ALWAYS)}
        lines = list(dict.fromkeys(line.removeprefix(ALWAYS).strip() for line in lines))
        away = held_out(lines, always, share, fewest)
        return cls([line for line in lines if line not in away],
                   [line for line in lines if line in away])

    def get(self, split):
        return self.test if split == TEST else self.train


class Phrasings:
    """The lines of an entry with all their expansions, in three parts.

    Of one line in ten (at least one, where there are five) nothing is trained: NEW_LINE. Of the
    others, one expansion in seven is held out: TEST.
    """

    def __init__(self, lines, trained=(), new_lines=True):
        """Lines of `trained` are trained whole. Without `new_lines` something is of every line."""
        whole = Split.of(lines, 0.1, fewest=5 if new_lines else sys.maxsize)
        self._parts = {TRAIN: [], TEST: [], NEW_LINE: [expansions(line) for line in whole.test]}
        for number, line in enumerate(whole.train):
            texts = expansions(line)
            away = {text for text in texts[number == 0:]
                    if digest("held out " + normal(text)) % 7 == 0}
            if len(away) == len(texts):
                away = set()
            self._parts[TRAIN].append([text for text in texts if text not in away])
            if away:
                self._parts[TEST].append([text for text in texts if text in away])
        self._parts[TRAIN] += [expansions(line) for line in trained]
        # Lines overlap; what one of them trains, no other holds out.
        known = {normal(text) for texts in self._parts[TRAIN] for text in texts}
        for part in (TEST, NEW_LINE):
            kept = [[text for text in texts if normal(text) not in known]
                    for texts in self._parts[part]]
            self._parts[part] = [texts for texts in kept if texts]

    def lines(self, part):
        """Lists of expansions, one for each line."""
        return self._parts[part]

    def draw(self, rng, part):
        return rng.choice(rng.choice(self._parts[part]))


def expansions(line, limit=4000):
    """All texts of a line, in the order of its choices; <name> stays."""
    found, todo = [], [line]
    while todo:
        text = todo.pop()
        choice = _CHOICE.search(text)
        if choice:
            todo += [text[:choice.start()] + one + text[choice.end():]
                     for one in reversed(choice.group(1).split("|"))]
        else:
            found.append(_tidy(text))
        if len(found) + len(todo) > limit:
            raise ValueError(f"too many choices: {line}")
    return list(dict.fromkeys(found))


def normal(text):
    """What is left of a text when it is typed without capitals and marks at its end."""
    return text.lower().rstrip("?.! ")


def _tidy(text):
    return re.sub(r" +([?.!,])", r"\1", re.sub(r" {2,}", " ", text)).strip()


def expand(line, rng, **fills):
    """One text of a line. Fills are texts, or functions that make one."""
    while True:
        found = _CHOICE.search(line)
        if not found:
            break
        line = line[:found.start()] + rng.choice(found.group(1).split("|")) + line[found.end():]
    for name, value in fills.items():
        if f"<{name}>" in line:
            line = line.replace(f"<{name}>", value() if callable(value) else value)
    return _tidy(line)


@dataclasses.dataclass
class Entry:
    key: str
    answer: str  # "" if the table has none
    lines: list


def read_table(name):
    entries = []
    for number, line in enumerate((TEXT / name).read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("=="):
            key, _, answer = line[2:].partition("=")
            entries.append(Entry(key.strip(), answer.strip(), []))
        elif not entries:
            raise ValueError(f"{name}:{number}: a phrasing before the first '== key'")
        else:
            entries[-1].lines.append(line)
    return entries


def read_lines(name):
    """A plain list, one a line."""
    text = (TEXT / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines()
            if line.strip() and not line.startswith("#")]
