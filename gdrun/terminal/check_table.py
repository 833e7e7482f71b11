"""Known answers and what was measured, on a terminal: two lines each, and a last one for all."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from gdrun.results.checked import CheckedAnswer
from gdrun.text import count


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
