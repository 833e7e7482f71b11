"""Holds the installed program against all known answers, by both engines."""

from collections.abc import Callable, Iterator

from gdrun.compiler import program_cache
from gdrun.experiment.known.answer import ENGINES, Answer, Engine
from gdrun.experiment.known.article import ARTICLE
from gdrun.experiment.known.chance import CHANCE
from gdrun.experiment.known.curvature import CURVATURE
from gdrun.experiment.known.descent import DESCENT
from gdrun.results.checked import CheckedAnswer

ANSWERS: tuple[Answer, ...] = (*DESCENT, *CHANCE, *CURVATURE, *ARTICLE)


def engines_here() -> tuple[tuple[Engine, ...], str]:
    """The engines that there are on this machine; and why there is no other one, if so."""
    obstacle = program_cache.obstacle() or ""
    return (ENGINES[:1] if obstacle else ENGINES), obstacle


def check_answers(
    engines: tuple[Engine, ...], on_progress: Callable[[str, float], None]
) -> Iterator[CheckedAnswer]:
    """Each answer by each engine, one after the other.

    Args:
        engines: which.
        on_progress: called with what is being done, and the share that is done.
    """
    for k, answer in enumerate(ANSWERS):
        own = [engine for engine in engines if engine in answer.engines]
        measured: dict[str, float] = {}
        for j, engine in enumerate(own):
            on_progress("training what is known", (k + j / len(own)) / len(ANSWERS))
            measured[engine] = answer.measure(engine)
        yield CheckedAnswer(
            answer.what, answer.source, answer.why, answer.expected, answer.tolerance, measured
        )
