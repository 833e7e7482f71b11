"""Updates on a GPU as CUDA graphs: what they launch is recorded once, and replayed from then on.

A small update is some dozens of kernels that take a microsecond or two each. Launched one by one
from Python they wait for it; a graph of several updates is launched at once.

Shapes: R lanes, B batch rows, D features, O outputs, K updates of a graph, M rows of all their
batches, F factors of an update.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, repeat

import torch
from torch import Tensor

from gdrun.training.batches import Batches
from gdrun.training.optimizers.step import make_step
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState

RECORDED_AFTER = 3  # calls, in which PyTorch's libraries prepare themselves
MOST_UPDATES = 64  # of a graph: far more work than to launch it
MOST_NUMBERS = 2**20  # in the rows of a batch: larger ones keep a GPU busy, and aren't copied

Work = Callable[[], Tensor]
GraphRecorder = Callable[[Work], Work]


def cuda_recorder(device: torch.device) -> GraphRecorder:
    """What records work on a GPU, without doing it; the function that it returns replays the work.

    What a replay returns is overwritten by the next one.
    """
    pool = torch.cuda.graph_pool_handle()
    # PyTorch's own stream belongs to the GPU that was current when it was first used.
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    # A GPU gets the next graph while it is at work on one, and no more: so the time that passes
    # here is that of its work.
    ends = cycle([torch.cuda.Event() for _ in range(2)])  # type: ignore[no-untyped-call]

    def record(work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device), torch.cuda.graph(graph, pool, stream):
            result = work()

        def replay() -> Tensor:
            end = next(ends)
            end.synchronize()
            with torch.cuda.device(device):
                graph.replay()
                end.record()
            return result

        return replay

    return record


# By the type of device.
RECORDERS: dict[str, Callable[[torch.device], GraphRecorder]] = {"cuda": cuda_recorder}


def can_be_recorded(problem: Problem, plan: Plan) -> bool:
    """Whether the device has graphs, and the updates of a plan are small and can be recorded."""
    if problem.data.x.device.type not in RECORDERS:
        return False
    batches = Batches(problem, plan)
    return batches.are_whole and suits_graphs(problem, batches.numbers)


def suits_graphs(problem: Problem, numbers: int) -> bool:
    """Whether updates with batches of so many numbers are worth a graph, and can be in one.

    What a user's code does in Python would be left out of it.
    """
    return numbers <= MOST_NUMBERS and not {"model", "loss"} & problem.own_code.keys()


def updates_to_warm_up(problem: Problem, plan: Plan) -> int:
    """About how many updates are taken before the first graph is replayed; 0 where none are."""
    if not can_be_recorded(problem, plan):
        return 0
    return (RECORDED_AFTER + 1) * min(MOST_UPDATES, plan.updates_per_epoch(problem.data.rows))


class RecordedUpdates:
    """The updates that follow a state, whose weights are moved in place, from recorded graphs.

    Each update reads its batch from the same place in memory, recorded or not, alone or among
    others: so the bits of the results don't depend on when a training is stopped and resumed.
    """

    def __init__(self, problem: Problem, plan: Plan, state: TrainState) -> None:
        device, self._rows = state.params[0].device, problem.data.rows
        self._plan, self._batches = plan, Batches(problem, plan)
        self._factors = plan.factors_after(state.updates, self._rows, device)
        updates, record = _Updates(problem, plan, state), RECORDERS[device.type](device)
        self._take_one = _Recorded(updates.one, record)
        self._take_all = _Recorded(updates.all, record)

    def of_epoch(self, epoch: int, skip: int) -> Iterator[Sequence[Tensor]]:
        """Take the updates of an epoch (from 1) after the first `skip`: their losses, (R,) each.

        As many are taken at a time as a graph has. After the last of these, and of none before, a
        loss may be due within the epoch.
        """
        done = (epoch - 1) * self._plan.updates_per_epoch(self._rows) + skip
        for x, y, unwanted in self._batches.blocks(epoch, skip, MOST_UPDATES):
            by_batch = _by_batch(self._plan.batch_size, x, y)
            batches = list(zip(*by_batch, strict=True))[unwanted:]
            factors = self._next_factors(len(batches))
            due = next(self._plan.evaluated_within(self._rows, after=done), math.inf)
            done += len(batches)
            if unwanted or due < done:
                for batch, *its_factors in zip(batches, *factors, strict=True):
                    yield [self._take_one(*batch, *its_factors)]
            else:
                yield self._take_all(x, y, *factors).unbind()

    def _next_factors(self, updates: int) -> list[Tensor]:
        """Those of the next updates, (K, 1 + F); nothing if there are none."""
        if self._factors is None:
            return []
        return [torch.stack([next(self._factors) for _ in range(updates)])]


class _Updates:
    """What is recorded: one update, or several.

    It doesn't know its recordings: in a circle of references their memory would outlive a training.
    """

    def __init__(self, problem: Problem, plan: Plan, state: TrainState) -> None:
        device, self._batch_size = state.params[0].device, plan.batch_size
        self._places: dict[torch.Size, tuple[Tensor, Tensor]] = {}  # by the shape of a batch
        # (1 + F), those of the update that is taken, if it has any.
        factors = plan.factors(range(1, 2), problem.data.rows)
        self._now = torch.empty(0) if factors is None else factors[0].to(device)
        self._step = make_step(
            problem.losses,
            plan.optimizer,
            state.params,
            state.buffers,
            plan.learning_rates(device),
            None if factors is None else repeat(self._now),
        )

    def one(self, x: Tensor, y: Tensor, *factors: Tensor) -> Tensor:
        """Take one update: (R, B, D), (R, B, O) → its loss, (R,)."""
        if x.shape not in self._places:
            self._places[x.shape] = _place_for(x), _place_for(y)
        place = self._places[x.shape]
        torch._foreach_copy_(place, (x, y))
        for now in factors:
            self._now.copy_(now)
        loss = self._step(*place)
        assert loss is not None  # the batch is complete
        return loss

    def all(self, x: Tensor, y: Tensor, *factors: Tensor) -> Tensor:
        """Take the updates of several batches: (R, M, D), (R, M, O) → their losses, (K, R)."""
        of_each = [*_by_batch(self._batch_size, x, y), *(f.unbind() for f in factors)]
        return torch.stack([self.one(*each) for each in zip(*of_each, strict=True)])


def _by_batch(size: int, *rows: Tensor) -> list[Sequence[Tensor]]:
    return [torch.split(t, size, dim=1) for t in rows]


class _Recorded:
    """A function that is recorded for each shape of its arguments once it was called a few times.

    It finds them at the same place in memory each time, as a graph has to.
    """

    def __init__(self, function: Callable[..., Tensor], record: GraphRecorder) -> None:
        self._function, self._record = function, record
        self._arguments: dict[tuple[torch.Size, ...], list[Tensor]] = {}
        self._calls = Counter[tuple[torch.Size, ...]]()
        self._replays: dict[tuple[torch.Size, ...], Work] = {}

    def __call__(self, *arguments: Tensor) -> Tensor:
        shapes = tuple(argument.shape for argument in arguments)
        if shapes not in self._arguments:
            self._arguments[shapes] = [_place_for(argument) for argument in arguments]
        place = self._arguments[shapes]
        torch._foreach_copy_(place, arguments)
        if shapes not in self._replays:
            self._calls[shapes] += 1
            if self._calls[shapes] <= RECORDED_AFTER:
                return self._function(*place)
            self._replays[shapes] = self._record(lambda: self._function(*place))
        return self._replays[shapes]().clone()


def _place_for(values: Tensor) -> Tensor:
    return torch.empty(values.shape, dtype=values.dtype, device=values.device)
