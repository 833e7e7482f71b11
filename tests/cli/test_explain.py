"""`gdrun explain`, and the end of a run that has probes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.analysis.why.explain import explain
from tests.command_line import NO_PICTURES, Invoke

PROBED = ("--probes", "all", "--set", "probe_every=5", "--epochs", "20")


def conditions(run: str) -> set[str]:
    return {sentence.condition for sentence in gdrun.load(run).explanation.sentences}


def test_a_run_with_probes_explains_itself_at_its_end(invoke: Invoke) -> None:
    outcome = invoke("compare", *PROBED, "--name", "a", "--set", "plot.dpi=40")
    assert outcome.code == 0
    for part in ("Learning rate.", "Noise.", "Why.", "Next.", "gdrun sweep --config outputs/a"):
        assert part in outcome.out
    for place in ("a", "a/full", "a/sgd", "a/minibatch"):
        assert (Path("outputs") / place / "why.png").stat().st_size > 1_000


def test_explain_says_the_same_and_draws_the_picture(invoke: Invoke) -> None:
    trained = invoke("compare", *PROBED, "--name", "a", *NO_PICTURES)
    invoke("compare", *PROBED, "--name", "b", "--set", "plot.dpi=40")
    picture = Path("outputs/b/why.png")
    picture.unlink()
    outcome = invoke("explain", "b")
    assert outcome.code == 0
    assert picture.exists()
    why = trained.out[trained.out.index("Learning rate.") : trained.out.index("Next.")]
    assert why in outcome.out
    content = json.loads(invoke("explain", "b", "--json").out)
    assert content["pictures"] == [str(picture)]
    assert {each["topic"] for each in content["sentences"]} >= {"rate", "noise", "why"}
    assert content["next"]["command"].startswith("gdrun sweep")


def test_json_of_a_training_has_the_explanation(invoke: Invoke) -> None:
    content = json.loads(invoke("full", *PROBED, "--json", *NO_PICTURES).out)
    assert content["explanation"]["sentences"]
    assert "explanation" not in json.loads(invoke("full", "--json", *NO_PICTURES).out)


def test_a_run_without_probes_is_told_what_to_run(invoke: Invoke) -> None:
    invoke("full", "--epochs", "2", "--name", "a", *NO_PICTURES)
    outcome = invoke("explain", "latest")
    assert outcome.code == 0
    assert "gdrun full --config outputs/a/config.yaml --probes all" in outcome.out
    again = invoke("full", "--config", "outputs/a/config.yaml", "--probes", "all", *NO_PICTURES)
    assert again.code == 0
    assert "probe" in json.loads(invoke("explain", "a", "--json").out)


def test_a_comparison_of_saved_runs_is_explained(invoke: Invoke) -> None:
    for name, lr in (("one", "0.1"), ("two", "0.2")):
        invoke("full", *PROBED, "--lr", lr, "--name", name, *NO_PICTURES)
    assert invoke("compare", "one", "two", "--name", "both").code == 0
    outcome = invoke("explain", "both")
    assert outcome.code == 0
    assert "one" in outcome.out
    assert Path("outputs/both/why.png").exists()


def test_a_sweep_with_probes_compares_prediction_and_measurement(invoke: Invoke) -> None:
    grid = ("--lr", "0.02,0.2", "--batch-size", "4,16,64,full", "--seeds", "3")
    small = ("-c", "shuffled", "--probes", "all", "--epochs", "12", "--set", "plot.dpi=40")
    outcome = invoke("sweep", *small, *grid, "--force", "--name", "s")
    assert outcome.code == 0
    assert "a critical batch size of" in outcome.out
    assert "is predicted" in outcome.out
    assert Path("outputs/s/why.png").exists()
    assert Path("outputs/s/batch-16/why.png").exists()


@pytest.mark.parametrize("args", [("none",), ("latest", "--jsn")])
def test_wrong_requests_are_explained(args: tuple[str, ...], invoke: Invoke) -> None:
    assert invoke("explain", *args).code == 2


def test_one_of_several_probes_explains_what_it_can(invoke: Invoke) -> None:
    for probe in ("gradient", "noise", "sharpness"):
        more = (*PROBED[2:], "--seeds", "3")
        outcome = invoke("full", "--probes", probe, *more, "--name", probe)
        assert outcome.code == 0
        assert invoke("explain", probe).code == 0
    assert "far-below-limit" in conditions("sharpness") or "close-to-limit" in conditions(
        "sharpness"
    )
    assert not {c for c in conditions("noise") if "limit" in c}


# ------------------------------------------------------------------ runs that show what is known


@pytest.mark.usefixtures("cache")
def test_t4_is_at_the_edge_of_stability_and_the_article_is_not(invoke: Invoke) -> None:
    """Cohen et al. 2021, sec. 2: T₄ by a tanh network, full batches, ½ (f − y)²."""
    x = np.linspace(-1, 1, 20)
    settings: dict[str, Any] = {
        "data": (x, 8 * x**4 - 8 * x**2 + 1),
        "standardize": False,
        "hidden_size": [100],
        "activation": "tanh",
        "loss": "half_mse",
        "engine": "compiled",
        "probes": "sharpness",
        "probe_every": 500,
    }
    result = gdrun.train("full", None, lr=0.1, epochs=6000, seeds=3, **settings)
    found = explain("full", [result], None, Path("outputs/a"), {"full": Path("outputs/a")})
    assert {"edge-of-stability"} == {s.condition for s in found.sentences if s.topic == "rate"}
    invoke("full", "--probes", "sharpness", "--seeds", "3", "--name", "article", *NO_PICTURES)
    assert conditions("article") & {"close-to-limit", "far-below-limit", "edge-of-stability"} <= {
        "close-to-limit",
        "far-below-limit",
    }
    last = gdrun.load("article").results[0].histories[0].probes
    assert last["sharpness"][-1] < last["stability_limit"][-1]


def test_gradient_descent_above_its_limit_diverges_as_expected(invoke: Invoke) -> None:
    """A linear model: it diverges if and only if lr is above 2/λ (here of 2 · ½ r²)."""
    linear = ("-c", "diabetes", "--hidden-size", "[]", *PROBED, *NO_PICTURES)
    invoke("full", *linear, "--lr", "0.4", "--epochs", "2000", "--force", "--name", "above")
    assert "diverged-above-limit" in conditions("above")
    invoke("full", *linear, "--lr", "0.2", "--name", "below")
    assert "diverged-above-limit" not in conditions("below")


def test_orthogonal_rows_have_the_noise_scale_that_is_known(invoke: Invoke) -> None:
    """B_simple = d − 1 at every weight vector, and a pass by single rows makes d/2 as much."""
    more = ("--set", "epochs=4", "--set", "probe_every=1", "--seeds", "3", "--name", "h")
    invoke("compare", "-c", "hadamard", "--probes", "noise", *more, *NO_PICTURES)
    (text,) = (
        s.text for s in gdrun.load("h").explanation.sentences if s.condition == "progress-per-pass"
    )
    assert "At the noise scale before training, about 63, a pass over the 64 rows" in text
    assert "and about 2 times with batches of 1 as with one full" in text  # (64 + 63) / (1 + 63)
