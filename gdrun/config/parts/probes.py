"""What is measured of a training on its way: the probes, and how often."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from gdrun.errors import excerpt

Probe = Literal["gradient", "noise", "sharpness"]
PROBES: tuple[Probe, ...] = get_args(Probe)
ALL_PROBES, NO_PROBES = "all", "none"  # stand for each of them, and for the empty list


def _named(value: Any) -> Any:
    """Read `all`, `none`, one probe, or several with commas, as a list."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if value is None or value == [NO_PROBES]:
        return ()
    if isinstance(value, list | tuple) and [*value] == [ALL_PROBES]:
        return PROBES
    known = f"Input should be {ALL_PROBES}, {NO_PROBES}, or a list of some of {', '.join(PROBES)}"
    if not isinstance(value, list | tuple):
        raise ValueError(known)
    if unknown := [part for part in value if part not in PROBES]:
        raise ValueError(f"{known}, got {excerpt(str(unknown[0]))}")
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
