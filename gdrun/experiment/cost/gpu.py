"""How long trainings take on a GPU, by formulas: to choose a device, and where trying takes long.

They were fitted to times of an NVIDIA H200, see the benchmark ("On a GPU"). What wasn't measured is
said to be a guess. Other GPUs are taken to be slower by as much as they have fewer processors.
"""

from gdrun.training.graphs import suits_graphs
from gdrun.training.problem import DEVICE_CHUNK_NUMBERS, MIN_CHUNK_ROWS, Problem
from gdrun.training.state import Plan

PROCESSORS = 132  # of an H200: what PyTorch calls multiprocessors
START = 3.0  # seconds until a process has its first result of a GPU; a guess
# Microseconds to launch an update: by a graph of its own, and for each layer in it; and one by one.
# Both were measured for two layers, 126 and 782; what a layer has of the latter is as on the
# processor. Graphs of several updates take less, but were never measured.
GRAPH, GRAPH_LAYER = 96.0, 15.0
LAUNCH, LAUNCH_LAYER = 230.0, 276.0
# And for each row of each lane whose place in the order is drawn, as the processor drew it.
ORDER = 0.027
# And of work, meanwhile: for each weight that a row is multiplied by, for each activation, and for
# each weight, by the speed of its memory.
PRODUCT, ACTIVATION, WEIGHT = 1.32e-7, 2.66e-5, 5e-6
# And to evaluate, book and log an epoch: a third of an update one by one, and what books it.
EPOCH = 330.0


def gpu_seconds(problem: Problem, plan: Plan, processors: int = PROCESSORS) -> float:
    """About how long all updates of a plan take on a GPU, by the formula.

    Args:
        problem: what is minimised; its rows may be elsewhere.
        plan: how to train.
        processors: how many the GPU has.
    """
    model, lanes = problem.model, len(plan.lanes)
    rows = lanes * plan.batch_size
    work = rows * gpu_row_microseconds(problem) + WEIGHT * lanes * model.parameters
    update = max(_launch(problem, plan), work * PROCESSORS / processors)
    if plan.sampling != "sequential":
        update += ORDER * rows
    updates = plan.epochs * plan.updates_per_epoch(problem.data.rows)
    return 1e-6 * (update * updates + EPOCH * plan.epochs)


def gpu_row_microseconds(problem: Problem) -> float:
    """Microseconds of work for a row of a lane, on the GPU of the formulas."""
    return PRODUCT * problem.model.parameters + ACTIVATION * problem.model.activations


def gpu_bytes(problem: Problem, plan: Plan) -> int:
    """About how much memory of a GPU the weights and activations of a plan take."""
    lanes, activations = len(plan.lanes), problem.model.activations
    # Weights, their gradients, a backup, what is on its way; and what an optimizer keeps.
    copies = 4 + 2 * max(1, plan.optimizer.buffers)
    rows = min(problem.data.rows, _rows_at_once(problem, lanes))
    # Of a forward and of a backward pass, each before and after what isn't linear.
    return 4 * lanes * (copies * problem.model.parameters + 4 * rows * activations)


def _launch(problem: Problem, plan: Plan) -> float:
    """Microseconds to launch an update: by a graph if its batch is small and no code the user's."""
    lanes, layers = len(plan.lanes), problem.model.layers
    chunks = -(-plan.batch_size // _rows_at_once(problem, lanes))
    if chunks == 1 and suits_graphs(problem, problem.numbers_in(lanes, plan.batch_size)):
        return GRAPH + GRAPH_LAYER * layers
    return chunks * (LAUNCH + LAUNCH_LAYER * layers)


def _rows_at_once(problem: Problem, lanes: int) -> int:
    """As `Problem.rows_at_once` once the problem is on a GPU."""
    most = DEVICE_CHUNK_NUMBERS // (lanes * problem.model.activations)
    return problem.chunk_rows or max(MIN_CHUNK_ROWS, most)
