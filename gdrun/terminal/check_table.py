"""Known answers and what was measured, on a terminal: two lines each, and a last one for all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from gdrun.text import count


@dataclass(frozen=True)
class CheckedAnswer:
    """A known answer, and what each engine has given for it.

    Attributes:
        what, source, why: in words: what it is, where it and its tolerance come from.
        expected, tolerance: the number, and by how much it may differ.
        measured: by engine.
    """

    what: str
    source: str
    why: str
    expected: float
    tolerance: float
    measured: Mapping[str, float]

    @property
    def failed(self) -> tuple[str, ...]:
        """The engines that have given another number."""
        return tuple(
            engine
            for engine, value in self.measured.items()
            if not abs(value - self.expected) <= self.tolerance
        )


def check_lines(answers: Sequence[CheckedAnswer], seconds: float, obstacle: str) -> Iterator[Text]:
    """All answers, and how all went; `obstacle` is why programs were left out, if they were."""
    for answer in answers:
        yield from _answer(answer)
    yield from _verdict(answers, seconds, obstacle)


def _answer(answer: CheckedAnswer) -> Iterator[Text]:
    verdict = Text("FAILS", "bold red") if answer.failed else Text("ok   ", "green")
    yield Text.assemble(verdict, " ", (answer.what, "bold"))
    measured = ", ".join(
        f"{value:.8g} {engine}{' ✗' if engine in answer.failed else ''}"
        for engine, value in answer.measured.items()
    )
    yield Text(f"      {answer.expected:.8g} ± {answer.tolerance:.2g}, measured {measured}")
    yield Text(f"      {answer.source}; tolerance: {answer.why}", "dim")


def _verdict(answers: Sequence[CheckedAnswer], seconds: float, obstacle: str) -> Iterator[Text]:
    failed = [answer for answer in answers if answer.failed]
    took = f"in {seconds:.0f} s"
    if failed:
        yield Text(
            f"{len(failed)} of {count(len(answers), 'known answer')} differ, {took}", "bold red"
        )
    else:
        yield Text(f"{count(len(answers), 'known answer')} found, {took}", "bold green")
    if obstacle:
        yield Text(f"by PyTorch alone: {obstacle}", "dim")
