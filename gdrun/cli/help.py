"""How help pages look: panels with names, no types beside names, `--help` at the end."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

TRAIN, SAVED_RUNS, HELP = "Train", "Saved runs", "Help"  # panels of commands
EXPERIMENT, GRID, OUTPUT, RARELY = "Experiment", "Grid", "Output", "Rarely needed"  # of options


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
