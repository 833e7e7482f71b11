"""`gdrun predict`: new rows prepared as the training rows were, and what the network gives."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

import gdrun
from tests.command_line import NO_PICTURES, Invoke, Outcome, assert_clean

QUIET = ("-q", *NO_PICTURES)
ROWS = 120


def customers(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Rows with numbers, some missing, a column of text, and both kinds of target."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({"id": [f"c{k}" for k in range(rows)]})
    frame["age"] = draw.integers(18, 80, rows).astype(float)
    frame["spend"] = draw.gamma(2, 500, rows).round(2)
    frame["plan"] = draw.choice(["basic", "pro", "team"], rows)
    score = 0.05 * (frame.age - 45) + (frame.plan == "basic") - 0.001 * frame.spend
    frame["value"] = (1000 * score + draw.normal(0, 100, rows)).round(1)
    frame["churn"] = np.where(score + draw.normal(0, 0.3, rows) > 0, "yes", "no")
    return frame


def train(invoke: Invoke, target: str, *more: str, frame: pd.DataFrame | None = None) -> None:
    (customers() if frame is None else frame).to_csv("train.csv", index=False)
    others = "churn" if target == "value" else "value"
    settings = ("data.val_fraction=0.25", f"data.exclude=[{others}]", "data.categorical=[plan]")
    sets = [part for setting in settings for part in ("--set", setting)]
    loss = ("--loss", "bce") if target == "churn" else ()
    args = ("--data", "train.csv", "--target", target, "--epochs", "8", "--name", "run")
    done = invoke("minibatch", *args, *loss, *sets, *more, *QUIET)
    assert done.code == 0, done.err


def table(outcome: Outcome, **more: Any) -> pd.DataFrame:
    assert outcome.code == 0, outcome.err
    return pd.read_csv(io.StringIO(outcome.out), **more)


def by_hand(frame: pd.DataFrame, learned_of: pd.DataFrame, target: str) -> NDArray[np.float64]:
    """Outputs of the best epoch's network, by pandas and the layers of PyTorch alone."""
    held_out = round(0.25 * len(learned_of))
    order = torch.randperm(len(learned_of), generator=torch.Generator().manual_seed(0))
    train = learned_of.iloc[order[held_out:].numpy()]

    def features(rows: pd.DataFrame) -> pd.DataFrame:
        columns = {"age": rows.age, "spend": rows.spend}
        columns |= {name: (rows.plan == name).astype(float) for name in sorted(set(train.plan))}
        return pd.DataFrame(columns)

    own, scaled = features(train), features(frame)
    x = ((scaled - own.mean()) / own.std(ddof=0)).to_numpy(dtype=np.float32)
    (result,) = gdrun.load("run").results
    weights = [
        p.detach() for name, p in result.network().named_parameters() if "standard" not in name
    ]
    hidden = F.relu(F.linear(torch.tensor(x), weights[0], weights[1]))
    outputs = F.linear(hidden, weights[2], weights[3]).squeeze(1).double().numpy()
    if target == "churn":
        return np.asarray(1 / (1 + np.exp(-outputs)))
    return np.asarray(outputs * train[target].std(ddof=0) + train[target].mean())


# -------------------------------------------------------------------------------- predictions


@pytest.mark.parametrize("target", ["value", "churn"])
def test_predictions_are_those_computed_by_hand(target: str, invoke: Invoke) -> None:
    train(invoke, target)
    new = customers(30, seed=1)
    shuffled = new[["plan", "id", "spend", "age"]]
    shuffled.to_csv("new.csv", index=False)
    found = table(invoke("predict", "run", "new.csv"))
    assert list(found.columns[:4]) == list(shuffled.columns)
    pd.testing.assert_frame_equal(found[shuffled.columns], shuffled)
    expected = by_hand(new, customers(), target)
    if target == "value":
        assert list(found.columns[4:]) == ["predicted_value"]
        np.testing.assert_allclose(found.predicted_value, expected, rtol=1e-4)
        return
    assert list(found.columns[4:]) == ["predicted_churn", "probability_no", "probability_yes"]
    np.testing.assert_allclose(found.probability_yes, expected, rtol=1e-4)
    np.testing.assert_allclose(found.probability_no, 1 - expected, rtol=1e-4)
    assert list(found.predicted_churn) == list(np.where(expected > 0.5, "yes", "no"))


