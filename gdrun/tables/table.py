"""A CSV file as the columns to train on; what can't be used is refused by line and column."""

from gdrun.config.parts.data import CsvData
from gdrun.tables.checks import named_in, refuse_unknown, with_names
from gdrun.tables.csv_text.layout import find_layout
from gdrun.tables.selection import Table, new_column, select, wanted_of


def read_table(config: CsvData, *, classify: bool = False) -> Table:
    """Read the target and the features from a CSV file.

    Without `features`, these are all columns of numbers except the target, and those that
    `categorical` names; constant ones, those that are mostly empty and those without a name are
    left out. To `classify`, the target may be texts.

    Raises:
        DataError: the file can't be read or is too large, a column doesn't exist, a cell isn't a
            number, or too many are missing.
    """
    layout = find_layout(config, named_in(config))
    config = with_names(config, layout.names)
    refuse_unknown(config, layout.names)
    wanted = wanted_of(config, layout.names)
    columns = {
        place: new_column(config, name, classify=classify)
        for place, name in enumerate(layout.names)
        if name in wanted
    }
    below = layout.fill(columns)
    notes = (*layout.notes, *below)
    return select(config, list(columns.values()), layout.nameless, notes, classify=classify)
