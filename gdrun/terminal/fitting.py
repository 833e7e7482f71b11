"""What suits the width of a terminal: tables that lose columns, lines that are never broken."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class OneLine:
    """A line to be copied, such as a command: printed in one piece, however narrow the terminal.

    It has to be printed with `crop=False`. A text with `no_wrap` would not do: Rich joins the texts
    that it prints to one without it.
    """

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        segments = self.text.render(console, end="\n")
        # The segments of a text without styled parts don't have the style of the text itself.
        yield from Segment.apply_style(segments, console.get_style(self.text.style))


def columns_that_fit(
    keys: Collection[str], expendable: Sequence[str], fit: Callable[[Sequence[str]], bool]
) -> list[str]:
    """The columns left once expendable ones are dropped, first to last, until the rest fits."""
    left = list(keys)
    for key in expendable:
        if fit(left):
            break
        if key in left:
            left.remove(key)
    return left


def fitting_table(
    title: str,
    names: Sequence[Text],
    columns: Mapping[str, tuple[str, Sequence[str]]],
    expendable: Sequence[str],
    console: Console,
) -> Table:
    """A table with names in front and, by key, columns with title and cells.

    Columns are dropped, in the order in which they are expendable, until it fits the console.
    """

    def table_of(keys: Sequence[str]) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        table.add_column(title, no_wrap=True)
        for key in keys:
            table.add_column(columns[key][0], justify="right", no_wrap=True)
        for row, name in enumerate(names):
            table.add_row(name, *(columns[key][1][row] for key in keys))
        return table

    return table_of(
        columns_that_fit(columns, expendable, lambda keys: fits(table_of(keys), console))
    )


def fits(table: Table, console: Console) -> bool:
    """Whether the console is wide enough for a table."""
    unbounded = console.options.update(width=10_000)
    return console.measure(table, options=unbounded).maximum <= console.width
