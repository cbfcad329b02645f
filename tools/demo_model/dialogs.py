# SPDX-License-Identifier: Apache-2.0
"""Conversations: what the model is trained on, and questions to score it with.

A Writer makes exchanges of a question and its answer, by category, from one of two sets of
phrasings (phrasing.TRAIN, phrasing.TEST); a conversation is some exchanges after each other.
Everything follows from the seed of the random generator that is handed in.
"""

import dataclasses
import re

import commands as command_help
import phrasing
import stories
from phrasing import NEW_LINE, TEST, TRAIN, Phrasings, Split, expand
from shape import Config

UNKNOWN = ("I do not know that. I know OhMyGPU and its commands, capitals, small sums and short "
           "stories.")
CANNOT = ("I cannot do that. I can explain OhMyGPU and its commands, tell capitals, do small sums "
          "and tell short stories.")
NO_COUNTRY = "I do not know a country of that name."
NO_COMMAND = "I know no such command. `omg --help` lists all commands."
NO_OPTION = "I know no such option. `omg COMMAND --help` lists the options of a command."
MAX_SUM, MAX_FACTOR = 20, 10
TOO_LARGE = (f"Those numbers are too large for me: I add and subtract up to {MAX_SUM}, and "
             f"multiply up to {MAX_FACTOR}.")
NO_REMAINDER = f"I only divide where nothing remains, by 1 to {MAX_FACTOR}."
NAME_UNKNOWN = "You have not told me your name."

# How often each category is drawn for training.
WEIGHTS = {
    "command": 17, "recipe": 13, "fact": 7, "term": 5, "meaning": 6, "example": 5, "options": 3,
    "option": 7, "no_command": 3, "add": 12, "subtract": 12, "multiply": 5, "divide": 4,
    "too_large": 2, "capital": 11, "country": 5, "no_country": 5, "chat": 12, "unknown": 15,
    "cannot": 6, "story": 5, "name": 5, "repeat": 7,
}

_CONSONANTS = "b c d f g h j k l m n p r s t v w z bl br cl dr fl gr kr pl pr sh sk st tr".split()
_VOWELS = "a e i o u a e i o ai ea oo y".split()
_TAILS = ["", "", "", "n", "r", "s", "l", "x", "k", "m", "rd", "nt", "sh", "th"]


def pseudo_word(rng):
    """A word that probably nobody has used: 'blorvin'."""
    word = "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS)
                   for _ in range(rng.choice([1, 2, 2, 2, 3, 3])))
    return word + rng.choice(_TAILS)


@dataclasses.dataclass
class Exchange:
    question: str
    answer: str
    category: str
    subject: object = None  # what follow-ups ask about
    check: object = None  # a function text -> bool, where the answer is not one text


@dataclasses.dataclass
class Topic:
    key: str
    answer: str
    phrasings: Phrasings

    def has(self, part):
        return bool(self.phrasings.lines(part))

    def has_tasks(self):
        return any(not _stands_alone(texts[0]) for texts in self.phrasings.lines(TRAIN))


def _stands_alone(text):
    """Whether a phrasing is a question of its own; others are tasks for frames."""
    return text.endswith(("?", "."))


def _fills():
    filled = {}
    for entry in phrasing.read_table("fills.txt"):
        words = [word.strip() for line in entry.lines for word in line.split(",")]
        filled[entry.key] = Split.of(words)
    return filled


