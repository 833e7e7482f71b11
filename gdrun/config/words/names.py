"""Keys and values by other names than those they have."""

# The key that people mean by another name for it.
SAME_KEY = {
    "learning_rate": "lr",
    "learningrate": "lr",
    "step_size": "lr",
    "rate": "lr",
    "eta": "lr",
    "lrs": "lr",
    "hidden": "hidden_size",
    "hidden_units": "hidden_size",
    "hidden_dim": "hidden_size",
    "hidden_sizes": "hidden_size",
    "hidden_layers": "hidden_size",
    "layers": "hidden_size",
    "units": "hidden_size",
    "width": "hidden_size",
    "neurons": "hidden_size",
    "batch": "batch_size",
    "batchsize": "batch_size",
    "batch_sizes": "batch_size",
    "minibatch_size": "batch_size",
    "bs": "batch_size",
    "epoch": "epochs",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "random_seed": "seed",
    "random_state": "seed",
    "n_seeds": "seeds",
    "num_seeds": "seeds",
    "repeats": "seeds",
    "shuffle": "sampling",
    "order": "sampling",
    "wd": "weight_decay",
    "l2": "weight_decay",
    "loss_fn": "loss",
    "criterion": "loss",
    "objective": "loss",
    "lr_schedule": "schedule",
    "lr_scheduler": "schedule",
    "scheduler": "schedule",
    "lr_decay": "schedule",
    "warmup": "schedule.warmup",
    "act": "activation",
    "nonlinearity": "activation",
    "backend": "engine",
    "optim": "optimizer",
    "optimiser": "optimizer",
    "solver": "optimizer",
    "beta1": "optimizer.betas",
    "beta2": "optimizer.betas",
    "optimizer.lr": "lr",
    "probe": "probes",
    "diagnostics": "probes",
    "probes_every": "probe_every",
    "csv": "data.path",
    "file": "data.path",
    "dataset": "data.path",
    "label": "data.target",
    "columns": "data.features",
    "validation_split": "data.val_fraction",
    "val_split": "data.val_fraction",
    "test_size": "data.val_fraction",
    "normalize": "data.standardize",
    "n_samples": "data.rows",
    "n_rows": "data.rows",
    "num_rows": "data.rows",
    "num_samples": "data.rows",
}
# The value that people mean by another name for it.
SAME_VALUE = {
    "loss": {
        "l2": "mse",
        "mean_squared_error": "mse",
        "mae": "l1",
        "smooth_l1": "huber",
        **dict.fromkeys(("crossentropy", "ce", "nll", "softmax", "categorical"), "cross_entropy"),
        **dict.fromkeys(("binary_cross_entropy", "logistic", "log_loss", "logloss"), "bce"),
    },
    "sampling": {"shuffle": "reshuffle", "random": "reshuffle", "true": "reshuffle"},
    "activation": {"logistic": "sigmoid", "rectifier": "relu"},
    "device": {"gpu": "cuda"},
    "optimizer": dict.fromkeys(("momentum", "nesterov", "gd"), "sgd"),
    "schedule": {
        **dict.fromkeys(("none", "off", "no", "fixed", "warmup", "false"), "constant"),
        **dict.fromkeys(("poly", "polynomial", "decay"), "linear"),
        **dict.fromkeys(("annealing", "cosine_annealing", "cosineannealinglr", "cos"), "cosine"),
        **dict.fromkeys(("multistep", "steplr", "multisteplr", "piecewise", "drop"), "step"),
        **dict.fromkeys(("1/t", "inverse_time", "time", "hyperbolic", "robbins_monro"), "inverse"),
    },
}
# What is near to a kind of a section that gdrun hasn't; by letters alone.
NEAR_KINDS = {
    "schedule": {
        **dict.fromkeys(
            ("onecycle", "onecyclelr", "cyclic", "cycliclr", "triangular"),
            "gdrun has no cycles yet; warmup+cosine and warmup+linear rise once and fall",
        ),
        **dict.fromkeys(
            ("plateau", "reducelronplateau", "adaptive"),
            "gdrun has no schedule yet that looks at the loss; step falls at given shares of the "
            "training",
        ),
        **dict.fromkeys(
            ("exponential", "exponentiallr", "exp", "geometric"),
            "gdrun has no exponential schedule yet; inverse and cosine fall smoothly, step by a "
            "factor",
        ),
        **dict.fromkeys(
            ("cosinewarmrestarts", "sgdr", "restarts", "cosineannealingwarmrestarts"),
            "gdrun has no restarts yet; cosine falls once",
        ),
    },
}


def meant_key(name: str) -> str | None:
    """The key that people mean by another name for it; None if that isn't one."""
    return SAME_KEY.get(name.lower().replace("-", "_"))
