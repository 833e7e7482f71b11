"""Whether `engine: auto` chooses the faster engine: it beside eager and compiled, cold and warm.

Run by hand: `python -m tests.benchmarks.engines`; see README.md beside this file. Every figure is
the time of a whole process. Cold: the cache of programs is empty; warm: what is needed is in it.
All of a job's processes run in turn; ratios are medians and ranges over the rounds.
"""

from statistics import median

from rich.progress import track
from rich.table import Table

from tests.benchmarks.bench import asked_for, no_programs, process


def wide(units: int, batch: int, epochs: int, rows: int = 5000) -> tuple[str, ...]:
    """A job with two hidden layers, at a rate at which they don't diverge."""
    settings = (f"hidden_size=[{units}, {units}]", f"data.rows={rows}", "lr=0.01")
    options = ("--epochs", str(epochs), "--batch-size", str(batch))
    return ("minibatch", *options, *(word for pair in settings for word in ("--set", pair)))


JOBS = {
    "full": ("full",),
    "sgd": ("sgd",),
    "minibatch": ("minibatch",),
    "compare": ("compare",),
    "sgd, 2,000 epochs": ("sgd", "--epochs", "2000"),
    "compare, 32 seeds": ("compare", "--seeds", "32"),
    "64, 64; batch 16": ("minibatch", "--epochs", "500", "--set", "hidden_size=[64, 64]"),
    "256, 256; batch 128": wide(256, 128, 20),
    "512, 512; batch 16": wide(512, 16, 10),
    "1000, 1000; batch 256": wide(1000, 256, 20),
    "2000, 2000; batch 64": wide(2000, 64, 4, rows=1000),
    "50 layers of 4": ("minibatch", "--epochs", "300", "--set", f"hidden_size={[4] * 50}"),
}


def measured(job: tuple[str, ...]) -> dict[str, float]:
    """Seconds of a job's processes: eager; auto and compiled, each cold and warm."""

    def run(engine: str) -> float:
        return process("-m", "gdrun", *job, "--set", f"engine={engine}", "-q", "-o", "OUT")

    found = {"eager": run("eager")}
    for engine in ("compiled", "auto"):
        with no_programs():
            found[f"{engine}, cold"] = run(engine)
            found[f"{engine}, warm"] = run(engine)
    return found


def ratio(times: dict[str, float], state: str) -> float:
    """Auto over the better of the two engines, cold or warm."""
    return times[f"auto, {state}"] / min(times["eager"], times[f"compiled, {state}"])


def main() -> None:
    """Measure all jobs and print the table."""
    options, console = asked_for(__doc__, "job", rounds=3)
    table = Table(
        *("job", "auto / better, cold", "range", "auto / better, warm", "range"),
        *("eager, s", "compiled, cold, s", "compiled, warm, s"),
    )
    try:
        for name in track([name for name in JOBS if options.only in name], console=console):
            rounds = [measured(JOBS[name]) for _ in range(options.rounds)]
            cells = []
            for state in ("cold", "warm"):
                ratios = [ratio(times, state) for times in rounds]
                cells += [f"{median(ratios):.2f}", f"{min(ratios):.2f} – {max(ratios):.2f}"]
            for key in ("eager", "compiled, cold", "compiled, warm"):
                cells.append(f"{median(times[key] for times in rounds):.1f}")
            table.add_row(name, *cells)
    finally:
        console.print(table)  # what was measured, also if a job fails


if __name__ == "__main__":
    main()
