"""The columns of a table become a data set."""

from dataclasses import replace

from gdrun.config.parts.data import TableData
from gdrun.data.dataset import Dataset
from gdrun.data.in_memory import Target, dataset_of, split
from gdrun.data.preprocessing.encode import encode, encode_targets
from gdrun.tables.selection import Table


def dataset_of_table(config: TableData, table: Table, classify: bool, title: str) -> Dataset:
    """The rows of a table."""
    values, labels = encode_targets(table)
    names = tuple(target.name for target in table.targets)
    target = Target(names, values, classify, labels)
    train, held_out = split(len(values), config.val_fraction, config.seed)
    found = encode(table, train.numpy(), held_out.numpy(), keep_constant=config.shape is not None)
    notes = (*table.notes, *found.notes)
    dataset = dataset_of(config, found.x, target, (train, held_out), found.inputs, title, notes)
    return replace(dataset, missing=config.missing)
