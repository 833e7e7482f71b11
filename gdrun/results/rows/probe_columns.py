"""The columns of `probes.csv`, behind those that say which lane and which epoch a row is of."""

from collections.abc import Iterator, Mapping, Sequence

from gdrun.config.parts.probes import Probe

# |G|, the norm of the gradient of all rows; E|g − G|², the variance of the gradient of a batch.
GRADIENT_NORM, BATCH_VARIANCE = "gradient_norm", "batch_variance"
# tr Σ / |G|², and tr Σ; tr(HΣ) / GᵀHG with its standard error; and |G|² and tr Σ as batches of two
# sizes estimate them.
SIMPLE_SCALE, ROW_VARIANCE = "simple_noise_scale", "row_variance"
CURVED_SCALE, CURVED_SCALE_ERROR = "curved_noise_scale", "curved_noise_scale_error"
TWO_BATCH_NORM, TWO_BATCH_VARIANCE = "two_batch_squared_norm", "two_batch_variance"
# The largest eigenvalue of the Hessian, and by how much it may be off at most; both of what an
# adaptive optimizer makes of the Hessian; and the largest that the optimizer tolerates.
SHARPNESS, SHARPNESS_ERROR = "sharpness", "sharpness_error"
PRECONDITIONED, PRECONDITIONED_ERROR = "preconditioned_sharpness", "preconditioned_error"
LIMIT = "stability_limit"

_OF_PROBE: Mapping[Probe, tuple[str, ...]] = {
    "gradient": (GRADIENT_NORM, BATCH_VARIANCE),
    "noise": (
        *(GRADIENT_NORM, BATCH_VARIANCE),
        *(SIMPLE_SCALE, ROW_VARIANCE, CURVED_SCALE, CURVED_SCALE_ERROR),
        *(TWO_BATCH_NORM, TWO_BATCH_VARIANCE),
    ),
    "sharpness": (SHARPNESS, SHARPNESS_ERROR),
}
_OF_ADAPTIVE = (PRECONDITIONED, PRECONDITIONED_ERROR)


def probe_columns(probes: Sequence[Probe], *, is_adaptive: bool) -> tuple[str, ...]:
    """The columns of some probes, each once, of an optimizer that is adaptive or isn't."""

    def columns() -> Iterator[str]:
        for probe in probes:
            yield from _OF_PROBE[probe]
            if probe == "sharpness":
                yield from _OF_ADAPTIVE if is_adaptive else ()
                yield LIMIT

    return tuple(dict.fromkeys(columns()))


def compared_with_limit(columns: Sequence[str]) -> str:
    """The column that stands beside the stability limit: of adaptive optimizers the divided one."""
    return PRECONDITIONED if PRECONDITIONED in columns else SHARPNESS
