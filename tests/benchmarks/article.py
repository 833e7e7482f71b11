"""The article as a script: three loops, three CSV files, one picture with three panels.

What `gdrun compare` is measured against; run as `python article.py OUTPUT_DIRECTORY`.
"""

import csv
import sys
import time
from pathlib import Path

import torch
from torch import nn

METHODS = {"full": 100, "sgd": 1, "minibatch": 16}


def data() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    return x, x.pow(2) + 0.2 * torch.rand(x.size())


def train(batch_size: int, epochs: int = 100) -> tuple[list[float], float]:
    """The losses of all updates, and the seconds that they took."""
    x, y = data()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 10), nn.ReLU(), nn.Linear(10, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.2)
    criterion = nn.MSELoss()
    losses = []
    start = time.perf_counter()
    for _ in range(epochs):
        for first in range(0, 100 - batch_size + 1, batch_size):
            batch = slice(first, first + batch_size)
            loss = criterion(network(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, time.perf_counter() - start


def main(directory: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(15, 4))
    for axes, (name, batch_size) in zip(panels, METHODS.items(), strict=True):
        losses, _ = train(batch_size)
        with (directory / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["update", "loss"])
            writer.writerows(enumerate(losses, 1))
        axes.plot(losses)
        axes.set(title=name, xlabel="update", ylabel="loss")
    figure.savefig(directory / "article.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
