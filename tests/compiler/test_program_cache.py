"""Compiled programs: built, kept, and none where they are damaged."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gdrun.compiler import build, program_cache
from gdrun.compiler.spec import spec_for
from tests.compiler.compiled_runs import experiment_of, program_of
from tests.problems import make_plan, make_problem


@pytest.mark.usefixtures("cache")
def test_a_damaged_program_is_none() -> None:
    experiment = experiment_of("sgd")
    problem, plan = experiment.problem, experiment.runs[0].plan
    program_of(problem, plan)
    program = spec_for(problem, plan)
    (path,) = program_cache.cache_directory().glob(f"{program_cache._key(program)}-*.so")
    whole = path.read_bytes()
    flipped = bytes([*whole[:9000], whole[9000] ^ 1, *whole[9001:]])
    for content in (b"", b"nothing", whole[: len(whole) // 2], flipped):
        path.unlink(missing_ok=True)  # it is loaded, and must not change under way
        path.write_bytes(content)
        assert program_cache.find(program) is None
        assert not path.exists()
    path.write_bytes(whole)
    assert program_cache.find(program) is not None


def test_a_build_that_is_stopped_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def remember(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    program = spec_for(make_problem(), make_plan(3))
    with pytest.raises(KeyboardInterrupt):
        program_cache.build([program], stop=lambda: bool(started))
    assert [process.returncode for process in started] == [-signal.SIGKILL]
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_build_that_cannot_start_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path))

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(KeyboardInterrupt):
        program_cache.build([spec_for(make_problem(), make_plan(3))], lambda: False)
    assert list(tmp_path.iterdir()) == []


def test_only_the_programs_used_last_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path))
    monkeypatch.setattr(program_cache, "MAX_PROGRAMS", 2)
    for number in range(4):
        (tmp_path / f"{number}.so").touch()
        os.utime(tmp_path / f"{number}.so", (number, number))
    for name, age in (("build-new", 0), ("build-old", 2 * program_cache.DAY)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    program_cache._prune()
    (tmp_path / "build-new").rmdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.so", "3.so"]


def test_a_program_that_cannot_be_loaded_is_said_to_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(
        '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && echo no program > "$2"; shift; done\n'
    )
    compiler.chmod(0o700)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    program = spec_for(make_problem(), make_plan(3))
    (why,) = program_cache.build([program], lambda: False).values()
    assert "can't be loaded" in why


def test_a_build_that_is_stopped_leaves_neither_files_nor_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, began, went_on = (tmp_path / name for name in ("cc", "began", "went_on"))
    compiler.write_text(
        f'#!/bin/sh\n(touch "$TMPDIR/left" {began}; sleep 0.5; touch {went_on})\necho end\n'
    )
    compiler.chmod(0o700)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    program = spec_for(make_problem(), make_plan(3))
    with pytest.raises(KeyboardInterrupt):
        program_cache.build([program], began.exists)
    time.sleep(1)
    assert not went_on.exists()
    assert not any((tmp_path / "tmp").iterdir())
    assert not any((tmp_path / "cache").iterdir())


@pytest.mark.usefixtures("cache")
def test_a_compiler_may_come_with_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "cc -g")
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path))
    assert build.obstacle() is None
    program = spec_for(make_problem(), make_plan(3))
    assert program_cache.build([program], lambda: False) == {}
    assert program_cache.find(program)
