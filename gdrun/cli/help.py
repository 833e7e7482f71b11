"""How help pages look: panels with names, flags without a type, `--help` at the end."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

TRAIN, SAVED_RUNS, HELP = "Train", "Saved runs", "Help"  # panels of commands
EXPERIMENT, GRID, OUTPUT, RARELY = "Experiment", "Grid", "Output", "Rarely needed"  # of options


def _plain(parameters: list[Any]) -> list[Any]:
    """The same parameters; Typer writes <bool> behind a flag that names no type of its own."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """A command with the help pages of gdrun."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters and `--help`, which stands in the last panel where there are several."""
        *own, page = _plain(super().get_params(ctx))
        if any(getattr(parameter, "rich_help_panel", None) == RARELY for parameter in own):
            page.rich_help_panel = RARELY
        return [*own, page]


class Group(TyperGroup):
    """The application itself, with the help pages of gdrun."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters and `--help`."""
        return _plain(super().get_params(ctx))
