"""`gdrun guide [TOPIC]`: the pages of `gdrun/guide/`, shown in the terminal."""

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, zip_longest
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from rich.console import Console, ConsoleOptions
from rich.pager import Pager

from gdrun.errors import ConfigError, did_you_mean, excerpt
from gdrun.terminal.console import console, write

PAGES = Path(__file__).parent.parent / "guide"
# In the order in which a reader needs them; each is a file of `PAGES`.
TOPICS = (
    "config",
    "data",
    "own",
    "sweep",
    "explain",
    "predict",
    "pictures",
    "landscape",
    "files",
    "saved-runs",
    "resume",
    "python",
    "compiled",
    "machines",
    "check",
    "architecture",
)
MAX_WIDTH = 100  # columns, beyond which lines of prose are hard to follow


def _complete_topics(incomplete: str) -> list[str]:
    return [topic for topic in TOPICS if topic.startswith(incomplete)]


def guide(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC",
            help=f"One of {', '.join(TOPICS)}; without it, what each is about.",
            autocompletion=_complete_topics,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Read the guide: one page per topic."""
    if topic is None:
        width = max(map(len, TOPICS))
        write("".join(f"{name:{width}}  {summary_of(name)}\n" for name in TOPICS))
        write("\nread one: gdrun guide config\n")
        return
    if topic not in TOPICS:
        raise ConfigError(
            f"{excerpt(topic) or repr('')}: no such topic",
            *did_you_mean(topic, TOPICS),
            f"topics: {', '.join(TOPICS)}",
        )
    _show(for_terminal(page(topic)))


def page(topic: str) -> str:
    """The Markdown of a topic."""
    return (PAGES / f"{topic}.md").read_text(encoding="utf-8")


def summary_of(topic: str) -> str:
    """What a page is about: its first line below the title."""
    return page(topic).splitlines()[2]


def for_terminal(markdown: str) -> str:
    """The same page with the topics and files that its links and pictures lead to as text."""
    text = re.sub(r"!\[[^\]]*\]\(([^)]*)\)", lambda link: f"[picture: {_path(link[1])}]", markdown)
    to_pages = re.sub(r"\[([^\]]*)\]\(([\w-]+)\.md(#[\w-]*)?\)", r"\1 (`gdrun guide \2`)", text)
    return re.sub(r"\[([^\]]*)\]\((?!https?:)([^)]*)\)", _with_path, to_pages)


def _path(target: str) -> str:
    """The path of a linked file in the repository; empty for a place on the same page."""
    file = target.partition("#")[0]
    return os.path.normpath(Path("gdrun", PAGES.name, file)) if file else ""


def _with_path(link: re.Match[str]) -> str:
    """The text of a link, followed by the path that it leads to unless it names that itself."""
    text, path = link[1], _path(link[2])
    is_named = path.endswith(text.strip("`/"))
    return text if is_named or not path else f"{text} ({path})"


def with_backticks(markdown: str) -> str:
    """The same page with backticks around its code, for where no colour sets that apart."""
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    prose = [re.sub(r"`([^`]+)`", r"`` `\1` ``", part) for part in parts[::2]]
    return "".join(chain.from_iterable(zip_longest(prose, parts[1::2], fillvalue="")))


def _show(markdown: str) -> None:
    """Render a page, in a pager if there is somebody to turn its pages."""
    from rich.markdown import CodeBlock, Markdown
    from rich.syntax import Syntax

    class Code(CodeBlock):
        """A block without space beside it, so that a command of 80 columns stays in one line."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Syntax]:
            code = str(self.text).rstrip()
            yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, padding=(1, 0))

    class Page(Markdown):
        elements: ClassVar = {**Markdown.elements, "fence": Code, "code_block": Code}

    out = console()
    out.width = min(out.width, MAX_WIDTH)
    command = _pager_command() if out.is_terminal and not out.is_dumb_terminal else []
    understands_colors = not command or Path(command[0]).name == "less"
    has_colors = out.color_system is not None and not out.no_color and understands_colors
    text = markdown if has_colors else with_backticks(markdown)
    rendered = Page(text, code_theme="ansi_dark", hyperlinks=False)
    if not command:
        out.print(rendered)
        return
    with out.pager(_Command(command, out), styles=understands_colors):
        out.print(rendered)


def _pager_command() -> list[str]:
    """The command of $PAGER or, without one, `less`; empty where there is none."""
    with suppress(ValueError):  # a quote that isn't closed
        command = shlex.split(os.environ.get("PAGER", "less"))
        if command and shutil.which(command[0]):
            return command
    return []


class _Command(Pager):
    """A pager in a process of its own, which may end before it has read everything."""

    def __init__(self, command: list[str], out: Console) -> None:
        self._command = command
        self._out = out

    def show(self, content: str) -> None:
        """Show a text until the reader has seen enough."""
        # As git has it: colours are shown, and what fits the screen is only printed.
        environment = {"LESS": "FRX", **os.environ}
        # Ctrl-C is a command to the pager, which does not inherit this handler.
        handler = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, encoding="utf-8", env=environment
            )
            process.communicate(content)  # which ignores that the pager is left early
        except OSError:
            self._out.file.write(content)
        finally:
            signal.signal(signal.SIGINT, handler)
