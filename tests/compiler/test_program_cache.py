"""Compiled programs: built, kept, and none where they are damaged."""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gdrun.compiler import build, lower, program_cache
from gdrun.compiler.spec import ProgramSpec, spec_for
from tests.command_line import NO_PICTURES, Invoke
from tests.compiler.compiled_runs import experiment_of, program_of
from tests.problems import make_plan, make_problem


@pytest.mark.usefixtures("cache")
def test_a_damaged_program_is_none() -> None:
    experiment = experiment_of("sgd")
    problem, plan = experiment.problem, experiment.runs[0].plan
    program_of(problem, plan)
    program = spec_for(problem, plan)
    (path,) = program_cache.cache_directory().glob(f"{program_cache.key(program)}-*.so")
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
    assert build.no_compiler() is None
    program = spec_for(make_problem(), make_plan(3))
    assert program_cache.build([program], lambda: False) == {}
    assert program_cache.find(program)


@pytest.fixture
def built(shared_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of a program, in a cache of its own."""
    monkeypatch.setenv("GDRUN_CACHE", str(shared_cache))
    program_of(make_problem(), make_plan(3))
    (path,) = shared_cache.glob(f"{program_cache.key(SPEC)}-*.so")
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    monkeypatch.setenv("GDRUN_CACHE", str(cache))
    return Path(shutil.copy2(path, cache))


SPEC = spec_for(make_problem(), make_plan(3))


def give_away(path: Path) -> None:
    """To another user, as far as the tests' own user can tell."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(path, 12345, 12345)


def test_a_program_of_ones_own_is_found(built: Path) -> None:
    assert program_cache.is_built(SPEC)
    assert program_cache.find(SPEC)
    assert program_cache.obstacle() is None
    assert built.exists()


@pytest.mark.parametrize("what", ["file", "directory"])
@pytest.mark.parametrize("how", ["another's", "written by the group", "written by all"])
def test_a_program_that_others_may_have_written_is_never_loaded(
    what: str, how: str, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = built if what == "file" else built.parent
    if how == "another's":
        give_away(place)
    else:
        place.chmod(0o720 if how == "written by the group" else 0o702)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("it was loaded"))
    content = built.read_bytes()
    assert not program_cache.is_built(SPEC)
    assert program_cache.find(SPEC) is None
    program_cache._prune()
    assert built.read_bytes() == content  # nor deleted
    if what == "directory":
        why = program_cache.obstacle() or ""
        assert f"programs would be kept in {place}, which" in why
        assert ("belongs to another user" if how == "another's" else "others may write to") in why
        assert "name another directory in GDRUN_CACHE, " in why
        assert program_cache.build([SPEC], lambda: False)[SPEC].startswith(f"{place}: ")


@pytest.mark.usefixtures("_compiler")
def test_a_cache_that_others_may_write_to_is_said(
    built: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.parent.chmod(0o777)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("it was loaded"))
    for command in (("sgd", "--dry-run"), ("sgd", "--epochs", "3", *NO_PICTURES)):
        outcome = invoke(*command, "--set", "engine=compiled")
        assert outcome.code == 0
        said = outcome.err + outcome.out
        assert f"engine: eager (programs would be kept in {built.parent}, which others" in said
        assert f"`chmod go-w {built.parent}`" in said


def test_what_is_no_program_hides_none(built: Path, tmp_path: Path) -> None:
    key = program_cache.key(SPEC)
    os.mkfifo(built.with_name(f"{key}-{'0' * 32}.so"))
    built.with_name(f"{key}-{'1' * 32}.so").symlink_to(built)
    built.with_name(f"{key}-{'2' * 32}.so").mkdir()
    (tmp_path / "other.c").write_text("int another_function(void) { return 1; }")
    other = tmp_path / "other.so"
    compiler = [*build.compiler(), "-shared", "-fPIC", "-o", str(other), str(tmp_path / "other.c")]
    subprocess.run(compiler, check=True)
    for content in (other.read_bytes(), b"no program"):  # each with a name that fits
        built.with_name(program_cache._file_name(SPEC, content)).write_bytes(content)
    assert program_cache.find(SPEC)
    built.unlink()
    assert program_cache.find(SPEC) is None


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_what_was_built_is_found_under_any_umask(
    umask: int, shared_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "new" / "cache"))
    before = os.umask(umask)
    try:
        assert program_cache.build([SPEC], lambda: False) == {}
    finally:
        os.umask(before)
    assert program_cache.find(SPEC)
    assert shared_cache.exists()


@pytest.mark.usefixtures("cache")
def test_several_programs_are_built_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path))
    specs = [spec_for(make_problem(), make_plan(size)) for size in (1, 3, 5, 7)]
    working: list[int] = []
    called: list[int] = []
    popen = subprocess.Popen
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))
        working.append(sum(process.returncode is None for process in started))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert program_cache.build(specs, lambda: False, lambda: called.append(1)) == {}
    assert all(program_cache.find(spec) for spec in specs)
    assert max(working) == 3
    assert called == [1]


def test_a_program_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_cache: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    good, bad = (spec_for(make_problem(), make_plan(size)) for size in (3, 5))
    functions = lower.functions

    def fail(spec: ProgramSpec) -> str:
        if spec == bad:
            raise KeyError("unknown")
        return functions(spec)

    monkeypatch.setattr(lower, "functions", fail)
    assert program_cache.build([bad, good], lambda: False) == {bad: "KeyError: 'unknown'"}
    assert program_cache.find(good)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".so"]
    assert shared_cache.exists()


def test_another_compiler_is_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "some-cc")
    monkeypatch.setenv("PATH", str(tmp_path))
    keys = set()
    for content in ("one", "another one"):
        (tmp_path / "some-cc").write_text(content)
        (tmp_path / "some-cc").chmod(0o700)
        program_cache._environment.cache_clear()
        keys.add(program_cache.key(SPEC))
    program_cache._environment.cache_clear()
    assert len(keys) == 2