@pytest.mark.parametrize("target", ["value", "churn"])
def test_with_targets_it_says_how_good_they_are(target: str, invoke: Invoke) -> None:
    train(invoke, target)
    new = customers(50, seed=2)
    new.loc[:4, target] = None
    new.to_csv("test.csv", index=False)
    done = invoke("predict", "run", "test.csv")
    found = table(done).iloc[5:]
    expected = by_hand(new, customers(), target)[5:]
    facts = json.loads(invoke("predict", "run", "test.csv", "--json", "-q").out)
    assert facts["rows_with_target"] == 45
    known = new[target].iloc[5:]
    if target == "churn":
        right = (found.predicted_churn == known).mean()
        chance = np.where(known == "yes", expected, 1 - expected)
        score = {"bce": -np.log(chance).mean(), "accuracy": right}
        assert f"in 45 rows with churn, binary cross-entropy: {score['bce']:.3g}" in done.err
        assert f"accuracy: {right:.3g}" in done.err
    else:
        variance = table_of_training_rows().value.var(ddof=0)
        score = {"mse": ((expected - known.astype(float)) ** 2).mean() / variance}
        assert "in 45 rows with value, MSE ÷ variance of value" in done.err
    assert facts["score"] == pytest.approx(score, rel=1e-3)


def table_of_training_rows() -> pd.DataFrame:
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(0))
    return customers().iloc[order[ROWS // 4 :].numpy()]


def test_the_best_lane_of_all_runs_predicts_or_the_one_that_is_named(invoke: Invoke) -> None:
    command = ("-c", "diabetes", "--epochs", "6", "--seeds", "2", "--lr", "0.003,0.02")
    invoke("compare", *command, "--name", "three", *QUIET)
    path = Path(gdrun.__file__).parents[1] / "configs" / "diabetes.csv"
    frame = pd.read_csv(path)
    results = gdrun.load("three").results
    x = torch.tensor(frame[list(results[0].description.features)].to_numpy())
    best = min(results, key=lambda result: result.loss_of(result.best_lane()))

    def predicted(*args: str) -> NDArray[np.float64]:
        return np.asarray(table(invoke("predict", *args)).predicted_progression)

    def given(network: Any) -> NDArray[np.float64]:
        return np.asarray(network(x).detach().squeeze(1).double())

    np.testing.assert_allclose(predicted("three", str(path)), given(best.network()), rtol=1e-5)
    for result in results:
        for lane in range(4):
            for last in (False, True):
                args = (f"three/{result.series.name}", str(path), "--lane", str(lane))
                own = given(result.network(lane, last=last))
                found = predicted(*args, *(["--last"] if last else []))
                np.testing.assert_allclose(found, own, rtol=1e-5)
    said = invoke("predict", "three", str(path)).err
    own_lane = best.lanes[best.best_lane()]
    assert f"network of outputs/three/{best.series.name}, lane {best.best_lane()}" in said
    assert f"epoch {own_lane.best_val_epoch}, validation loss" in said


def test_several_targets_have_a_column_each(invoke: Invoke) -> None:
    frame = customers()
    frame["double"] = 2 * frame.value
    frame.to_csv("train.csv", index=False)
    args = ("--data", "train.csv", "--set", "data.target=[value, double]", "--epochs", "20")
    invoke("minibatch", *args, "--name", "run", *QUIET)
    found = table(invoke("predict", "run", "train.csv"))
    assert list(found.columns[-2:]) == ["predicted_value", "predicted_double"]
    ratio = found.predicted_double.mean() / found.predicted_value.mean()
    assert ratio == pytest.approx(2, rel=0.2)


# -------------------------------------------------------------------------------- missing cells


def missing_rows() -> pd.DataFrame:
    new = customers(6, seed=3).drop(columns=["value", "churn"])
    new.loc[0, "age"] = np.nan
    new.loc[1, "plan"] = np.nan
    new.loc[2, "plan"] = "gold"
    return new


def test_a_row_with_a_missing_cell_has_no_prediction(invoke: Invoke) -> None:
    train(invoke, "churn")
    missing_rows().to_csv("new.csv", index=False)
    done = invoke("predict", "run", "new.csv")
    found = table(done)
    assert found.predicted_churn.isna().tolist() == [True, True, False, False, False, False]
    assert found.probability_yes.isna().tolist() == [True, True, False, False, False, False]
    assert (
        "no prediction for 2 of 6 rows, in which a cell is missing; a run with data.mis" in done.err
    )
    assert "rows of a category that no training row had: plan (1)" in done.err


def test_the_mean_of_the_training_rows_fills_it_if_the_run_says_so(invoke: Invoke) -> None:
    frame = customers()
    train(invoke, "value", "--set", "data.missing=mean")
    new = missing_rows()
    new.to_csv("new.csv", index=False)
    found = table(invoke("predict", "run", "new.csv"))
    new.loc[0, "age"] = table_of_training_rows().age.mean()
    np.testing.assert_allclose(found.predicted_value, by_hand(new, frame, "value"), rtol=1e-4)


def test_it_is_refused_where_the_run_refuses_it(invoke: Invoke) -> None:
    train(invoke, "value", "--set", "data.missing=error")
    missing_rows().to_csv("new.csv", index=False)
    done = invoke("predict", "run", "new.csv")
    assert done.code == 2
    assert "new.csv, line 2, column 'age': expected a number, got an empty cell" in done.err


# ------------------------------------------------------------------------------ how it is written


def test_the_cells_stay_as_they_are_and_predictions_are_written_alike(invoke: Invoke) -> None:
    train(invoke, "value")
    text = 'id;plan;spend;age\n"a;b";pro;1.200,50;30\n007;basic;80,25;41\n'
    Path("new.csv").write_text(f"Title\n{text}")
    done = invoke("predict", "run", "new.csv")
    lines = done.out.splitlines()
    assert [line.rpartition(";")[0] for line in lines] == text.splitlines()
    found = table(done, sep=";", decimal=",", thousands=".")
    new = pd.DataFrame({"plan": ["pro", "basic"], "spend": [1200.5, 80.25], "age": [30, 41]})
    expected = by_hand(new, customers(), "value")
    np.testing.assert_allclose(found.predicted_value, expected, rtol=1e-4)


def test_what_was_guessed_wrong_can_be_said(invoke: Invoke) -> None:
    train(invoke, "value")
    Path("new.csv").write_text("plan;spend;age\npro;1,250;30\n")
    said = invoke("predict", "run", "new.csv").err
    assert "more than a thousand, or has it a decimal comma?" in said
    done = invoke("predict", "run", "new.csv", "--set", "data.decimal=,")
    new = pd.DataFrame({"plan": ["pro"], "spend": [1.25], "age": [30]})
    found = table(done, sep=";", decimal=",")
    np.testing.assert_allclose(found.predicted_value, by_hand(new, customers(), "value"), rtol=1e-4)


def test_parquet_has_columns_by_name_and_arrays_by_place(invoke: Invoke) -> None:
    train(invoke, "value")
    new = customers(7, seed=4)
    expected = by_hand(new, customers(), "value")
    new.to_parquet("new.parquet")
    features = np.stack(
        [new.age, new.spend, *((new.plan == name) for name in ("basic", "pro", "team"))], axis=1
    ).astype(float)
    np.save("new.npy", features)
    np.savez("new.npz", x=features)
    for name in ("new.parquet", "new.npy", "new.npz"):
        found = table(invoke("predict", "run", name))
        assert list(found.columns) == ["predicted_value"]
        np.testing.assert_allclose(found.predicted_value, expected, rtol=1e-4)


def test_a_file_is_whole_or_not_there(invoke: Invoke) -> None:
    train(invoke, "churn")
    customers(5).to_csv("new.csv", index=False)
    done = invoke("predict", "run", "new.csv", "--output", "out.csv")
    assert done.out == "out.csv\n"
    assert Path("out.csv").read_text() == invoke("predict", "run", "new.csv", "-q").out
    again = invoke("predict", "run", "out.csv", "-q")  # whose columns have these names already
    assert "predicted_churn.1,probability_no.1,probability_yes.1\n" in again.out
    assert not list(Path().glob("*.partial"))


def test_json_has_the_same_numbers(invoke: Invoke) -> None:
    train(invoke, "churn")
    missing_rows().to_csv("new.csv", index=False)
    found = table(invoke("predict", "run", "new.csv"))
    facts = json.loads(invoke("predict", "run", "new.csv", "--json", "-q").out)
    assert facts["run"] == "outputs/run"
    assert facts["lane"] == {"position": 0, "lr": 0.2, "seed": 0}
    assert (facts["rows"], facts["rows_without_prediction"]) == (6, 2)
    own = pd.DataFrame(facts["predictions"])
    assert own.predicted_churn[:2].isna().all()
    np.testing.assert_allclose(own.probability_yes, found.probability_yes, rtol=1e-6)
    facts = json.loads(invoke("predict", "run", "new.csv", "--json", "--output", "o.csv", "-q").out)
    assert facts["path"] == "o.csv"
    assert "predictions" not in facts
    assert Path("o.csv").exists()


# --------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("run", "gone.csv"), "error: gone.csv: no such file"),
        (("run", "nwe.csv"), "nwe.csv: did you mean new.csv?"),
        (("run", "."), "error: .: is not a regular file"),
        (("gone", "new.csv"), "gone: no such run in outputs"),
        (("run", "new.csv", "--lane", "1"), "lane 1: the run has only lane 0"),
        (("run", "new.csv", "--set", "lr=1"), "--set lr=1: only says how a CSV file is written"),
        (("run", "x.npy", "--set", "data.decimal=,"), "only says how a CSV file is written"),
        (("run", "new.csv", "--output", "no/out.csv"), "there is no directory no"),
        (("run", "less.csv"), "has no column 'spend', which the network was trained on"),
        (("run", "wrong.csv"), "wrong.csv, line 3, column 'age': expected a number, got 'old'"),
        (("run", "x.npy"), "x.npy: has 3 columns, and the network was trained on 5: age, spend"),
        (("run", "none.csv"), "none.csv: has no rows below its header line"),
        (("run", "none.npz"), "none.npz: has no array 'x'"),
        (("run", "text.npz"), "text.npz: x holds <U1 of shape (2,), expected numbers"),
    ],
)
def test_mistakes_are_named(args: tuple[str, ...], said: str, invoke: Invoke) -> None:
    train(invoke, "value")
    new = customers(5)
    new.to_csv("new.csv", index=False)
    new.drop(columns="spend").to_csv("less.csv", index=False)
    new.astype({"age": object}).replace({"age": {new.age[1]: "old"}}).to_csv(
        "wrong.csv", index=False
    )
    Path("none.csv").write_text("age,spend,plan\n")
    np.save("x.npy", np.zeros((2, 3)))
    np.savez("none.npz", z=np.zeros(3))
    np.savez("text.npz", x=np.array(["a", "b"]))
    done = invoke("predict", *args)
    assert_clean(done)
    assert done.code == 2
    assert said in done.err
    assert not done.out


