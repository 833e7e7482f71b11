"""The commands as Typer sees them: how their help looks, and how mistakes are said.

Panels have names, no types stand beside names, and `--help` is at the end. A mistake doesn't hide
the others, and is a line like any other error, however narrow the terminal.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from typing import Any

from typer.core import TyperCommand, TyperGroup

from gdrun.cli.mistakes import Mistakes, command_hint, in_words, option_hint, sift, words_hint
from gdrun.errors import ConfigError, excerpt

TRAIN, SAVED_RUNS, HELP = "Train", "Saved runs", "Help"  # panels of commands
# Panels of options.
EXPERIMENT, DATA, GRID, OUTPUT, RARELY = "Experiment", "Data", "Grid", "Output", "Rarely needed"

WATCH_SECONDS = 10  # what `--watch` takes if nobody says otherwise
_MISTAKES = "gdrun.mistakes"  # where a context keeps them


def _plain(parameters: list[Any]) -> list[Any]:
    """The same parameters, without the types and brackets that Typer adds to them.

    It writes <bool> behind a flag and <str> behind an argument, and a required one as {RUN}.
    """
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            parameter.display_type = lambda _: None
            if parameter.required:
                parameter.get_usage_pieces = lambda _, name=parameter.metavar: [name]
        elif parameter.is_flag:
            parameter.metavar = ""
    return parameters


def _takes_value(parameters: list[Any]) -> dict[str, bool]:
    """Of each option by its names, whether a value follows it."""
    options = [each for each in parameters if each.param_type_name == "option"]
    return {name: not o.is_flag for o in options for name in (*o.opts, *o.secondary_opts)}


def _with_seconds(args: list[str]) -> list[str]:
    """The words of a command, with the value that `--watch` has if no number follows it."""
    found = []
    for word, following in zip_longest(args, args[1:], fillvalue=""):
        is_given = following.replace(".", "", 1).isdecimal()
        found.append(f"{word}={WATCH_SECONDS}" if word == "--watch" and not is_given else word)
    return found


@contextmanager
def _own_words(mistakes: Mistakes, *hints: str) -> Iterator[None]:
    """Raise what Typer finds wrong as an error of gdrun, along with other mistakes."""
    try:
        yield
    except Exception as error:
        said: Callable[[], str] | None = getattr(
            error, "format_message", None
        )  # it has no public type
        if said is None:
            raise
        mistakes.add(in_words(said()), *hints)
        raise ConfigError(mistakes.problems, *dict.fromkeys(mistakes.hints)) from None


class Command(TyperCommand):
    """A command of gdrun.

    Its function may have an attribute `check`, which takes the same arguments and raises what is
    wrong with them: it is called where the function itself isn't, as the command line is wrong.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters and `--help`, which stands in the last panel where there are several."""
        *own, page = _plain(super().get_params(ctx))
        if any(getattr(parameter, "rich_help_panel", None) == RARELY for parameter in own):
            page.rich_help_panel = RARELY
        return [*own, page]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words behind the command, except for those that are mistakes.

        Raises:
            ConfigError: a value is missing, or is not what its option takes.
        """
        if ctx.resilient_parsing:  # for completion
            return super().parse_args(ctx, args)
        takes_value, name = _takes_value(self.get_params(ctx)), self.name or ""
        hint = partial(
            option_hint, command=name, known=takes_value, elsewhere=_options_elsewhere(ctx)
        )
        kept, mistakes = sift(_with_seconds(args), takes_value, hint)
        ctx.allow_extra_args = True
        with _own_words(mistakes, f"gdrun {name} -h lists what it takes"):
            super().parse_args(ctx, kept)
        for word in ctx.args:
            hints = words_hint(name, word) if "--data" in takes_value else []
            mistakes.add(
                f"{excerpt(word)}: is one word too many for gdrun {name}",
                *(hints or [f"gdrun {name} -h lists what it takes"]),
            )
        ctx.meta[_MISTAKES] = mistakes
        return []

    def invoke(self, ctx: Any) -> Any:
        """Call the command's function, unless the command line is wrong.

        Raises:
            ConfigError: it is; with every mistake.
        """
        if mistakes := ctx.meta.get(_MISTAKES):
            check = getattr(self.callback, "check", lambda **_: None)
            raise mistakes.and_those_of(partial(check, **ctx.params))
        return super().invoke(ctx)


class Group(TyperGroup):
    """The application itself."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters and `--help`."""
        return _plain(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words before the command.

        Raises:
            ConfigError: an option is unknown.
        """
        if ctx.resilient_parsing or not args:  # for completion; without a word, for help
            return super().parse_args(ctx, args)
        options = _takes_value(self.get_params(ctx))
        if args[0].startswith("-") and args[0].partition("=")[0] not in options:
            raise ConfigError(
                f"{excerpt(args[0])}: unknown option",
                f"options go behind the command: gdrun compare {excerpt(args[0])}",
            )
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is meant.

        Raises:
            ConfigError: there is none of that name.
        """
        if args[0] in self.commands or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise ConfigError(
            f"{excerpt(args[0])}: no such command", command_hint(args[0], self.commands)
        )


def _options_elsewhere(ctx: Any) -> dict[str, str]:
    """The options of all commands, each with a command that has it."""
    root = ctx.find_root()
    found: dict[str, str] = {}
    for name, command in getattr(root.command, "commands", {}).items():
        for option in _takes_value(command.get_params(root)):
            found.setdefault(option, name)
    return found
