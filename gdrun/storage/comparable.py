"""Whether saved runs were trained on the same data with the same loss, and on the same machine."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from gdrun.config.identity import flatten
from gdrun.config.read import DATA_FILES
from gdrun.storage.reader import describe
from gdrun.storage.saved_run import SavedRun

MISSING = object()
NAMED = 3  # runs with the same value that are named; of more, the rest are counted
# What a run's description says of its data, and under which key a user knows it.
FACTS = {"rows": "rows", "val_rows": "validation rows", "features": "features", "target": "target"}
TELLING = ("loss", "data.source", "data", "rows")
FINGERPRINT = "data_fingerprint"


def problem_differences(runs: Mapping[str, SavedRun]) -> list[str]:
    """What of the problem isn't the same in all runs, by name: a line a key.

    Data is the same if its fingerprints are. Of runs of an older gdrun, which noted none, what the
    configs and `run.json` say of the data has to do.

    Raises:
        DataError: a `run.json` is damaged.
        OSError: a config can't be read.
    """
    loss = {name: describe(run).loss for name, run in runs.items()}
    prints = {name: run.manifest.get(FINGERPRINT) for name, run in runs.items()}
    if None not in prints.values() and len(set(map(str, prints.values()))) == 1:
        return list(_lines({"loss": loss}))
    facts: dict[str, dict[str, Any]] = {"loss": loss}
    for name, run in runs.items():
        description = describe(run)
        data = run.config.get("data")
        own = flatten({"data": data}) if isinstance(data, dict) else {}
        if "data.source" not in own:
            own["data.source"] = "quadratic"
        own |= {words: getattr(description, fact) for fact, words in FACTS.items()}
        for key, value in own.items():
            if key.removeprefix("data.") not in DATA_FILES:
                facts.setdefault(key, {})[name] = value
    if None in prints.values():  # then the file's name has to tell
        facts["data"] = {name: describe(run).data for name, run in runs.items()}
    # Those of a newer gdrun, and of one source alone, can't be compared.
    facts = {key: values for key, values in facts.items() if len(values) == len(runs)}
    if len(set(facts["data.source"].values())) > 1:  # whose keys say nothing beside another's
        facts = {key: values for key, values in facts.items() if key in TELLING}
    lines = list(_lines(facts))
    known = {name: str(value)[:12] for name, value in prints.items() if value is not None}
    if not lines and len(set(known.values())) > 1:
        lines = [
            *_lines({"data": known}, show=str),
            "the configs say the same, but the rows differ (SHA-256)",
        ]
    return lines


def machine_differences(runs: Mapping[str, SavedRun]) -> list[str]:
    """What of the machine, and of what it did at the same time, isn't the same in all runs."""
    said: dict[str, Callable[[SavedRun], Any]] = {
        "host": lambda run: run.manifest.get("host"),
        "device": lambda run: run.manifest.get("device"),
        "threads": lambda run: run.manifest.get("threads"),
        "jobs": lambda run: run.manifest.get("jobs", 1),
        "lanes trained together": lambda run: len(run.manifest.get("lanes", ())) or None,
    }
    facts = {
        key: {name: value for name, run in runs.items() if (value := say(run)) is not None}
        for key, say in said.items()
    }
    return list(_lines(facts, show=str))


def _lines(
    facts: Mapping[str, Mapping[str, Any]], show: Callable[[Any], str] | None = None
) -> list[str]:
    """A line for each key whose values differ: which runs have which."""
    lines = []
    for key, values in facts.items():
        by_value: dict[str, list[str]] = {}
        for name, value in values.items():
            text = show(value) if show else json.dumps(value, ensure_ascii=False)
            by_value.setdefault(text, []).append(name)
        if len(by_value) > 1:
            parts = (f"{text} in {_some(names)}" for text, names in by_value.items())
            lines.append(f"{key}: {', '.join(parts)}")
    return lines


def _some(names: list[str]) -> str:
    shown = names[:NAMED] if len(names) > NAMED else names[:-1]
    last = f"{len(names) - NAMED} more" if len(names) > NAMED else names[-1]
    return f"{', '.join(shown)} and {last}" if shown else last
