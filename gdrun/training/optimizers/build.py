"""The optimizer of a config."""

from gdrun.config.parts.optimizer import AdagradConfig, AdamConfig, AdamWConfig, RMSpropConfig
from gdrun.config.schema import RunConfig
from gdrun.training.optimizers.adagrad import Adagrad
from gdrun.training.optimizers.adam import Adam, AdamW
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.optimizers.rmsprop import RMSprop
from gdrun.training.optimizers.sgd import SGD


def build_optimizer(config: RunConfig) -> Optimizer:
    """The optimizer of a config, with the options that stand beside it."""
    decay = config.weight_decay
    match config.optimizer:
        case AdamConfig() as own:
            return Adam(own.betas, own.eps, decay, own.amsgrad)
        case AdamWConfig() as own:
            return AdamW(own.betas, own.eps, decay, own.amsgrad)
        case RMSpropConfig() as own:
            return RMSprop(own.alpha, own.eps, decay, config.momentum, own.centered)
        case AdagradConfig() as own:
            return Adagrad(own.lr_decay, decay, own.initial_accumulator_value, own.eps)
        case _:
            return SGD(config.momentum, config.nesterov, decay)
