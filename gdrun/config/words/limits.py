"""What gdrun can't do, by the words that ask for it."""

import re

from gdrun.config.parts.optimizer import OPTIMIZERS
from gdrun.config.parts.schedule import SCHEDULES

# What gdrun can't do, and what it has instead; by words of the keys, values and commands that ask.
LIMITS = {
    "lbfgs lion adadelta nadam radam adamax adafactor lamb lars muon sophia shampoo rprop": (
        f"gdrun has no other optimizers yet than {', '.join(OPTIMIZERS)}"
    ),
    "schedules cosine annealing decays onecycle plateau lrdecay": (
        f"schedule is the key of learning rates that change: {', '.join(SCHEDULES)}, or warmup+ "
        "and one of these"
    ),
    "logits softmax classification classifier accuracy hinge labels": (
        "loss: cross_entropy, or bce for two classes, is what classes are learned by; the accuracy "
        "is then logged, too"
    ),
    "dropout batchnorm": (
        "gdrun's networks have no dropout or batch normalisation, which can't be resumed exactly; "
        "weight_decay is there"
    ),
    "layernorm normalization": "model: net.py:build makes a network of your own, with nn.LayerNorm",
    "early stopping": "patience: 10 stops a lane whose validation loss is no lower after 10 epochs",
    "clip clipping gradclip": (
        "gdrun can't clip gradients yet; a smaller learning rate keeps updates small"
    ),
    "metric metrics r2 auc f1": (
        "gdrun has no metrics yet but train and validation loss, and the accuracy of classes"
    ),
    "network arch architecture conv cnn rnn lstm transformer resnet residual skip": (
        "model: net.py:build names a function that returns a network of your own, an nn.Module"
    ),
    "amp fp16 bf16 fp64 float16 bfloat16 float64 double half precision dtype": (
        "gdrun has no other precision yet than 32 bits"
    ),
    "ddp distributed torchrun mpirun mpi srun launch gpus multigpu numgpus ngpus nodes nnodes "
    "nproc procs devices rank ranks world nccl gloo": (
        "torchrun --nproc-per-node 2 -m gdrun … trains in several processes, on several machines "
        "too; see gdrun guide machines"
    ),
    "j jobs workers numworkers processes parallel": (
        "gdrun sweep -j 2 trains two runs at a time, and torchrun --nproc-per-node 2 -m gdrun … "
        "any command in two processes; see gdrun guide machines"
    ),
    "threads": "OMP_NUM_THREADS=2 before the command says with how many threads it computes",
    "cpu gpu cuda mps": "--device cpu, cuda or mps says where to train; auto, where it is faster",
    "overwrite": "runs are never overwritten: choose another --name, or gdrun rm the old one",
    "tf32": (
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 before the command lets a GPU round products to TF32"
    ),
    "wandb tensorboard mlflow logger": "gdrun logs to CSV files alone; see gdrun guide files",
    "init initializer initialization xavier kaiming": (
        "gdrun has no choice of initial weights yet; seed decides them"
    ),
    "predict evaluate test export save": (
        "gdrun predict RUN DATA predicts new rows, and scores them where the file has the target; "
        "in Python, results[0].network() is the trained network"
    ),
}


def limit_of(text: str) -> str | None:
    """What gdrun can't do that a key, value or command asks for; None if it is none of that."""
    lowered = text.lower()
    words = {*re.split(r"[^a-z0-9]+", lowered), re.sub(r"[^a-z0-9]+", "", lowered)}
    return next((said for asked, said in LIMITS.items() if words & {*asked.split()}), None)