def test_a_lane_is_one_of_a_run_and_a_comparison_is_no_run(invoke: Invoke) -> None:
    invoke("compare", "--epochs", "2", "--name", "group", *QUIET)
    invoke("compare", "group/sgd", "group/full", "--name", "beside", *NO_PICTURES)
    Path("new.csv").write_text("x\n1\n")
    assert (
        "hint: name one: outputs/group/full"
        in invoke("predict", "group", "new.csv", "--lane", "0").err
    )
    assert "is a comparison of saved runs" in invoke("predict", "beside", "new.csv").err


def test_a_lane_that_diverged_and_a_network_without_features_are_refused(invoke: Invoke) -> None:
    Path("new.csv").write_text("x\n1\n")
    invoke("sgd", "--lr", "1e6", "--epochs", "2", "--name", "far", *QUIET)
    assert "outputs/far: no lane has a finite loss" in invoke("predict", "far", "new.csv").err
    said = invoke("predict", "far", "new.csv", "--lane", "0").err
    assert "the weights of lane 0 aren't finite: it diverged" in said
    invoke("full", "-c", "mean_estimation", "--epochs", "2", "--name", "mean", *QUIET)
    assert "has no features" in invoke("predict", "mean", "new.csv").err


def test_code_of_the_users_is_named_and_refused_if_it_was_changed(invoke: Invoke) -> None:
    Path("net.py").write_text(
        "from torch import nn\ndef build(f, o): return nn.Sequential(nn.Linear(f, o))\n"
    )
    train(invoke, "value", "--model", "net.py:build")
    customers(3).to_csv("new.csv", index=False)
    done = invoke("predict", "run", "new.csv")
    assert len(table(done)) == 3
    (said,) = [line for line in done.err.splitlines() if line.startswith("runs the code")]
    assert said.endswith("net.py:build")
    with Path("net.py").open("a") as file:
        file.write("from pathlib import Path\nPath('executed').touch()\n")
    done = invoke("predict", "run", "new.csv")
    assert done.code == 2
    assert "model: the file of net.py:build was changed since the run was begun" in done.err
    assert not Path("executed").exists()


