"""Whether saved runs can be compared: same data and loss; and their times: the same machine."""

from collections.abc import Callable, Mapping
from typing import Any

from gdrun.config.identity import flatten
from gdrun.config.parts.data import DATA_FILES
from gdrun.results.run import ENGINES_IN_TURN
from gdrun.storage.saved_run import SavedRun
from gdrun.text import differences

# What a run's description says of its data, and the name that a user knows it by.
FACTS = {"rows": "rows", "val_rows": "validation rows", "features": "features", "target": "target"}
# The facts that can be compared even if the data come from different sources.
COMMON_FACTS = ("loss", "data.source", "data", "rows")


def problem_differences(runs: Mapping[str, SavedRun]) -> list[str]:
    """How the problems of several runs, by name, differ: one line per key; none if they don't.

    Data is the same if its fingerprints are. An older gdrun saved none, or one of another form; of
    its runs, configs and descriptions of the data are compared.

    Raises:
        DataError: a config is damaged.
        OSError: one can't be read.
    """
    losses = {name: run.description.loss for name, run in runs.items()}
    prints = {name: run.manifest.data_fingerprint for name, run in runs.items()}
    known = {name: value for name, value in prints.items() if value is not None}
    forms = {value.rpartition(":")[0] for value in known.values()}
    all_known = len(known) == len(runs) and len(forms) == 1
    if all_known and len(set(known.values())) == 1:
        return differences({"loss": losses})
    facts = {"loss": losses, **_data_facts(runs)}
    if not all_known:  # the file's name may tell
        facts["data"] = {name: run.description.data for name, run in runs.items()}
    # A key that not all runs have, as of one source only, can't be compared.
    facts = {key: values for key, values in facts.items() if len(values) == len(runs)}
    if len(set(facts["data.source"].values())) > 1:
        facts = {key: values for key, values in facts.items() if key in COMMON_FACTS}
    lines = differences(facts)
    if lines or len({value[:12] for value in known.values()}) <= len(forms):
        return lines
    return [
        *differences({"data": {name: value[:12] for name, value in known.items()}}, show=str),
        "the configs say the same, but the rows differ (SHA-256)",
    ]


def _data_facts(runs: Mapping[str, SavedRun]) -> dict[str, dict[str, Any]]:
    """What configs and descriptions say of the data: by key, then by the run's name."""
    facts: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        written = flatten({"data": run.config.get("data", {})})
        own = {"data.source": run.settings.data.source, **written}
        own |= {word: getattr(run.description, fact) for fact, word in FACTS.items()}
        for key, value in own.items():
            if key.removeprefix("data.") not in DATA_FILES:
                facts.setdefault(key, {})[name] = value
    return facts


def machine_differences(runs: Mapping[str, SavedRun]) -> list[str]:
    """Why the times of several runs, by name, can't be compared: one line per fact that differs."""
    fact_of: dict[str, Callable[[SavedRun], Any]] = {
        "host": lambda run: run.manifest.host,
        "device": lambda run: run.manifest.device,
        "threads": lambda run: run.manifest.threads,
        "jobs": lambda run: run.manifest.jobs,
        "engine": lambda run: ENGINES_IN_TURN.join(run.manifest.trained_by) or None,
        "lanes trained together": lambda run: len(run.manifest.lanes) or None,
    }
    facts = {
        key: {name: value for name, run in runs.items() if (value := fact(run)) is not None}
        for key, fact in fact_of.items()
    }
    return differences(facts, show=str)
