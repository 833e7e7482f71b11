"""The article's numbers: what its plain loop of PyTorch gives, which the guide shows."""

from collections.abc import Sequence

from gdrun.config.schema import Method
from gdrun.experiment.known.answer import Answer, Engine, train_losses

# The last train losses of that loop, in 64 bits and in 32 bits alike to these digits.
FINAL: dict[Method, float] = {"full": 0.008506, "sgd": 0.010071, "minibatch": 0.004225}


def _answer(method: Method) -> Answer:
    def measure(engine: Engine) -> float:
        return float(train_losses(method, "article", engine)[0, -1])

    return Answer(
        f"the article's experiment, {method}: train loss after 100 epochs",
        "a plain loop of PyTorch (gdrun guide architecture)",
        FINAL[method],
        0.005 * FINAL[method],
        "rounding of 32-bit floats, magnified by up to 10,000 updates",
        measure,
    )


ARTICLE: Sequence[Answer] = tuple(map(_answer, FINAL))
