"""What is typed by mistake: all that is wrong is said together, with what to type instead."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.cli.mistakes import SAME_COMMAND, sift
from gdrun.config.explain import config_keys
from gdrun.config.parts.optimizer import OPTIMIZERS
from gdrun.config.words.limits import LIMITS
from gdrun.config.words.names import SAME_KEY
from tests.command_line import COMMANDS, NO_PICTURES, SHORT, Invoke, completions

TRAINING = [*COMMANDS, "sweep"]
OTHERS = ["list", "show latest", "plot latest", "landscape latest", "init", "guide"]

# A flag that doesn't exist, and the end of the hint.
FLAGS = [
    ("--learning-rate 0.1", "did you mean --lr?"), ("--learning_rate=0.1", "did you mean --lr?"),
    ("-lr 0.1", "did you mean --lr?"), ("--LR 0.1", "did you mean --lr?"),
    ("--batch_size 8", "did you mean --batch-size?"), ("--bs 8", "did you mean --batch-size?"),
    ("--n-epochs 3", "did you mean --epochs?"), ("--num_epochs 3", "did you mean --epochs?"),
    ("--epoch 3", "did you mean --epochs?"), ("--hidden 3", "did you mean --hidden-size?"),
    ("--random-state 3", "did you mean --seed?"), ("--csv a.csv", "did you mean --data?"),
    ("--out there", "did you mean --output-dir?"), ("-epochs 3", "did you mean --epochs?"),
    ("--weight-decay 0.1", "--set weight_decay=0.1"),
    ("--activation tanh", "--set activation=tanh"),
    ("--standardize false", "--set data.standardize=false"), ("--noise 0", "--set data.noise=0"),
    ("--no-plot", "--set plot.enabled=false"), ("--rows=50", "--set data.rows=50"),
    ("--cosine 1", "schedule is the key of learning rates that change"),
    ("--dropout 0.5", "no dropout"), ("--lr-scheduler step", "did you mean --schedule?"),
    ("--scheduler step", "did you mean --schedule?"), ("--patience 3", "--set patience=3"),
    ("--warmup 0.1", "--set schedule.warmup=0.1"), ("--gpus 2", "torchrun --nproc-per-node 2"),
    ("--world-size 2", "torchrun --nproc-per-node 2"), ("--gpu", "--device cpu, cuda"),
    ("--tf32", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1"), ("--no-cuda", "--device cpu, cuda or mps"),
    ("--cpu", "--device cpu"),
    ("-j 2", "gdrun sweep -j 2"), ("--workers 4", "gdrun sweep -j 2"), ("--threads 4", "OMP_NUM"),
    ("--overwrite", "never overwritten: choose another --name"),
    ("--where lr=1", "--where: is an option of gdrun list"),
    ("--xyzzy", "-h lists what it takes"), ("-z", "-h lists what it takes"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "hint"), FLAGS)
def test_unknown_flags_say_what_to_type(typed: str, hint: str, invoke: Invoke) -> None:
    outcome = invoke("compare", *typed.split())
    flag = typed.replace("=", " ").split()[0]
    assert outcome.code == 2
    assert f"error: {flag}: unknown option\n" in outcome.err
    assert hint in outcome.err.partition("hint: ")[2]
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("command", TRAINING)
def test_all_mistakes_are_said_together(command: str, invoke: Invoke) -> None:
    outcome = invoke(
        command, "--foo", "1", "--lr", "fast", "--bar", "--set", "a=1", "--epochs", "0"
    )
    assert outcome.code == 2
    lines = outcome.err.splitlines()
    starts = {line.removeprefix("error: ").split()[0] for line in lines if line[:5] == "error"}
    key = "sweep.lr" if command == "sweep" else "lr"
    assert starts == {"--foo:", "--bar:", key, "a", "epochs"}


def test_unknown_flags_and_unknown_runs_are_said_together(invoke: Invoke) -> None:
    invoke("sgd", *SHORT, *NO_PICTURES)
    for command in ("show", "plot", "animate", "landscape", "compare", "sgd --resume"):
        outcome = invoke(*command.split(), "nope", "--foo")
        assert outcome.code == 2
        assert "error: --foo: unknown option" in outcome.err
        assert "error: nope: " in outcome.err
    outcome = invoke("list", "--foo", "--limit", "0")
    assert "error: --foo: unknown option" in outcome.err
    assert "error: --limit: " in outcome.err
    assert "error: --sort nope: unknown key" in invoke("list", "--sort", "nope", "--foo").err


@pytest.mark.parametrize("command", [*TRAINING, *OTHERS])
def test_no_command_does_anything_with_an_unknown_flag(command: str, invoke: Invoke) -> None:
    outcome = invoke(*command.split(), "--foo")
    assert outcome.code == 2
    assert outcome.out == ""
    assert not list(Path.cwd().iterdir())


SETTINGS = ["momentum 0.9", "momentum = 0.9", "momentum= 0.9", "momentum =0.9", "momentum:0.9"]


@pytest.mark.parametrize("typed", [*SETTINGS, "momentum: 0.9"])
@pytest.mark.parametrize("command", TRAINING)
def test_a_setting_without_its_sign_is_shown_with_it(
    command: str, typed: str, invoke: Invoke
) -> None:
    outcome = invoke(command, "--set", *typed.split())
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: --set {typed}: has ")
    assert "hint: --set momentum=0.9\n" in outcome.err
    assert outcome.err.count("error") == 1


SEVERAL = [
    ("minibatch --batch-size 1,16", "gdrun compare --batch-size 1,16"),
    ("sgd --batch-size 1,16", "gdrun sweep --batch-size 1,16"),
    ("full --set batch_size=[1,16]", "gdrun compare --batch-size 1,16"),
    ("sgd --batch-size 4", "gdrun minibatch --batch-size 4"),
    ("full --batch-size 1", "gdrun sgd"),
    ("sgd --hidden-size 4 --hidden-size 16", "gdrun compare --hidden-size 4 --hidden-size 16"),
]


@pytest.mark.parametrize(("typed", "hint"), SEVERAL)
def test_what_another_command_does_is_said(typed: str, hint: str, invoke: Invoke) -> None:
    outcome = invoke(*typed.split())
    assert outcome.code == 2
    assert hint in outcome.err.partition("hint: ")[2]
    assert invoke(*hint.split()[1:], "--dry-run").code == 0


LACKS = [
    ("optimizer=lbfgs", "no other optimizers yet than sgd, adam, adamw, rmsprop, adagrad"),
    ("optimizer.name=lion", "no other optimizers yet"), ("lbfgs=true", "no other optimizers yet"),
    ("optimizer=momentum", "did you mean sgd?"), ("optimizer=adagard", "did you mean adagrad?"),
    ("loss=ce", "did you mean cross_entropy?"), ("loss=logistic", "did you mean bce?"),
    ("classification=true", "loss: cross_entropy, or bce"),
    ("loss=quantile", "gdrun has no other loss yet"), ("schedule=plateau", "looks at the loss"),
    ("lr_schedule=x", "did you mean schedule?"),
    ("schedule=one_cycle", "warmup+cosine and warmup+linear rise once"),
    ("schedule=ExponentialLR", "no exponential schedule yet"), ("plateau=1", "schedule is the key"),
    ("schedule=polynomial", "did you mean linear?"), ("schedule=CosineAnnealingLR", "mean cosine?"),
    ("schedule=sigmoid", "no other schedules yet than constant, linear, cosine, step, inverse"),
    ("activation=swish", "gdrun has no other activation yet"),
    ("sampling=weighted", "gdrun has no other sampling yet"),
    ("plot.format=gif", "no other format"),
    ("dropout=0.1", "no dropout"), ("early_stopping=true", "patience: 10 stops a lane"),
    ("device=tpu", "gdrun has no other device yet"), ("device=1", "did you mean cuda:1?"),
    ("engine=jit", "gdrun has no other engine yet"),
    ("data.source=sqlite", "gdrun reads no other sources yet than quadratic"),
    ("precision=16", "no other precision yet"), ("clip_norm=1", "can't clip gradients yet"),
    ("loss=mae", "did you mean l1?"), ("activation=tanhh", "did you mean tanh?"),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "hint"), LACKS)
def test_what_gdrun_lacks_is_said(setting: str, hint: str, invoke: Invoke) -> None:
    outcome = invoke("sgd", "--set", setting)
    assert outcome.code == 2
    assert hint in outcome.err.partition("hint: ")[2]


def test_the_words_for_keys_and_limits_are_no_keys() -> None:
    keys = {*config_keys(), "data", "sweep", "compare", "plot"}
    assert not keys & set(SAME_KEY)
    assert set(SAME_KEY.values()) <= keys
    asked = [word for words in LIMITS for word in words.split()]
    assert len(set(asked)) == len(asked)
    assert not {key.rpartition(".")[2] for key in keys} & set(asked)


@pytest.mark.parametrize("name", ["sgd", "SGD", *OPTIMIZERS])
@pytest.mark.parametrize("command", TRAINING)
def test_every_command_that_trains_takes_an_optimizer(
    command: str, name: str, invoke: Invoke
) -> None:
    outcome = invoke(command, "--optimizer", name, "--lr", "0.01", "--dry-run", "--json")
    assert outcome.code == 0
    assert name.lower() in outcome.out
    outcome = invoke(command, "--optimizer", "lion", "--lr", "x")
    assert "hint: gdrun has no other optimizers yet" in outcome.err
    assert "error: lr (--lr x)" in outcome.err or command == "sweep"


WORDS = [
    ("sgd article", "gdrun sgd -c article"), ("sgd a.yaml", "gdrun sgd -c a.yaml"),
    ("sgd a.csv", "gdrun sgd --data a.csv --target COLUMN"), ("sgd x", "gdrun sgd -h"),
    ("compare a.csv", "gdrun compare --data a.csv --target COLUMN"), ("show a b", "gdrun show -h"),
    ("sgd --lr 0.1, 0.2", "no spaces: 0.1,0.2"), ("compare 0.2", "no spaces: 0.1,0.2"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "hint"), WORDS)
def test_words_out_of_place_are_said(typed: str, hint: str, invoke: Invoke) -> None:
    outcome = invoke(*typed.split())
    assert outcome.code == 2
    assert hint in outcome.err.partition("hint: ")[2]


COMMANDS_MEANT = [
    ("train", "compare"), ("ls", "list"), ("minibach", "minibatch"), ("swep", "sweep"),
    ("Compare", "compare"), ("mini-batch", "minibatch"), ("resume", "compare --resume RUN"),
    ("gd", "full"), ("bgd", "full"), ("mbgd", "minibatch"), ("validate", "check"),
    ("score", "predict"), ("report", "show"), ("version", "--version"), ("fulll", "full"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "meant"), COMMANDS_MEANT)
def test_unknown_commands_say_which_is_meant(typed: str, meant: str, invoke: Invoke) -> None:
    outcome = invoke(typed)
    assert outcome.code == 2
    assert outcome.err == (
        f"error: {typed}: no such command\nhint: {typed}: did you mean gdrun {meant}?\n"
    )


def test_other_words_for_a_command_are_no_commands_and_have_one_meaning(invoke: Invoke) -> None:
    words = [word for words in SAME_COMMAND.values() for word in words.split()]
    assert len({*words}) == len(words)
    commands = invoke("xyzzy").err.partition("commands: ")[2].strip().split(", ")
    assert {"compare", "check"} <= {*commands}
    assert not {*commands} & {*words}
    assert {meant.split()[0] for meant in SAME_COMMAND} - {"--version"} == {*commands}


def test_what_several_devices_need_is_said_for_a_command(invoke: Invoke) -> None:
    assert "hint: torchrun --nproc-per-node 2 -m gdrun" in invoke("torchrun").err


def test_data_comes_by_flags(invoke: Invoke) -> None:
    Path("a,b.csv").write_text("x,NO,1957\n1,2,3\n2,4,1\n3,6,2\n4,9,1\n")
    for column in ("NO", "1957", "x"):
        given = ("--data", "a,b.csv", "--target", column, "--batch-size", "2")
        outcome = invoke("minibatch", *given, "--json", "--dry-run")
        assert f'"target": "{column}"' in outcome.out, outcome.err
    sweep = invoke("sweep", *given, "--target-loss", "0.5", "--json", "--dry-run")
    assert '"target": "x"' in sweep.out
    assert '"target": 0.5' in sweep.out
    assert '"target": 0.5' in invoke("sweep", "--target", "0.5", "--json", "--dry-run").out
    assert "a column is data.target" in invoke("sweep", "--target", "x").err
    assert "hint: --target COLUMN" in invoke("sgd", "--data", "a,b.csv").err
    assert "--data FILE --target COLUMN" in invoke("sgd", "--target", "x").err


@pytest.mark.parametrize("resume", [False, True])
def test_where_there_is_no_run_yet_a_command_to_begin_is_said(resume: bool, invoke: Invoke) -> None:
    for made in (False, True):
        if made:
            Path("outputs").mkdir()
        outcome = invoke("list")
        assert (outcome.code, outcome.out) == (0, "")
        assert outcome.err == "no runs yet in outputs; gdrun compare makes some\n"
        for name in ("latest", "nope", "a/b"):
            outcome = invoke(*(("sgd", "--resume") if resume else ("show",)), name)
            assert outcome.code == 2
            assert outcome.err.startswith(f"error: {name}: there are no runs in outputs yet\n")
            assert "hint: gdrun compare makes some" in outcome.err


@pytest.mark.usefixtures("outputs")
def test_resume_helps_as_show_does(invoke: Invoke) -> None:
    Path("file").touch()
    Path("folder").mkdir()
    for name in ("ones", "both/sg", "nope", "x/y/z", "file", "folder", "latest/nope", "grid/", ""):
        shown, resumed = invoke("show", name), invoke("sgd", "--resume", name or ".")
        if name not in ("grid/", ""):
            assert shown.err == resumed.err
        assert resumed.code == 2
        assert "hint: " in resumed.err


WIDTHS = ["0", "1", "10", "-3", "nine", "", "1000000000", "9" * 40, "²"]


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize(
    ("command", "expected"),
    [("sgd --foo", "unknown"), ("list", "no"), ("-h", "Usage"), ("sgd -h", "--lr"), ("x", "such")],
)
def test_messages_exist_at_any_width(
    columns: str, command: str, expected: str, tmp_path: Path
) -> None:
    script = "import sys; from gdrun.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"COLUMNS": columns, "PYTHONPATH": ":".join(sys.path)},
    )
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert max(map(len, done.stdout.splitlines()), default=0) <= 1000


OPTIONS = {"--lr": True, "--quiet": False, "-q": False, "-c": True, "--set": True}
TYPED = st.lists(st.sampled_from([*OPTIONS, "--", "a", "-1", "--lr=1", "-qc", "x=1", "-cx"]))


@given(TYPED)
def test_a_command_line_without_mistakes_is_left_as_it_is(words: list[str]) -> None:
    kept, mistakes = sift(words, OPTIONS, lambda name, value: name + value)
    if not mistakes:
        assert kept == words


@given(TYPED, st.sampled_from(["--foo", "--foo=3", "-x", "-qx"]), st.data())
def test_what_is_unknown_is_found_wherever_it_stands(
    words: list[str], unknown: str, data: st.DataObject
) -> None:
    words = [word for word in words if not OPTIONS.get(word) and word not in ("--", "-qc")]
    at = data.draw(st.integers(0, len(words)))
    _, mistakes = sift([*words[:at], unknown, *words[at:]], OPTIONS, lambda *_: "")
    assert mistakes.problems == [f"{unknown.partition('=')[0]}: unknown option"]


COMPLETED = [
    ("sgd --set mom", ["momentum="]), ("sgd --set data.ro", ["data.rows="]),
    ("sgd --device c", ["cpu", "cuda"]), ("sgd --resume o", ["one"]),
    ("list --sort train", ["train_accuracy", "train_loss"]),
    ("sgd --schedule warmup+c", ["warmup+constant", "warmup+cosine"]),
    ("list --sort data.ta", ["data.target"]), ("sgd --engine e", ["eager"]),
    ("sgd --optimizer ada", ["adagrad", "adam", "adamw"]),
    ("sgd --set optimizer.b", ["optimizer.betas="]),
    ("sgd --sampling re", ["replacement", "reshuffle"]), ("sweep --config dia", ["diabetes"]),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "offered"), COMPLETED)
def test_values_are_completed(typed: str, offered: list[str], outputs: Path) -> None:
    assert sorted(completions(f"gdrun {typed}", outputs.parent)) == offered
