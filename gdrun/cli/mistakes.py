"""Mistakes of a command line that are seen before any value is: unknown options, stray words.

They are taken out of what was typed, so that the rest is read all the same, and all that is wrong
is said together.
"""

import re
import shlex
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gdrun.config.explain import config_keys
from gdrun.config.presets import preset_names
from gdrun.config.words.limits import limit_of
from gdrun.config.words.names import meant_key
from gdrun.errors import ConfigError, GdrunError, did_you_mean, excerpt

# The option that people mean by another name for it, beside those named after a key of a config.
SAME_OPTION = {
    "out": "--output-dir",
    "outdir": "--output-dir",
    "output": "--output-dir",
    "outputs": "--output-dir",
    "output-directory": "--output-dir",
    "workers": "--jobs",
    "parallel": "--jobs",
    "processes": "--jobs",
    "preset": "--config",
    "conf": "--config",
    "settings": "--set",
    "continue": "--resume",
    "restart": "--resume",
    "silent": "--quiet",
    "run-name": "--name",
    "filter": "--where",
    "order-by": "--sort",
}
# By each command, or one with an option, the other words by which people mean it.
SAME_COMMAND = {
    "compare": "train run fit",
    "compare --resume RUN": "resume continue restart",
    "full": "batch gd bgd batch-gd gradient-descent full-batch fullbatch",
    "sgd": "stochastic online",
    "minibatch": "mini-batch mini_batch mini mbgd",
    "sweep": "grid search tune tuning lr find-lr lr-finder",
    "list": "ls runs history",
    "show": "inspect info status log logs results report summary stats",
    "plot": "draw chart",
    "animate": "animation movie video gif film",
    "explain": "why diagnose analyze analyse",
    "landscape": "surface trajectory pca",
    "predict": "infer inference apply eval score",
    "rm": "delete remove clean",
    "init": "new create config configs preset presets",
    "guide": "docs doc help manual",
    "check": "verify validate doctor selftest",
    "--version": "version",
}
TABLES = (".csv", ".tsv", ".txt", ".npy", ".npz", ".gz", ".parquet")  # ends of names of data files


@dataclass
class Mistakes:
    """What is wrong with a command line: lines, and hints."""

    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.problems)

    def add(self, problem: str, *hints: str) -> None:
        """Note one."""
        self.problems.append(problem)
        self.hints += hints

    def and_those_of(self, check: Callable[[], object]) -> ConfigError:
        """The error that says all of them, and those that a check of the rest raises."""
        try:
            check()
        except GdrunError as error:
            self.add(error.problems[0], *error.hints)
            self.problems += error.problems[1:]
        return ConfigError(self.problems, *dict.fromkeys(self.hints))


def sift(
    words: Sequence[str], takes_value: Mapping[str, bool], hint: Callable[[str, str], str]
) -> tuple[list[str], Mistakes]:
    """The words of a command line that can be read, and the mistakes that were taken out.

    Args:
        words: what was typed behind the command.
        takes_value: of each option, by its names, whether a value follows.
        hint: called with an unknown option and its value, or nothing, for what to type instead.
    """
    left, mistakes = deque(words), Mistakes()
    kept: list[str] = []
    while left:
        word = left.popleft()
        if word == "--":
            return [*kept, word, *left], mistakes
        if not _is_option(word):
            kept.append(word)
            continue
        name, equals, value = word.partition("=")
        known = _known(name, takes_value)
        if known is None:
            follows = not equals and bool(left) and not _is_option(left[0])
            value = left.popleft() if follows else value
            mistakes.add(f"{excerpt(name)}: unknown option", hint(name, value))
        elif name == "--set" and left and not equals:
            _take_setting(left, kept, mistakes)
        else:
            kept.append(word)
            if known and not equals and left:
                kept.append(left.popleft())
    return kept, mistakes


def _is_option(word: str) -> bool:
    return word[:1] == "-" and len(word) > 1 and not re.fullmatch(r"-\.?\d.*", word)


def _known(name: str, takes_value: Mapping[str, bool]) -> bool | None:
    """Whether an option wants the next word as its value; None of one that doesn't exist."""
    if name in takes_value:
        return takes_value[name]
    if name.startswith("--") or f"-{name}" in takes_value:  # -name is no -n -a -m -e
        return None
    for at, letter in enumerate(name[1:], 2):
        if f"-{letter}" not in takes_value:
            return None
        if takes_value[f"-{letter}"]:
            return at == len(name)
    return False


