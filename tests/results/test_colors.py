"""The colours of runs."""

from gdrun.results.colors import METHOD_COLORS, run_colors
from gdrun.results.events import Lane, Series


def test_runs_that_differ_have_colours_that_differ() -> None:
    lanes = (Lane(0.1, 0),)
    methods = [Series(name, k, lanes) for k, name in enumerate(("full", "sgd", "minibatch"))]
    assert run_colors(methods) == METHOD_COLORS
    sizes = [Series("minibatch", 2**k, lanes, f"batch-{2**k}") for k in range(20)]
    found = run_colors(sizes)
    assert list(found) == [run.name for run in sizes]
    assert len(set(found.values())) == 20
    assert len(set(run_colors([*sizes, Series("full", 2**21, lanes, "batch-x")]).values())) == 21
    # Of two sweeps: from dark to light by batch size, whichever sweep they are of.
    both = [Series("minibatch", 2**k, lanes, f"{name}-{k}") for name in "ab" for k in range(6)]
    found = run_colors(both)
    assert list(found) == [run.name for run in both]
    light = [int(found[run.name][3:5], 16) for run in sorted(both, key=lambda run: run.batch_size)]
    assert light == sorted(light)
    assert len(set(found.values())) == 12
    same = [Series("minibatch", 16, lanes, name) for name in "abcdefg"]
    assert len(set(run_colors(same).values())) == 7