class Writer:
    def __init__(self, commands, million_weights=Config().million_weights()):
        self.commands = commands
        self.frames = {entry.key: Phrasings(entry.lines, new_lines=False)
                       for entry in phrasing.read_table("frames.txt")}
        self.fills = _fills()
        self.command_topics = self._command_topics()
        self.recipes = self._answered("recipes.txt")
        self.facts = self._answered("facts.txt")
        self.small_talk = [Topic(entry.key, entry.answer.replace("<weights>", million_weights),
                                 Phrasings(entry.lines))
                           for entry in phrasing.read_table("small_talk.txt")]
        self.terms = [([name.strip() for name in entry.key.split(";")], entry.answer)
                      for entry in phrasing.read_table("terms.txt")]
        self.capitals = [tuple(line.split("|")) for line in phrasing.read_lines("capitals.txt")]
        self.capital_lines = {entry.key: Phrasings(entry.lines, new_lines=False)
                              for entry in phrasing.read_table("capital_phrasings.txt")}
        self.nowhere = Split.of(phrasing.read_lines("nowhere.txt"))
        self.unknown_lines = {entry.key: Phrasings(entry.lines, new_lines=False)
                              for entry in phrasing.read_table("unknown.txt")}
        animals = self.fills["animal"]
        self.heroes = Split(stories.heroes(animals.train), animals.test)
        self.option_rows = self._options()
        self.words = self._words()
        held_out = set(self.fills["first"].test)
        self.other_names = [name for name in [*stories.NAMES, *self.fills["last"].train]
                            if name not in held_out]
        for answer in self.fixed_answers():
            command_help.check_answer(answer, commands)

    # -- what is known ----------------------------------------------------------------------------

    def _command_topics(self):
        written = {entry.key.rstrip("?").strip(): entry
                   for entry in phrasing.read_table("commands.txt")}
        missing = [key for key, entry in written.items()
                   if key not in {c.name for c in self.commands} and not entry.key.endswith("?")]
        if missing:
            raise ValueError(f"commands.txt has phrasings for commands that are gone: {missing}")
        topics = []
        for command in self.commands:
            entry = written.get(command.name)
            topic = Topic(command.name, entry and entry.answer or command.answer(),
                          Phrasings(entry.lines if entry else [], self._generic_lines(command)))
            topics.append((command, topic))
        return topics

    @staticmethod
    def _generic_lines(command):
        """Phrasings out of the one line of help, for commands that nobody has written any for."""
        summary = command.summary[0].lower() + command.summary[1:]
        if command.purpose():
            return [summary, f"{{use|run|call}} omg to {summary}", f"have omg {summary}"]
        first = summary.split()[0]
        if first in ("what", "whether", "who", "where", "how", "which"):
            return [f"{{see|find out|know}} {summary}", f"look up {summary}",
                    f"I want to know {summary}."]
        subject = re.sub(r"^the (\w+): .*", r"the \1", summary)
        return [f"{{see|use}} {subject}", f"{{learn|know}} about {subject}"]

    def _answered(self, table):
        topics = []
        for entry in phrasing.read_table(table):
            optional = entry.key.endswith("?")
            try:
                command_help.check_answer(entry.answer, self.commands)
            except ValueError:
                if optional:
                    continue
                raise
            topics.append(Topic(entry.key, entry.answer, Phrasings(entry.lines)))
        return topics

    def _options(self):
        """(option, commands that have it): one row for each spelling and description."""
        rows = {}
        for command in self.commands:
            for option in command.options:
                if option.name != "--help" and "<|" not in option.about:
                    rows.setdefault((option.name, option), []).append(command)
        meanings = {}
        for name, _ in rows:
            meanings[name] = meanings.get(name, 0) + 1
        return [(option, having, meanings[name] == 1) for (name, option), having in rows.items()]

    def _words(self):
        """What may have to be said back: whatever occurs, but for what is held out."""
        away = {word for split in self.fills.values() for text in split.test
                for word in text.split()}
        texts = [*self.fixed_answers(), *(name for pair in self.capitals for name in pair),
                 *stories.NAMES, *(text for split in self.fills.values() for text in split.train)]
        known = {word for text in texts for word in re.findall(r"\b[A-Za-z]{2,}\b", text)}
        return Split(sorted(known - away), sorted(away))

    def fixed_answers(self):
        """All answers that name commands."""
        for command, topic in self.command_topics:
            yield topic.answer
            yield command.options_answer()
        for topic in self.recipes + self.facts + self.small_talk:
            yield topic.answer
        for _, answer in self.terms:
            yield answer
        yield from (UNKNOWN, CANNOT, NO_COMMAND, NO_OPTION)

    # -- single exchanges -------------------------------------------------------------------------

    def _frame(self, rng, key, split, **fills):
        return expand(self.frames[key].draw(rng, split), rng, **fills)

    def _ask(self, rng, topic, split):
        """A question of a topic; for TEST, either its words or its frame are held out."""
        frame_split = TRAIN
        if split == TEST and topic.has_tasks() and (rng.random() < 0.4 or not topic.has(TEST)):
            frame_split = TEST
            text = topic.phrasings.draw(rng, TRAIN)
            while _stands_alone(text):
                text = topic.phrasings.draw(rng, TRAIN)
        else:
            text = topic.phrasings.draw(rng, split)
        if _stands_alone(text):
            return text
        return self._frame(rng, "task", frame_split, task=text)

    @staticmethod
    def _draw_topic(rng, topics, split):
        return rng.choice([topic for topic in topics
                           if topic.has(split) or (split == TEST and topic.has_tasks())])

    def _answer_of(self, command):
        return next(topic.answer for other, topic in self.command_topics if other is command)

    def command(self, rng, split):
        topic = self._draw_topic(rng, [topic for _, topic in self.command_topics], split)
        command = next(command for command, other in self.command_topics if other is topic)
        return Exchange(self._ask(rng, topic, split), topic.answer, "command", command)

    def recipe(self, rng, split):
        topic = self._draw_topic(rng, self.recipes, split)
        return Exchange(self._ask(rng, topic, split), topic.answer, "recipe")

    def fact(self, rng, split):
        topic = self._draw_topic(rng, self.facts, split)
        return Exchange(self._ask(rng, topic, split), topic.answer, "fact")

    def term(self, rng, split):
        names, answer = rng.choice(self.terms)
        return Exchange(self._frame(rng, "term", split, term=rng.choice(names)), answer, "term")

    def new_line(self, rng, _):
        """Not for training: words for a known thing of which nothing was trained."""
        maker = rng.choice([self.command, self.command, self.recipe, self.fact, self.chat])
        made = maker(rng, NEW_LINE)
        made.category = "new_line"
        return made

    def meaning(self, rng, split):
        command = rng.choice(self.commands)
        name = rng.choice([command.name, command.name, *command.aliases])
        question = self._frame(rng, "meaning", split, command=name)
        return Exchange(question, self._answer_of(command), "meaning", command)

    @staticmethod
    def _example_answer(command):
        example = command.examples[0] if command.examples else command.usage
        return f"For example: `{example}`"

    def example(self, rng, split):
        command = rng.choice(self.commands)
        return Exchange(self._frame(rng, "example", split, command=command.name),
                        self._example_answer(command), "example", command)

    def options(self, rng, split):
        command = rng.choice(self.commands)
        return Exchange(self._frame(rng, "options", split, command=command.name),
                        command.options_answer(), "options", command)

    def option(self, rng, split):
        option, having, is_one = rng.choice(self.option_rows)
        answer = f"`{option.spelling}`: {option.about}."
        if is_one and rng.random() < 0.6:
            question = self._frame(rng, "option", split, option=option.name)
        else:
            question = self._frame(rng, "optionof", split, option=option.name,
                                   command=rng.choice(having).name)
        return Exchange(question, answer, "option")

    def no_command(self, rng, split):
        word = pseudo_word(rng)
        if rng.random() < 0.25:
            return Exchange(self._frame(rng, "option", split, option="--" + word), NO_OPTION,
                            "no_command")
        key = rng.choice(["meaning", "meaning", "example", "options"])
        return Exchange(self._frame(rng, key, split, command=word), NO_COMMAND, "no_command")

    def _sum(self, rng, split, category, a, b, said):
        question = self._frame(rng, category, split, a=str(a), b=str(b))
        return Exchange(question, f"{a} {said}.", category)

    # Tables that are learned by heart: no pair is held out, phrasings are.

    def add(self, rng, split):
        a, b = rng.randint(0, MAX_SUM), rng.randint(0, MAX_SUM)
        return self._sum(rng, split, "add", a, b, f"+ {b} = {a + b}")

    def subtract(self, rng, split):
        a, b = rng.randint(0, MAX_SUM), rng.randint(0, MAX_SUM)
        if a < b and rng.random() < 0.6:
            a, b = b, a
        return self._sum(rng, split, "subtract", a, b, f"- {b} = {a - b}")

    def multiply(self, rng, split):
        a, b = rng.randint(0, MAX_FACTOR), rng.randint(0, MAX_FACTOR)
        return self._sum(rng, split, "multiply", a, b, f"* {b} = {a * b}")

    def divide(self, rng, split):
        b = rng.randint(1, MAX_FACTOR)
        a = b * rng.randint(0, MAX_FACTOR)
        answer = f"{a} / {b} = {a // b}."
        if rng.random() < 0.3:
            a = rng.randint(1, MAX_FACTOR * MAX_FACTOR)
            if a % b or a // b > MAX_FACTOR:
                answer = NO_REMAINDER
            else:
                answer = f"{a} / {b} = {a // b}."
        return Exchange(self._frame(rng, "divide", split, a=str(a), b=str(b)), answer, "divide")

    def too_large(self, rng, split):
        operation = rng.choice(["add", "subtract", "multiply"])
        first = MAX_FACTOR + 1 if operation == "multiply" else MAX_SUM + 1
        large = rng.randint(first, 10 ** rng.randint(2, 5))
        other = rng.choice([rng.randint(2, 50), rng.randint(2, 999), rng.randint(2, 9999)])
        a, b = (large, other) if rng.random() < 0.5 else (other, large)
        return Exchange(self._frame(rng, operation, split, a=str(a), b=str(b)), TOO_LARGE,
                        "too_large")

    def capital(self, rng, split):
        country, capital = rng.choice(self.capitals)
        line = self.capital_lines["capital"].draw(rng, split)
        question = expand(line, rng, country=country, othercity=rng.choice(self.capitals)[1])
        return Exchange(question, f"The capital of {country} is {capital}.", "capital", "capital")

    def country(self, rng, split):
        country, capital = rng.choice(self.capitals)
        line = self.capital_lines["country"].draw(rng, split)
        return Exchange(expand(line, rng, city=capital), f"{capital} is the capital of {country}.",
                        "country", "capital")

    def no_country(self, rng, split):
        """Asked as countries are, so that the name alone tells."""
        drawn, place = rng.random(), rng.choice(self.nowhere.get(split))
        if drawn < 0.35:
            place = pseudo_word(rng).capitalize() + rng.choice(["", "", "ia", "land", "stan"])
        elif drawn < 0.65:
            kind = rng.choice(["city", "thing", "animal", "first", "last", "company", "work"])
            place = rng.choice(self.fills[kind].get(split))
        line = self.capital_lines["capital"].draw(rng, split)
        question = expand(line, rng, country=place, othercity=rng.choice(self.capitals)[1])
        return Exchange(question, NO_COUNTRY, "no_country")

    def chat(self, rng, split):
        topic = rng.choice([topic for topic in self.small_talk if topic.has(split)])
        return Exchange(topic.phrasings.draw(rng, split), topic.answer, "chat")

    def _unknown(self, rng, split, key):
        def word(kind):
            def pick():
                if kind in ("thing", "place", "city", "company", "work") and rng.random() < 0.08:
                    return pseudo_word(rng).capitalize()
                # For scoring, the words are held out as well as the line.
                return rng.choice(self.fills[kind].get(split))
            return pick
        kinds = {kind: word(kind) for kind in self.fills if kind not in ("first", "last")}
        first, last = self.fills["first"].get(split), self.fills["last"].get(split)

        def person():
            drawn = rng.random()
            if drawn < 0.2:
                return rng.choice(last)
            name = pseudo_word(rng).capitalize() if drawn < 0.4 else rng.choice(last)
            return f"{rng.choice(first)} {name}"

        line = self.unknown_lines[key].draw(rng, split)
        while "<pseudo>" in line:
            line = line.replace("<pseudo>", pseudo_word(rng), 1)
        return expand(line, rng, person=person, city2=word("city"),
                      year=lambda: str(rng.randint(1000, 2030)),
                      bignumber=lambda: str(rng.randint(100, 99999)), **kinds)

    def unknown(self, rng, split):
        return Exchange(self._unknown(rng, split, "question"), UNKNOWN, "unknown")

    def cannot(self, rng, split):
        return Exchange(self._unknown(rng, split, "request"), CANNOT, "cannot")

    def story(self, rng, split):
        if rng.random() < 0.35:
            hero = rng.choice(self.heroes.train)
            question = self._frame(rng, "story", split)
            return Exchange(question, stories.story(rng, hero), "story", "story", stories.is_story)
        hero = rng.choice(self.heroes.get(split) if split == TRAIN or rng.random() < 0.5
                          else self.heroes.train)
        question = self._frame(rng, "storyabout", split, hero=stories.article(hero))
        return Exchange(question, stories.story(rng, hero), "story", "story",
                        lambda text: stories.is_story(text, hero))

    def _name(self, rng, split):
        if rng.random() < 0.4:
            return pseudo_word(rng).capitalize()
        if split == TRAIN and rng.random() < 0.3:
            return rng.choice(self.other_names)
        return rng.choice(self.fills["first"].get(split))

    def name(self, rng, split):
        name = self._name(rng, split)
        return Exchange(self._frame(rng, "myname", split, name=name),
                        f"Nice to meet you, {name}. What can I do for you?", "name", name)

    def repeat(self, rng, split):
        """Words to say back. Nothing else teaches as quickly to copy what was said before, which
        names and the heroes of stories need."""
        known = self.words.get(split)
        words = " ".join(pseudo_word(rng) if rng.random() < 0.4 else rng.choice(known)
                         for _ in range(rng.randint(1, 6)))
        return Exchange(self._frame(rng, "repeat", split, words=words), words, "repeat")

    def exchange(self, rng, split, category=None):
        if category is None:
            category = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        return getattr(self, category)(rng, split)

    def follow_up(self, rng, split, before):
        """A question that only the exchange before it explains, or None."""
        subject = before.subject
        if isinstance(subject, command_help.Command):
            if rng.random() < 0.5:
                return Exchange(self._frame(rng, "followexample", split),
                                self._example_answer(subject), "follow_up", subject)
            return Exchange(self._frame(rng, "followoptions", split), subject.options_answer(),
                            "follow_up", subject)
        if subject == "capital":
            country, capital = rng.choice(self.capitals)
            line = self.capital_lines["follow"].draw(rng, split)
            return Exchange(expand(line, rng, country=country),
                            f"The capital of {country} is {capital}.", "follow_up", "capital")
        if subject == "story":
            hero = rng.choice(self.heroes.train)
            return Exchange(self._frame(rng, "another", split), stories.story(rng, hero),
                            "follow_up", "story", stories.is_story)
        return None

    # -- conversations ----------------------------------------------------------------------------

    def recall(self, rng, split, name):
        answer = f"Your name is {name}." if name else NAME_UNKNOWN
        return Exchange(self._frame(rng, "whoami", split), answer, "recall")

    def system(self, rng, split):
        """(system message, exchange that it decides or None)."""
        if rng.random() < 0.4:
            return self._frame(rng, "system", split), None
        name = self._name(rng, split)
        who = next(topic for topic in self.small_talk if topic.key == "who")
        answer = f"I am {name}, a small language model that comes with OhMyGPU."
        return (self._frame(rng, "systemname", split, name=name),
                Exchange(who.phrasings.draw(rng, split), answer, "system"))

    def conversation(self, rng, noise=True):
        """(system message or "", exchanges) for training."""
        # Long ones are few: attention makes a token at 1000 five times as dear as one at 60.
        turns = rng.choice([1, 1, 1, 1, 1, 2, 2, 2, 3, 4]) if rng.random() < 0.93 else \
            rng.choice([5, 6, 6, 7, 8, 20])
        system, exchanges, name = "", [], None
        if rng.random() < 0.12:
            system, first = self.system(rng, TRAIN)
            if first:
                exchanges.append(first)
                turns = min(turns, 3)
        while len(exchanges) < turns:
            made = None
            drawn = rng.random()
            if drawn < 0.2:
                made = exchanges and self.follow_up(rng, TRAIN, exchanges[-1])
            elif drawn < (0.4 if name else 0.21):
                made = self.recall(rng, TRAIN, name)
            made = made or self.exchange(rng, TRAIN)
            if system and made.answer == self.small_talk_answer("who"):
                continue  # a named assistant has its own answer to that
            if made.category == "name":
                name = made.subject
            exchanges.append(made)
        if noise:
            for made in exchanges:
                made.question = disturb(rng, made)
        return system, exchanges

    def small_talk_answer(self, key):
        return next(topic.answer for topic in self.small_talk if topic.key == key)


