"""A training command in one of several processes that a launcher has started.

Rank 0 does what the command says, and tells the others what to train. They read no config, write
nothing, and say nothing but why they fail.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Timer
from typing import TYPE_CHECKING

from gdrun.cli.options import TrainingOptions
from gdrun.cli.startup import loading, require_current_directory
from gdrun.cli.train import train_and_report
from gdrun.errors import ConfigError, RankError, in_words
from gdrun.experiment.distributed.launch import Launch
from gdrun.experiment.signals import stop_on_signals
from gdrun.results.events import Status
from gdrun.results.file_names import LOCK, MANIFEST
from gdrun.storage.locate import OUTPUTS
from gdrun.text import visible

if TYPE_CHECKING:
    from gdrun.experiment.distributed.group import Group

LONG_SECONDS = 5.0  # after which it is said that ranks are waited for


def train_among_others(
    launch: Launch, command: str, options: TrainingOptions, command_line: str
) -> Status:
    """Do this process's part of a training command; the status that it ends with.

    Raises:
        GdrunError: the command fails, or another rank is lost.
    """
    require_current_directory()
    with loading():
        from gdrun.experiment.distributed.group import join
    with _said_if_long(launch), _interrupted_at_once():
        group = join(launch)
    if group.ranks.is_first:
        return _lead(group, command, _resumed(options, group), command_line)
    return _help(group, command)


@contextmanager
def _said_if_long(launch: Launch) -> Iterator[None]:
    """Say what is waited for if it takes long; the first rank of each machine does."""
    line = f"waiting for all {launch.size} ranks to meet at {launch.address}"
    line += f"; this is rank {launch.rank}"

    def say() -> None:
        if sys.__stderr__ and not launch.local_rank:
            sys.__stderr__.write(f"{visible(line)}\n")
            sys.__stderr__.flush()

    timer = Timer(LONG_SECONDS, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process as the system does: PyTorch would go on waiting for the others.

    Nothing has been begun yet.
    """
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _lead(group: "Group", command: str, options: TrainingOptions, command_line: str) -> Status:
    """Do what the command says, as rank 0.

    Raises:
        GdrunError: it fails.
    """
    try:
        return train_and_report(command, options, command_line, group)
    except Exception as error:
        group.note_failure(error)
        raise
    finally:
        with suppress(RankError):
            group.dismiss()


def _resumed(options: TrainingOptions, group: "Group") -> TrainingOptions:
    """The options, after a restart to resume the run that has a name by now."""
    if not group.is_restarted or options.name is None or options.resume is not None:
        return options
    directory = (options.output_dir or OUTPUTS) / options.name
    if not (directory / MANIFEST).exists():  # nothing was begun
        with suppress(OSError):
            (directory / LOCK).unlink()
            directory.rmdir()
        return options
    return replace(options, resume=directory, name=None, output_dir=None)


def _help(group: "Group", command: str) -> Status:
    """Train what rank 0 says.

    Raises:
        RankError: that fails here, or is another command than this one; or rank 0 is lost, and no
            other rank is there to say so.
    """
    from gdrun.experiment.distributed.many_runs import help_with_runs
    from gdrun.experiment.distributed.one_run import RunTask, take_part
    from gdrun.experiment.members import MemberTask

    with stop_on_signals() as stop:
        try:
            match group.tell():
                case RunTask() as run:
                    _require_command(command, run.command)
                    take_part(run, group, stop)
                case MemberTask() as members, list() as names, str() as token:
                    _require_command(command, members.command)
                    help_with_runs(members, names, token, group, stop)
            return "done"
        except RankError as error:
            if not group.speaks_of(error):
                return "failed"
            hint = f"what was written before is kept; to resume: gdrun {command} --resume RUN"
            raise RankError(error.problems, hint) from error
        except Exception as error:
            group.note_failure(error)
            problems, hints = in_words(error)
            raise RankError([f"rank {group.rank}: {line}" for line in problems], *hints) from error


def _require_command(here: str, of_rank_0: str) -> None:
    """Check that all ranks were started with one command.

    Raises:
        ConfigError: they weren't.
    """
    if here != of_rank_0:
        raise ConfigError(
            f"this was started with gdrun {here}, and rank 0 with gdrun {of_rank_0}",
            "start the same command on all machines",
        )