# ----------------------------------------------------------------------------------- from Python


@pytest.mark.parametrize("target", ["value", "churn"])
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_frame_is_predicted_as_a_file_is(target: str, kind: str, invoke: Invoke) -> None:
    train(invoke, target)
    new = customers(9, seed=5)
    new.loc[1, "age"] = np.nan
    new.loc[2, "plan"] = "gold"
    new.to_csv("new.csv", index=False)
    found = table(invoke("predict", "run", "new.csv"))
    (result,) = gdrun.load("run").results
    frame = new if kind == "pandas" else pl.from_pandas(new)
    own = pd.DataFrame(result.predict(frame.drop(columns="id") if kind == "pandas" else frame))
    assert list(own.columns) == [c for c in found.columns if c not in new.columns]
    pd.testing.assert_frame_equal(own, found[own.columns], check_dtype=False, rtol=1e-6)
    last = pd.DataFrame(result.predict(frame, 0, last=True))
    assert (last.iloc[0] != own.iloc[0]).any() or result.lanes[0].best_val_epoch == 8


def test_what_was_trained_in_memory_predicts_frames_and_arrays() -> None:
    frame = customers()
    keys: dict[str, Any] = {"target": "value", "exclude": ["id", "churn"], "val_fraction": 0.2}
    result = gdrun.train("minibatch", data=frame, categorical=["plan"], epochs=5, **keys)
    predicted = result.predict(frame.head(4))["predicted_value"]
    about = result.description
    x = pd.DataFrame({"age": frame.age, "spend": frame.spend})
    for name in ("basic", "pro", "team"):
        x[f"plan={name}"] = (frame.plan == name).astype(float)
    rows = x[list(about.features)].head(4).to_numpy()
    assert result.predict(rows)["predicted_value"] == pytest.approx(predicted)
    assert result.predict(torch.tensor(rows))["predicted_value"] == pytest.approx(predicted)
    for wrong, match in (
        (frame.drop(columns="age"), "has no column 'age', which the network was trained on"),
        (rows[:, :2], "rows: has 2 columns, and the network was trained on 5"),
        ("new.csv", "rows is"),
        ({"age": [1]}, "rows is"),
    ):
        with pytest.raises(gdrun.DataError, match=match):
            result.predict(wrong)


def test_the_file_with_the_rows_is_never_written_over(invoke: Invoke) -> None:
    train(invoke, "value")
    customers(3).to_csv("new.csv", index=False)
    before = Path("new.csv").read_text()
    Path("link.csv").symlink_to("new.csv")
    for name in ("new.csv", "./new.csv", "link.csv"):
        done = invoke("predict", "run", "new.csv", "--output", name)
        assert done.code == 2
        assert "is the file with the rows" in done.err
    assert Path("new.csv").read_text() == before
    done = invoke("predict", "new.csv", "run")
    assert "run: no such file" in done.err
    assert "the run comes first: gdrun predict RUN new.csv" in done.err