# -- how people type ------------------------------------------------------------------------------

_BEFORE = ["please, ", "hey, ", "so, ", "ok, ", "hi, ", "and ", "well, ", "hello, ", "um, "]
_AFTER = [" please", ", please", " thanks", " in short", " here"]
ARITHMETIC = {"add", "subtract", "multiply", "divide", "too_large"}
KEEPS_CASE = {"name", "system", "repeat"}  # what is answered is spelled as in the question
EXACT = ARITHMETIC | KEEPS_CASE | {"chat"}


def plain_noise(rng, text, keep_case=False):
    """Without capitals, without the mark at the end."""
    drawn = rng.random()
    if drawn < 0.4 and not keep_case:
        text = text.lower()
    elif drawn < 0.75:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.3:
        text = text.rstrip("?.!").rstrip()
    return text


def _typo(rng, text):
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    i = rng.choice(long)
    word = words[i]
    at = rng.randint(1, len(word) - 2)
    words[i] = rng.choice([
        word[:at] + word[at + 1:],  # left out
        word[:at] + word[at + 1] + word[at] + word[at + 2:],  # exchanged
        word[:at] + word[at] + word[at:],  # doubled
    ])
    return " ".join(words)


def disturb(rng, exchange):
    """The question as somebody in a hurry types it."""
    text = plain_noise(rng, exchange.question, keep_case=exchange.category in KEEPS_CASE)
    if exchange.category not in EXACT:
        if rng.random() < 0.07:
            text = rng.choice(_BEFORE) + text[0].lower() + text[1:]
        if rng.random() < 0.06:
            text = text.rstrip("?.") + rng.choice(_AFTER) + rng.choice(["", "?", "."])
        if rng.random() < 0.08:
            text = _typo(rng, text)
    return text
