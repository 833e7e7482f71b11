"""What nobody has to wait for who hasn't asked: probes that take longer than the training."""

from gdrun.errors import ConfigError
from gdrun.experiment.cost.estimate import Estimate
from gdrun.experiment.plan.runs import ExperimentPlan
from gdrun.text import duration

UNASKED_SECONDS = 10.0  # that probes may take in any case


def refuse_costly_probes(experiment: ExperimentPlan, estimate: Estimate) -> None:
    """Refuse probes that take longer than the training, and longer than some seconds.

    Raises:
        ConfigError: they do.
    """
    probes, training = estimate.probe, estimate.train
    if probes <= max(training, UNASKED_SECONDS):
        return
    config = experiment.config
    hints = [f"--probes {config.probes[0]} measures less"] if len(config.probes) > 1 else []
    moments = max(run.count_probes() for run in experiment.runs)
    fewer = int(moments * max(training, UNASKED_SECONDS) / probes)
    if 2 <= fewer < moments:  # before training and at the end at least
        every = -(-config.epochs // (fewer - 1))
        times = 1 + -(-config.epochs // every)
        hints.append(f"--set probe_every={every} measures {times} times, not {moments}")
    raise ConfigError(
        f"probes: would take about {duration(probes)}, and the training {duration(training)}",
        *hints,
        "--force measures all the same",
    )
