"""What is measured of a training on its way: the probes, and how often."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

Probe = Literal["gradient", "noise", "sharpness"]
PROBES: tuple[Probe, ...] = get_args(Probe)
ALL_PROBES = "all"  # stands for each of them


def _named(value: Any) -> Any:
    """Read `all`, `none`, one probe, or several with commas, as a list."""
    if value is None or value == "none":
        return ()
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if isinstance(value, list | tuple) and [*value] == [ALL_PROBES]:
        return PROBES
    if not isinstance(value, list | tuple) or any(part not in PROBES for part in value):
        raise ValueError(f"Input should be {ALL_PROBES}, or a list of some of {', '.join(PROBES)}")
    return tuple(value)


def _in_order(values: tuple[Probe, ...]) -> tuple[Probe, ...]:
    """Each once, so that columns have one order."""
    return tuple(probe for probe in PROBES if probe in values)


Probes = Annotated[
    tuple[Probe, ...],
    AfterValidator(_in_order),
    BeforeValidator(_named),
    PlainSerializer(list),
]
