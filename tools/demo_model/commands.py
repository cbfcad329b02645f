# SPDX-License-Identifier: Apache-2.0
"""The program's commands as its own --help tells them.

What the model learns about commands comes from here and from nowhere else: a command that is added
is learned at the next training, and an answer that names a command or flag that is not there is an
error (see check_answer).
"""

import dataclasses
import re
import subprocess

PROGRAM = "omg"
# Words at the beginning of a one-line help that is no imperative.
NOT_VERBS = {"what", "whether", "who", "the", "a", "pulls", "how", "which", "where"}
# What an answer says of an option; longer descriptions are cut at a natural place.
MAX_ABOUT = 90


@dataclasses.dataclass(frozen=True)
class Option:
    spelling: str  # "--temperature X", the long name and its value
    about: str  # one line

    @property
    def name(self):
        return re.match(r"-+[\w-]+", self.spelling).group(0)


@dataclasses.dataclass(frozen=True)
class Command:
    name: str
    summary: str  # without a full stop
    usage: str  # "omg pull MODEL"
    options: tuple
    examples: tuple
    text: str  # the whole help
    aliases: tuple = ()  # other names of it

    def purpose(self):
        """A clause that goes before 'run `omg …`', or None where the help is no imperative."""
        first = self.summary.split()[0].lower()
        if first in NOT_VERBS or self.summary.split()[0].endswith(":"):
            return None
        return "To " + self.summary[0].lower() + self.summary[1:]

    def answer(self):
        """What to say to somebody who wants what this command does."""
        purpose = self.purpose()
        first = self.summary.split()[0].lower()
        if purpose:
            text = f"{purpose}, run `{self.usage}`."
        elif first in ("the", "a"):
            text = f"That is `{self.usage}`. {self.summary}."
        else:
            text = f"Run `{self.usage}`. It shows {self.summary[0].lower()}{self.summary[1:]}."
        if self.examples:
            text += f" For example: `{self.examples[0]}`"
        return text

    def options_answer(self):
        names = [f"`{option.name}`" for option in self.options if option.name != "--help"]
        if not names:
            return f"`omg {self.name}` has no options but `--help`."
        more = " and more" if len(names) > 5 else ""
        return (f"`omg {self.name}` has {', '.join(names[:5])}{more}. "
                f"See `omg {self.name} --help`.")


def _run(binary, *arguments):
    done = subprocess.run([str(binary), *arguments], capture_output=True, text=True, timeout=60,
                          check=True)
    return done.stdout


def _paragraph_options(text):
    """(spelling, description) of each option; descriptions may go on in further lines."""
    found = []
    for line in text.splitlines():
        start = re.match(r"  ((?:-\w, )?--[^\s].*?)(?:\s{2,}(\S.*))?$", line)
        if start:
            found.append([start.group(1), start.group(2) or ""])
        elif found and re.match(r"\s{20,}\S", line):
            found[-1][1] += " " + line.strip()
        elif not line.strip():
            found.append(["", ""])  # what is indented after an empty line belongs to nothing
    return [(spelling, about.strip()) for spelling, about in found if spelling]


def _options(text):
    options = []
    for spelling, about in _paragraph_options(text):
        longs = [part for part in spelling.split(", ") if part.startswith("--")]
        if not longs or not about:
            continue
        # The first sentence says what it is; the rest is for those who look it up.
        sentence = re.split(r"(?<=[a-z0-9\)])\. (?=[A-Z])", about)[0].rstrip(".")
        if len(sentence) > MAX_ABOUT:
            sentence = re.split(r"[;:] | \(", sentence)[0]
        options.append(Option(longs[0].replace("[=", " [="), sentence))
    return tuple(options)


def _examples(text):
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"Examples?:$", line)]
    found = []
    for line in lines[starts[0] + 1:] if starts else []:
        if not line.startswith("  "):
            break
        found.append(re.split(r"\s{2,}", line.strip())[0])
    return tuple(e for e in found if e.startswith("omg ") and not e.endswith("|") and len(e) < 80)


def read_commands(binary):
    """All commands that `omg --help` lists, in its order."""
    commands = []
    for line in _run(binary, "--help").splitlines():
        row = re.match(r"  ([a-z][a-z-]*)\s{2,}([A-Z].*)$", line)
        if not row:
            continue
        name, summary = row.groups()
        also = re.search(r"\s*\(also: (.*)\)$", summary)
        summary = summary[:also.start() if also else None].rstrip(".")
        text = _run(binary, name, "--help")
        usage = re.search(r"^Usage: (omg .*?)(?: \[OPTIONS\])?$", text, re.M)
        commands.append(Command(name, summary, usage.group(1) if usage else f"omg {name}",
                                _options(text), _examples(text), text,
                                tuple(also.group(1).split(", ")) if also else ()))
    if not commands:
        raise SystemExit(f"{binary} --help lists no commands: build the program first")
    return commands


def check_answer(answer, commands):
    """Each `omg …` of an answer must be a command that exists, with flags that its help names."""
    by_name = {name: command for command in commands
               for name in (command.name, *command.aliases)}
    spans = re.findall(r"`([^`]*)`", answer)
    for span in spans:
        for part in re.split(r"[|;]|&&", span):
            words = part.split()
            if PROGRAM not in words:
                continue
            words = words[words.index(PROGRAM) + 1:]
            if not words or words[0] in ("COMMAND", "--help", "--version", "help"):
                continue
            command = by_name.get(words[0])
            if command is None:
                raise ValueError(f"'{span}': there is no command 'omg {words[0]}'")
            for word in words[1:]:
                flag = re.match(r"(--[a-z][\w-]*|-\w)\b", word)
                if flag and not re.search(rf"(?<![\w-]){re.escape(flag.group(1))}(?![\w-])",
                                          command.text):
                    raise ValueError(f"'{span}': 'omg {words[0]}' has no {flag.group(1)}")
