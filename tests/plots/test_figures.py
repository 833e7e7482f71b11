"""Pictures: every curve is there, labelled, in its colour, whatever the run was like."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from gdrun.api import compare, train
from gdrun.config.parts.groups import PlotConfig
from gdrun.config.schema import RunConfig
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.plots.curves import MAX_POINTS
from gdrun.plots.figures import compare_figure, loss_figure
from gdrun.plots.fits.figure import fit_figure
from gdrun.plots.pictures import pictures
from gdrun.plots.updates import running_mean
from gdrun.results.colors import METHOD_COLORS
from gdrun.results.run import RunResult


def colors(axes: Axes) -> set[str]:
    return {to_hex(line.get_color()).upper() for line in axes.get_lines()}


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def rendered(figure: Figure) -> int:
    """Draw for real; warnings are errors."""
    figure.canvas.draw()
    return len(figure.axes)


def test_compare_shows_three_panels_above_and_all_methods_on_four_axes_below() -> None:
    results = compare(epochs=5)
    figure = compare_figure(results)
    assert rendered(figure) == 7
    above, below = figure.axes[:3], figure.axes[3:]
    for axes, result in zip(above, results, strict=True):
        assert colors(axes) == {METHOD_COLORS[result.series.method]}
        assert axes.get_xlabel() == "update"
    assert [axes.get_xlabel() for axes in below] == [
        "epoch",
        "updates",
        "samples seen",
        "training time (s)",
    ]
    for axes in below:
        assert colors(axes) == set(METHOD_COLORS.values())
        assert axes.get_yscale() == "log"
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        "full (B = 100)",
        "sgd (B = 1)",
        "minibatch (B = 16)",
    ]
    assert "running mean over an epoch bold" in words(figure)


def test_every_update_is_drawn_with_its_running_mean() -> None:
    results = compare(epochs=5)
    raw, mean = compare_figure(results).axes[1].get_lines()
    assert list(np.asarray(raw.get_ydata())) == results[1].steps["loss"]
    losses = np.asarray(results[1].steps["loss"], dtype=float)
    np.testing.assert_allclose(np.asarray(mean.get_ydata())[0], losses[:100].mean())
    np.testing.assert_allclose(np.asarray(mean.get_ydata())[-1], losses[-100:].mean())


def test_of_many_updates_those_are_drawn_that_stand_out() -> None:
    result = train("sgd", epochs=200)
    raw, _ = loss_figure(result).axes[0].get_lines()
    losses = np.asarray(result.steps["loss"], dtype=float)
    x, drawn = (np.asarray(data) for data in (raw.get_xdata(), raw.get_ydata()))
    assert len(drawn) <= MAX_POINTS + 2
    assert (drawn == losses[x.astype(int) - 1]).all()
    assert (np.diff(x) > 0).all()
    for first in range(0, len(losses), 40):  # 500 stretches: a panel has about as many pixels
        stretch, there = losses[first : first + 40], (x > first) & (x <= first + 40)
        assert (drawn[there].min(), drawn[there].max()) == (stretch.min(), stretch.max())


def test_running_mean_sits_in_the_middle_of_its_window() -> None:
    x, mean = running_mean(np.arange(1.0, 6.0), np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 3)
    np.testing.assert_allclose(x, [2, 3, 4])
    np.testing.assert_allclose(mean, [2, 3, 4])
    x, mean = running_mean(np.arange(2.0), np.array([1.0, 3.0]), 10)
    np.testing.assert_allclose((x[0], mean[0]), (0.5, 2))


@given(
    values=st.lists(st.floats(0, 1e3) | st.just(1e30) | st.just(np.inf), min_size=1, max_size=40),
    window=st.integers(1, 50),
)
def test_running_mean_is_that_of_each_window(values: list[float], window: int) -> None:
    y = np.array([values, values[::-1]])
    x, mean = running_mean(np.arange(float(len(values))), y, window)
    window = min(window, len(values))
    for k, row in enumerate(y):
        expected = [row[i : i + window].mean() for i in range(len(values) - window + 1)]
        np.testing.assert_allclose(mean[k], expected, rtol=1e-12)
    assert list(x) == [i + (window - 1) / 2 for i in range(len(values) - window + 1)]


def test_several_seeds_show_their_median_and_band_and_say_so() -> None:
    results = compare(epochs=4, seeds=5)
    figure = compare_figure(results)
    rendered(figure)
    assert "median of 5 seeds, band 20th to 80th percentile" in words(figure)
    axes = figure.axes[3]
    assert len(axes.collections) == 3
    losses = np.array([history.epochs["train_loss"] for history in results[0].histories])
    np.testing.assert_allclose(
        np.asarray(axes.get_lines()[0].get_ydata()), np.median(losses, axis=0)
    )


def test_several_learning_rates_differ_in_style() -> None:
    figure = compare_figure(compare(epochs=4, lr=[0.05, 0.1, 0.2]))
    rendered(figure)
    assert {line.get_linestyle() for line in figure.axes[3].get_lines()} == {"-", "--", ":"}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-3:] == ["lr 0.05", "lr 0.1", "lr 0.2"]


def test_the_learning_rates_of_one_run_differ_in_colour_and_their_validation_is_dashed() -> None:
    rates = [0.001 * 1.5**k for k in range(9)]  # more than there are line styles
    result = train("full", "diabetes", epochs=4, lr=rates, seeds=2)
    axes = loss_figure(result).axes[1]
    lines = [line for line in axes.get_lines() if line.get_gid() is None]
    for style in ("-", "--"):
        drawn = [line for line in lines if line.get_linestyle() == style]
        assert len({line.get_color() for line in drawn}) == len(drawn) == 9
    assert axes.get_title(loc="left") == "train loss, validation loss (dashed)"


def test_validation_and_units_are_shown() -> None:
    results = compare("diabetes", epochs=3)
    figure = compare_figure(results)
    assert rendered(figure) == 8
    assert "1 = predicting the mean" in words(figure)
    assert figure.axes[-1].get_title("left") == "validation loss"
    assert len(loss_figure(results[0]).axes[1].get_lines()) == 2


def test_an_exploding_lane_ends_in_a_cross_and_leaves_the_others_legible() -> None:
    figure = compare_figure(compare(epochs=20, lr=[0.1, 1.5]))
    rendered(figure)
    axes = figure.axes[3]
    assert "x" in {line.get_marker() for line in axes.get_lines()}
    assert axes.get_ylim()[1] < 1e3
    assert "×: diverges" in words(figure)


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 1e6},
        {"lr": [1e6, 1e7], "seeds": 2},
        {"epochs": 1},
        {"eval_every": 4},
        {"log_every": 1000},
        {"data": {"rows": 1, "noise": 0}, "batch_size": 1},
        {"data": {"rows": 16, "val_fraction": 0.3}, "batch_size": 3, "seeds": 3},
        {"loss": "l1"},
        {"lr": 1e-30, "data": {"noise": 0.0}},
    ],
    ids=str,
)
def test_whatever_the_run_every_picture_is_drawn(settings: dict[str, object]) -> None:
    results = compare(**{"epochs": 5, **settings})  # type: ignore[arg-type]
    rendered(compare_figure(results))
    rendered(fit_figure(results))
    for result in results:
        rendered(loss_figure(result))


def test_fit_shows_data_and_functions(tmp_path: Path) -> None:
    rows = "\n".join(f"{k},{k * k}" for k in range(30))
    (tmp_path / "a.csv").write_text(f"cost in $,gain $^2$\n{rows}\n")
    data = {"source": "csv", "path": tmp_path / "a.csv", "target": "gain $^2$", "val_fraction": 0.2}
    results = compare(epochs=3, data=data)
    figure = fit_figure(results)
    rendered(figure)
    (axes,) = figure.axes
    assert axes.get_xlabel() == r"cost in \$"
    assert colors(axes) >= set(METHOD_COLORS.values())
    training, validation = axes.get_lines()[:2]
    assert len(np.asarray(training.get_xdata())) == 24
    assert len(np.asarray(validation.get_xdata())) == 6


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_formats(kind: str, start: bytes, tmp_path: Path) -> None:
    result = train("sgd", epochs=2, output_dir=tmp_path, name="a")
    planned = pictures([result], tmp_path / "a", PlotConfig.model_validate({"format": kind}))
    assert [picture.path.name for picture in planned] == [f"loss.{kind}", f"fit.{kind}"]
    for picture in planned:
        picture.save(dpi=60)
        assert picture.path.read_bytes().startswith(start)


def test_pictures_of_a_group(tmp_path: Path) -> None:
    results = compare(epochs=1, output_dir=tmp_path, name="g")
    planned = [
        p.path.relative_to(tmp_path / "g") for p in pictures(results, tmp_path / "g", PlotConfig())
    ]
    assert planned[0] == Path("compare.png")
    assert {str(path) for path in planned} == {"compare.png", "fit.png"} | {
        f"{method}/{name}.png" for method in METHOD_COLORS for name in ("loss", "fit")
    }


def test_a_notebook_shows_figures_by_itself() -> None:
    figure = compare_figure(compare(epochs=1))
    png = figure._repr_png_()
    assert png.startswith(b"\x89PNG")


def test_the_mean_of_several_seeds_is_the_median_of_their_means() -> None:
    (result,) = [r for r in compare(epochs=3, seeds=5) if r.series.method == "sgd"]
    bold = [line for line in loss_figure(result).axes[0].get_lines() if line.get_gid() == "mean"]
    batch_losses = np.array([history.epochs["batch_loss"] for history in result.histories])
    shown = np.asarray(bold[0].get_ydata())
    np.testing.assert_allclose(
        shown[[0, -1]], np.median(batch_losses[:, [1, -1]], axis=0), rtol=1e-5
    )


def test_the_mean_is_over_all_updates_even_if_few_are_logged() -> None:
    result = train("sgd", epochs=4, log_every=50)
    bold = [line for line in loss_figure(result).axes[0].get_lines() if line.get_gid() == "mean"]
    expected = result.histories[0].epochs["batch_loss"][1:]
    np.testing.assert_allclose(np.asarray(bold[0].get_ydata()), expected)
    np.testing.assert_allclose(np.asarray(bold[0].get_xdata()), [50.5, 150.5, 250.5, 350.5])
    assert "every 50th update faint, mean of each epoch bold" in words(loss_figure(result))


def test_every_diverged_curve_has_its_cross() -> None:
    figure = compare_figure(compare(lr=[0.2, 5.0], seeds=2, epochs=20, eval_every=5))
    rendered(figure)
    for axes in figure.axes[:3]:
        assert [line.get_gid() for line in axes.get_lines()].count("cross") == 1
    for axes in figure.axes[3:]:
        assert [line.get_gid() for line in axes.get_lines()].count("cross") == 3


def test_an_interrupted_explosion_leaves_the_others_legible() -> None:
    events = []
    for event in execute(
        plan_experiment("full", RunConfig(epochs=40, lr=(0.05, 2.0), eval_every=7))
    ):
        events.append(event)
        if isinstance(event, RunResult):
            break
    result = events[-1]
    assert isinstance(result, RunResult)
    for history in result.histories:
        history.epochs["train_loss"][-1] = np.nan
    figure = loss_figure(result)
    rendered(figure)
    assert figure.axes[1].get_ylim()[1] < 1e3


def test_a_fit_promises_no_band_that_it_does_not_draw() -> None:
    several = fit_figure(compare(lr=[0.1, 5.0], seeds=3, epochs=5))
    assert "band" not in words(several)
    assert "diverges" not in words(several)
    assert "band 20th to 80th" in words(fit_figure(compare(lr=0.1, seeds=3, epochs=5)))


def test_figures_refuse_what_they_cannot_draw() -> None:
    one, other = train("full", epochs=1), train("full", "diabetes", epochs=1)
    assert len(compare_figure(one).axes) == 5
    with pytest.raises(ValueError, match="different problems"):
        compare_figure([one, other])
    with pytest.raises(ValueError, match="one feature"):
        fit_figure(train("full", "diabetes", epochs=1))
    with pytest.raises(ValueError, match="no results"):
        compare_figure([])


def test_bands_are_the_20th_and_80th_percentile() -> None:
    result = train("sgd", epochs=2, seeds=11)
    band = loss_figure(result).axes[1].collections[0].get_paths()[0].vertices
    losses = np.sort([history.epochs["train_loss"][-1] for history in result.histories])
    shown = [y for x, y in np.asarray(band) if x == 2]
    # Eleven seeds: the third and the ninth, observed values both.
    assert (min(shown), max(shown)) == pytest.approx((losses[2], losses[8]))


def test_each_axis_shows_its_cost() -> None:
    results = compare(epochs=4)
    for axes, cost in zip(
        compare_figure(results).axes[3:], ("epoch", "updates", "samples", "seconds"), strict=True
    ):
        for line, result in zip(axes.get_lines(), results, strict=True):
            expected = list(result.histories[0].epochs[cost])
            skipped = 0 if cost == "epoch" else 1  # zero has no logarithm
            assert list(np.asarray(line.get_xdata())) == expected[skipped:]


def test_an_outlier_among_the_rows_is_no_divergence(tmp_path: Path) -> None:
    rows = "\n".join(f"{k % 17},{k % 5 + (1e4 if k == 500 else 0)}" for k in range(1000))
    (tmp_path / "a.csv").write_text(f"x,y\n{rows}\n")
    data = {"source": "csv", "path": tmp_path / "a.csv", "target": "y"}
    result = train("sgd", lr=0.001, epochs=2, data=data)
    assert result.status == "done"
    assert max(result.steps["loss"]) > 100 * result.epochs["train_loss"][0]  # type: ignore[operator]
    bold = [line for line in loss_figure(result).axes[0].get_lines() if line.get_gid() == "mean"]
    assert np.isfinite(np.asarray(bold[0].get_ydata(), dtype=float)).all()


def test_survivors_keep_their_curve_when_another_diverges_between_evaluations() -> None:
    result = train("sgd", epochs=20, eval_every=5, lr=[0.1, 1e6])
    axes = loss_figure(result).axes[1]
    assert list(np.asarray(axes.get_lines()[0].get_xdata())) == [0, 1, 5, 10, 15, 20]
    assert np.isfinite(np.asarray(axes.get_lines()[0].get_ydata(), dtype=float)).all()
    bold = [line for line in loss_figure(result).axes[0].get_lines() if line.get_gid() == "mean"]
    assert len(np.asarray(bold[0].get_ydata())) == 20 * 100 - 99


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("\x1b[31mred\u202e", r"\x1b[31mred\u202e"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        (r"$\frac{1$", r"\$\frac{1\$"),
        (r"\$x^2$", r"\\$x^2\$"),
        ("two\nlines", r"two\nlines"),
        ("w" * 50_000, "w" * 59 + "…"),
    ],
    ids=["control", "markup", "formula", "backslash", "newline", "long"],
)
def test_whatever_a_column_is_called_it_is_drawn_as_text(
    name: str, label: str, tmp_path: Path
) -> None:
    rows = "".join(f"{k},{k * k}\n" for k in range(9))
    (tmp_path / "a.csv").write_text(f'"{name}","{name}y"\n{rows}', encoding="utf-8")
    data = {"source": "csv", "path": tmp_path / "a.csv", "target": f"{name}y"}
    results = compare(epochs=2, batch_size=2, data=data)
    figure = fit_figure(results)
    rendered(figure)
    assert figure.axes[0].get_xlabel() == label
    assert figure.get_figheight() < 8
    rendered(compare_figure(results))