def _take_setting(left: deque[str], kept: list[str], mistakes: Mistakes) -> None:
    """Take what stands behind `--set`; it may have been typed as `key value` or `key: value`."""
    typed = [left.popleft()]
    sign = "=" if "=" in typed[0] else ":"
    key, _, value = typed[0].partition(sign)
    while not value.strip() and left and not _is_option(left[0]):
        typed.append(left.popleft())
        value = typed[-1].removeprefix("=")
        sign = "=" if typed[-1].startswith("=") else sign
    if not key.strip() or not value.strip() or (sign == "=" and len(typed) == 1):
        kept += ["--set", typed[0]]  # a whole setting, or one that its reader says more of
        return
    wrong = "has spaces around =" if sign == "=" else "has no ="
    mistakes.add(
        f"--set {excerpt(' '.join(typed))}: {wrong}: expected KEY=VALUE",
        f"--set {shlex.quote(f'{key.strip()}={value.strip()}')}",
    )


def option_hint(
    name: str, value: str, command: str, known: Iterable[str], elsewhere: Mapping[str, str]
) -> str:
    """What to type instead of an unknown option.

    Args:
        name: of the option, as typed.
        value: what was typed behind it, or nothing.
        command: the command that doesn't have it.
        known: the options that it has.
        elsewhere: the commands that have others, by option.
    """
    known = set(known)
    bare = name.lstrip("-").lower().replace("_", "-")
    flag = f"--{bare}"
    key = meant_key(bare) or bare.replace("-", "_")
    own = "--data" if key == "data.path" else f"--{key.removeprefix('data.').replace('_', '-')}"
    for option in (flag, SAME_OPTION.get(bare, ""), own):
        if option in known:
            return f"{excerpt(name)}: did you mean {option}?"
    if "--set" in known:
        if bare == "no-plot":
            key, value = "plot.enabled", "false"
        if full := next((k for k in config_keys() if key in (k, k.rpartition(".")[2])), None):
            setting = shlex.quote(f"{full}={value}") if value else f"{full}=VALUE"
            return f"{excerpt(name)}: is a key of the config: --set {setting}"
        if limit := limit_of(f"{bare} {value}"):
            return limit
    if flag in elsewhere:
        return f"{flag}: is an option of gdrun {elsewhere[flag]}"
    meant = did_you_mean(flag, sorted(o for o in known if o.startswith("--")))
    return meant[0] if meant else f"gdrun {command} -h lists what it takes"


def words_hint(command: str, word: str) -> list[str]:
    """Where a word belongs that looks like a config, data or a number, if a command trains."""
    quoted = shlex.quote(word)
    if word in preset_names() or word.endswith((".yaml", ".yml")):
        return [f"a config goes behind -c: gdrun {command} -c {quoted}"]
    if word.lower().endswith(TABLES):
        return [f"data goes behind --data: gdrun {command} --data {quoted} --target COLUMN"]
    if re.fullmatch(r"[\d.e+-]+,?", word):
        return ["the numbers of a list have commas between them, and no spaces: 0.1,0.2"]
    return []


def command_hint(word: str, commands: Iterable[str]) -> str:
    """What to type instead of an unknown command."""
    bare = word.lower().lstrip("-")
    for meant, words in SAME_COMMAND.items():
        if bare in words.split():
            return f"{excerpt(word)}: did you mean gdrun {meant}?"
    if limit := limit_of(word):
        return limit
    commands = list(commands)
    if meant_here := did_you_mean(word, commands):
        return meant_here[0].replace("did you mean ", "did you mean gdrun ")
    return f"commands: {', '.join(commands)}"


def in_words(said: str) -> str:
    """What Typer says of a mistake, as one line in the words of gdrun."""
    text = " ".join(said.split()).rstrip(".")
    flags, is_value, wrong = text.removeprefix("Invalid value for ").partition(": ")
    if is_value and flags != text.partition(": ")[0]:
        return f"{flags.split()[0].strip(chr(39))}: {wrong.replace('Input should', 'must')}"
    return text[:1].lower() + text[1:]
