# SPDX-License-Identifier: Apache-2.0
"""Short stories from a grammar, and whether a text is one.

A hero has a kind and a name, a place to live, a wish or a trouble, a helper and an ending; what is
said once (name, kind, thing) comes back later, so that a model has to keep it in mind.
"""

import re

PEOPLE = ["king", "queen", "girl", "boy", "robot", "dragon", "wizard", "knight", "princess",
          "prince", "ghost", "giant", "fisherman", "pirate", "computer"]
NAMES = ["Tom", "Lily", "Max", "Mia", "Ben", "Zoe", "Sam", "Ruby", "Leo", "Nora", "Finn", "Ida",
         "Otto", "Pia", "Gus", "Tilda", "Bruno", "Wanda", "Hugo", "Flora"]
ADJECTIVES = ["small", "young", "old", "brave", "shy", "curious", "clever", "kind", "lazy",
              "cheerful", "quiet", "hungry"]
PLACES = ["by a river", "in a deep forest", "on a high hill", "in a little town", "near the sea",
          "in an old tower", "under a big tree", "on a green island"]
THINGS = ["key", "lamp", "map", "bell", "book", "ring", "drum", "box", "stone", "mirror", "letter",
          "coin"]
THING_ADJECTIVES = ["golden", "tiny", "strange", "shining", "broken", "heavy", "blue", "dusty"]
FINDING = ["in the grass", "behind a door", "at the bottom of a well", "on the road",
           "inside a hollow tree", "under a bridge"]
HELPERS = ["owl", "fox", "turtle", "mouse", "crow", "cat", "frog", "bear"]
LOST = ["way home", "old hat", "red scarf", "favourite song", "secret map", "warm blanket"]
WISHES = ["see the sea", "fly like a bird", "learn to sing", "find a friend", "touch the moon",
          "bake the best cake in the land", "climb the highest hill", "hear a story"]
ENDINGS = ["From that day on, {name} was never alone again.",
           "And {name} slept well that night.",
           "And if you listen in the evening, you can still hear {name} laugh.",
           "{name} was happy for a long time.",
           "And that was the best day of all."]
OPENINGS = ["Once upon a time there was", "Long ago there lived", "There once was",
            "In a faraway land there lived"]


def article(word):
    return ("an " if word[0].lower() in "aeiou" else "a ") + word


def heroes(animals):
    return animals + PEOPLE


def story(rng, hero):
    """A story of about 70 words about `hero` ("fox")."""
    name = rng.choice(NAMES)
    adjective = rng.choice(ADJECTIVES)
    helper = rng.choice([h for h in HELPERS if h != hero])
    thing = rng.choice(THINGS)
    look = rng.choice(THING_ADJECTIVES)
    wish = rng.choice(WISHES)
    lines = [f"{rng.choice(OPENINGS)} {article(adjective)} {hero} named {name}, who lived "
             f"{rng.choice(PLACES)}."]
    plot = rng.randrange(4)
    if plot == 0:
        lines += [
            f"One morning {name} found {article(look)} {thing} {rng.choice(FINDING)}.",
            rng.choice([f"\"Whose {thing} is this?\" asked {name}.",
                        f"{name} had never seen such a {thing}."]),
            f"{article(helper).capitalize()} came by and said: \"It is mine. I have looked for it "
            "everywhere.\"",
            rng.choice([f"{name} gave the {thing} back, and the {helper} was so glad that they "
                        "became friends.",
                        f"So {name} gave it back, and the {helper} shared its supper with "
                        f"{name}."])]
    elif plot == 1:
        lines += [
            f"More than anything, {name} wanted to {wish}.",
            f"\"That is too hard for {article(hero)},\" said the others.",
            f"But {article(helper)} said: \"I know a way. Come with me.\"",
            "They walked " + rng.choice(["for three days", "all night", "over seven hills",
                                         "through wind and rain"]) + ", and they did not give up.",
            rng.choice([f"In the end, the wish of {name} came true.",
                        f"And in the end {name} could do it: {wish}."])]
    elif plot == 2:
        weather = rng.choice(["storm", "great rain", "cold winter", "long night"])
        lines += [
            f"One day a {weather} came, and {article(helper)} knocked at the door.",
            f"\"May I come in?\" asked the {helper}. \"I am cold and have no home.\"",
            rng.choice([f"{name} thought for a moment, and opened the door.",
                        f"\"Of course,\" said {name}."]),
            f"They drank tea and told stories until the {weather} was over.",
            f"When the sun came back, the {helper} gave {name} {article(look)} {thing}."]
    else:
        lost = rng.choice(LOST)
        lines += [
            f"One day {name} lost the {lost}.",
            f"{name} looked {rng.choice(FINDING)}, and it was not there.",
            f"Then {name} met {article(helper)} with {article(look)} {thing}.",
            f"\"Take this {thing},\" said the {helper}. \"It will help you.\"",
            rng.choice([f"{name} took it, and soon the {lost} was there again.",
                        f"With the {thing}, {name} found the {lost} before the evening came."])]
    lines.append(rng.choice(ENDINGS).format(name=name))
    return " ".join(lines)


def is_story(text, hero=None):
    """Whether a text holds together: one named hero who stays, and one of the endings."""
    named = re.search(r"\ban? (\w+) (\w+) named (\w+), who lived ", text)
    if not named or not text.startswith(tuple(OPENINGS)):
        return False
    adjective, kind, name = named.groups()
    if adjective not in ADJECTIVES or name not in NAMES or (hero and kind != hero):
        return False
    others = [n for n in NAMES if n != name and re.search(rf"\b{n}\b", text)]
    ends = any(text.endswith(ending.format(name=name)) for ending in ENDINGS)
    sentences = re.findall(r"[.!?]", text)
    return not others and ends and 5 <= len(sentences) <= 14 and text.count(name) >= 2
