"""A file with networks and losses of a user's, good ones and bad ones."""

NETWORKS = """\
import random

import torch
from torch import nn


def build(features, outputs):
    return nn.Sequential(nn.Linear(features, 6), nn.Tanh(), nn.Linear(6, outputs))


def perceptron(features, outputs):
    return nn.Sequential(nn.Linear(features, 10), nn.ReLU(), nn.Linear(10, outputs))


class Residual(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.first, self.second = nn.Linear(features, 4), nn.Linear(4, 4)
        self.norm, self.last = nn.LayerNorm(4), nn.Linear(4, outputs)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        h = nn.functional.silu(self.first(x))
        h = self.norm(h + self.scale * torch.relu(self.second(h)))
        return self.last(h.view(len(x), 2, 2).flatten(1))


residual = Residual


class Tied(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.first, self.second = nn.Linear(features, features), nn.Linear(features, features)
        self.second.weight = self.first.weight
        self.last = nn.Linear(features, outputs)

    def forward(self, x):
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


tied = Tied


class Recurrent(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.cells, self.last = nn.LSTM(1, 3, batch_first=True), nn.Linear(3, outputs)

    def forward(self, x):
        return self.last(self.cells(x.unsqueeze(-1))[0][:, -1])


recurrent = Recurrent


class Branching(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.layer = nn.Linear(features, outputs)

    def forward(self, x):
        if self.layer.weight.sum().item() > 1e9:
            return self.layer(-x)
        return self.layer(x)


branching = Branching


def convolution(features, outputs):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64, outputs),
    )


def batch_norm(features, outputs):
    return nn.Sequential(nn.Linear(features, 4), nn.BatchNorm1d(4), nn.Linear(4, outputs))


def dropout(features, outputs):
    return nn.Sequential(nn.Linear(features, 4), nn.Dropout(), nn.Linear(4, outputs))


def no_module(features, outputs):
    return 3


def no_weights(features, outputs):
    return nn.Flatten()


def too_flat(features, outputs):
    return nn.Sequential(nn.Linear(features, outputs), nn.Flatten(0))


def too_many(features, outputs):
    return nn.Linear(features, outputs + 1)


def double(features, outputs):
    return nn.Linear(features, outputs).double()


def by_chance(features, outputs):
    layer = nn.Linear(features, outputs)
    nn.init.constant_(layer.weight, random.random())
    return layer


class Unused(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.layer, self.other = nn.Linear(features, outputs), nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x)


unused = Unused


class Counting(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.layer = nn.Linear(features, outputs)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return self.layer(x)


counting = Counting


class Mixing(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.layer = nn.Linear(features, outputs)

    def forward(self, x):
        return self.layer(x - x.mean(0))


mixing = Mixing


class Drawing(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.layer = nn.Linear(features, outputs)

    def forward(self, x):
        return self.layer(x + torch.randn_like(x))


drawing = Drawing


def one_argument(features):
    return nn.Linear(features, 1)


def failing(features, outputs):
    raise ValueError("no such layer")


class Failing(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.layer = nn.Linear(features + 1, outputs)

    def forward(self, x):
        return self.layer(x)


wrong_sizes = Failing
number = 5


def square(outputs, targets):
    return (outputs - targets) ** 2


def rows(outputs, targets):
    return (outputs - targets).abs().sum(1)


def mean(outputs, targets):
    return ((outputs - targets) ** 2).mean()


def relative(outputs, targets):
    return (outputs - targets).abs().sum(1) / targets.abs().sum()


def constant(outputs, targets):
    return targets.abs().sum(1)


def nothing(outputs, targets):
    return None
"""
