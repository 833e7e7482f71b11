"""Lightning: a `LightningModule` and `Trainer.fit` over a `DataLoader`.

Its logger, checkpoints, progress bar and summary are switched off, since no other peer has them.
"""

from functools import partial

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import in_turn, main
from tests.benchmarks.peers.torch_network import train_network


class Regression(lightning.LightningModule):
    """A network, its loss and its optimizer."""

    def __init__(self, network: nn.Module, lr: float) -> None:
        super().__init__()
        self.network = network
        self.lr = lr

    def training_step(self, batch: list[Tensor]) -> Tensor:
        inputs, targets = batch
        return F.mse_loss(self.network(inputs), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def fit(job: Job, network: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(TensorDataset(x, y), batch_size=job.batch_size, drop_last=True)
    trainer.fit(Regression(network, job.lr), loader)


def train(job: Job) -> Trained:
    return in_turn(job, partial(train_network, fit))


if __name__ == "__main__":
    main(train)
