#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""That the text which the model is trained on is what it should be: guide_test.py BINARY

Every command of the program is in it, every answer names what exists, nothing that is scored was
trained, and the same seed gives the same text.
"""

import pathlib
import random
import re
import sys
import unittest

import bpe
import commands as command_help
import corpus
import dialogs
import phrasing
import score
import stories

BINARY = sys.argv.pop(1)
COMMANDS = command_help.read_commands(BINARY)
WRITER = dialogs.Writer(COMMANDS)


def conversations(seed, count=60):
    rng = random.Random(seed)
    return [WRITER.conversation(rng) for _ in range(count)]


def all_topics():
    return ([topic for _, topic in WRITER.command_topics] + WRITER.recipes + WRITER.facts
            + WRITER.small_talk)


def texts_of(seed):
    return [(system, [(made.question, made.answer) for made in exchanges])
            for system, exchanges in conversations(seed)]


class TextTest(unittest.TestCase):
    def test_each_command_is_asked_for_and_answered(self):
        listed = set()
        for _ in range(3000):
            made = WRITER.exchange(RNG, phrasing.TRAIN, "command")
            self.assertIn(f"`omg {made.subject.name}", made.answer)
            listed.add(made.subject.name)
        self.assertEqual(listed, {command.name for command in COMMANDS})
        self.assertIn("pull", listed)

    def test_a_command_without_phrasings_is_asked_for_in_the_words_of_its_help(self):
        new = command_help.Command("polish", "Make a model shine", "omg polish MODEL", (), (), "")
        writer = dialogs.Writer([*COMMANDS, new])
        topic = next(topic for command, topic in writer.command_topics if command is new)
        self.assertEqual(topic.answer, "To make a model shine, run `omg polish MODEL`.")
        self.assertIn(["make a model shine"], topic.phrasings.lines(phrasing.TRAIN))

    def test_answers_that_name_what_is_not_there_are_refused(self):
        for answer in ("Run `omg polish`.", "Run `omg pull MODEL --shine`.", "`x | omg bogus`"):
            with self.assertRaises(ValueError, msg=answer):
                command_help.check_answer(answer, COMMANDS)
        command_help.check_answer("Run `omg pull MODEL --quant Q4_K_M`.", COMMANDS)

    def test_commands_of_the_chat_exist(self):
        source = pathlib.Path(__file__).parents[2] / "src/clients/cli/repl.cc"
        known = set(re.findall(r'\{"(/\w+)"', source.read_text(encoding="utf-8")))
        self.assertIn("/bye", known)
        for answer in WRITER.fixed_answers():
            self.assertLessEqual(set(re.findall(r"`(/\w+)", answer)), known)

    def test_how_a_model_is_pulled(self):
        pull = next(topic for command, topic in WRITER.command_topics if command.name == "pull")
        self.assertIn("`omg pull MODEL`", pull.answer)
        self.assertIn("pull a model", pull.phrasings.lines(phrasing.TRAIN)[0])

    def test_the_same_seed_gives_the_same_text(self):
        self.assertEqual(texts_of("a"), texts_of("a"))
        self.assertNotEqual(texts_of("a"), texts_of("b"))

    def test_what_is_scored_was_not_trained(self):
        """Not one of 4000 exchanges, before they are disturbed, is a question of the scores."""
        scored = {phrasing.normal(q.messages[-1][1]) for q in score.questions(WRITER, 1, 20)
                  if q.category not in ("follow_up", "recall", "natural")}
        rng = random.Random("trained")
        trained = {phrasing.normal(WRITER.exchange(rng, phrasing.TRAIN).question)
                   for _ in range(4000)}
        self.assertGreater(len(scored), 400)
        self.assertEqual(scored & trained, set())

    def test_what_is_held_out_is_in_one_part_alone(self):
        for topic in all_topics():
            parts = [{phrasing.normal(text) for texts in topic.phrasings.lines(part)
                      for text in texts}
                     for part in (phrasing.TRAIN, phrasing.TEST, phrasing.NEW_LINE)]
            self.assertTrue(parts[0], topic.key)
            self.assertEqual(parts[0] & (parts[1] | parts[2]), set(), topic.key)
        for frames in (*WRITER.frames.values(), *WRITER.capital_lines.values(),
                       *WRITER.unknown_lines.values()):
            parts = [{phrasing.normal(text) for texts in frames.lines(part) for text in texts}
                     for part in (phrasing.TRAIN, phrasing.TEST)]
            self.assertTrue(parts[0] and parts[1])
            self.assertEqual(parts[0] & parts[1], set())

    def test_expansions_are_all_and_tidy(self):
        self.assertEqual(sorted(phrasing.expansions("{a|b {c|d}|} <x>{| !}")),
                         ["<x>", "<x>!", "a <x>", "a <x>!", "b c <x>", "b c <x>!", "b d <x>",
                          "b d <x>!"])

    def test_no_question_has_two_answers(self):
        answers = {}
        for topic in all_topics():
            for part in (phrasing.TRAIN, phrasing.TEST, phrasing.NEW_LINE):
                for text in (text for texts in topic.phrasings.lines(part) for text in texts):
                    text = phrasing.normal(text)
                    other = answers.setdefault(text, topic)
                    self.assertIs(other, topic, f"'{text}': '{other.key}' or '{topic.key}'?")

    def test_stories_are_known_as_such(self):
        for _ in range(200):
            text = stories.story(RNG, "fox")
            self.assertTrue(stories.is_story(text, "fox"), text)
            self.assertFalse(stories.is_story(text, "owl"))
            self.assertFalse(stories.is_story(text.rsplit(".", 3)[0], "fox"))

    def test_arithmetic_is_right(self):
        for category in ("add", "subtract", "multiply"):
            for split in (phrasing.TRAIN, phrasing.TEST):
                for _ in range(50):
                    made = WRITER.exchange(RNG, split, category)
                    asked, said = made.answer.rstrip(".").split(" = ")
                    a, sign, b = asked.split()
                    value = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}
                    self.assertEqual(int(said), value[sign])
                    self.assertEqual(sorted(re.findall(r"\d+", made.question)), sorted([a, b]))

    def test_a_vocabulary_gives_each_text_back(self):
        texts = [made.answer for _, made_ones in conversations("c") for made in made_ones]
        tokenizer = bpe.Tokenizer(bpe.learn(texts, 60), corpus.SPECIALS)
        for text in [*texts[:40], "Zürich, naïve … 日本 <|im_end|>", " two  spaces\n\n12 "]:
            self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)
        self.assertEqual(len(tokenizer.pieces), 256 + 60 + 3)


RNG = random.Random("test")

if __name__ == "__main__":
    unittest.main()
