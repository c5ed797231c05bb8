# copier: filter replace("my_project", package_name)
"""What is promoted is whole, or it is not there: versions, gates, the way back, and deaths in between."""

import json
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from pydantic.dataclasses import dataclass

from my_project import config as configs
from my_project import run as commands
from my_project.__main__ import main
from my_project.data.loader import read_arrays
from my_project.serving import gates, registry, version
from my_project.serving.files import sha256
from my_project.training import storage
from my_project.types import STRICT, Split

from .conftest import SMALL
from .sample import PRESET, Rows, SampleConfig

HOME = Path("models/sample")
WORDS = {"intended_use": "To tell how long a vector is.", "limitations": ["It saw normal vectors.", "It saw few."]}
CHANGING = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@pytest.fixture
def run(trained: Path) -> Path:
    """A run that passes every gate, as `export` leaves one, and what a person says of it."""
    say()
    return exported(Path(shutil.copytree(trained, "runs/sample-1")))


def say() -> None:
    Path("configs").mkdir()
    Path("configs/card.yaml").write_text(json.dumps(WORDS))


def exported(run: Path) -> Path:
    (run / "export").mkdir()
    (run / "export/program.pt2").write_bytes(b"a program")
    for name in ("export.json", "reference.json"):
        storage.write_json(run / "export" / name, {"checkpoint_sha256": sha256(run / "best.pt"), "rows": 320})
    return run


def edited(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def another(run: Path, by: float, name: str = "runs/sample-2") -> Path:
    """The same run with another figure, better where `by` is above 0."""
    copy = Path(shutil.copytree(run, name))
    record = json.loads((copy / "evaluation.json").read_text())
    edited(copy / "evaluation.json", value=record["value"] - by)
    return copy


def models(*words: object) -> int:
    try:
        return main(["models", *map(str, words)])
    except SystemExit as ended:
        return int(str(ended.code))


def numbers() -> list[tuple[int, str]]:
    return [(one["version"], one["state"]) for one in registry.versions("sample")]


def apart(work: Callable[[], object]) -> int:
    """Do some work in a process of its own; return its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process that might have threads
        pid = os.fork()
    if pid == 0:
        status = 99
        try:
            with Path("stderr.txt").open("w") as sys.stderr:
                status = int(str(work() or 0))
        finally:
            os._exit(status)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def dies_before(change: int, work: Callable[[], object]) -> int:
    """Do some work in a process that is killed just before its n-th change of a file of models; return its status."""
    left = [change]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and bool(arguments[2] & WRITING)
        if (writes or event in CHANGING) and "models" in str(arguments[0]):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    def watched() -> object:
        sys.addaudithook(watch)
        return work()

    return ended(apart(watched))


def test_a_version_answers_as_its_run_does_when_that_is_gone(run: Path) -> None:
    rows = SampleConfig().build("val")[torch.arange(5), 0]
    with torch.inference_mode():
        expected = commands.open_run(run)[1](rows, None).outputs
    assert models("promote", run) == 0
    shutil.rmtree(run)
    for path in (HOME, HOME / "1", HOME / "1/best.pt"):
        with torch.inference_mode():
            found = registry.open_model(path)[1](rows, None).outputs
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert (HOME / "1/export/program.pt2").read_bytes() == b"a program"


def test_metadata_say_what_a_version_is_made_of(run: Path) -> None:
    assert models("promote", run) == 0
    about = json.loads((HOME / "1/metadata.json").read_text())
    manifest, record = (json.loads((run / name).read_text()) for name in ("manifest.json", "evaluation.json"))
    assert (about["name"], about["version"], about["run"]) == ("sample", 1, "runs/sample-1")
    assert (about["code"], about["data"]) == (manifest["code"], manifest["data"])
    assert about["metrics"]["value"] == record["value"]
    assert about["metrics"]["baselines"] == record["baselines"]
    assert about["licence"]["data"] == "none"
    assert about["licence"]["project"]
    assert about["checkpoint_sha256"] == sha256(run / "best.pt")
    there = {str(path.relative_to(HOME / "1")) for path in (HOME / "1").rglob("*") if path.is_file()}
    assert about["files"].keys() == there - {"metadata.json"}
    assert {"best.pt", "config.yaml", "model_card.md", "data_card.md", "export/reference.json"} <= there


def test_versions_follow_one_another_and_go_back(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for by in (0, 0.001, 0.002):
        assert models("promote", another(run, by, f"runs/by-{by}")) == 0
    assert numbers() == [(1, "earlier"), (2, "earlier"), (3, "current")]
    assert models("rollback", "sample", "--why", "it was rude") == 0
    assert numbers() == [(1, "earlier"), (2, "current"), (3, "rolled back")]
    assert registry.resolve(HOME) == HOME / "2"
    assert models("promote", run, "--even-if-worse") == 0
    assert models("rollback", "sample") == 0  # to 2, which was current before 4
    assert numbers() == [(1, "earlier"), (2, "current"), (3, "rolled back"), (4, "rolled back")]
    assert models("rollback", "sample") == 0
    capsys.readouterr()
    assert models("rollback", "sample") == 2
    assert "version 1 is the first that stands" in capsys.readouterr().err
    history = json.loads((HOME / "current.json").read_text())["history"]
    back = [event for event in history if event["what"] == "rolled back"]
    assert (back[0]["from"], back[0]["version"], back[0]["why"]) == (3, 2, "it was rude")
    assert all(event["when"] for event in history)


def gate_of(damage: str, run: Path) -> None:
    """Break one thing of a run that passes every gate."""
    other = {"checkpoint_sha256": "0" * 64}
    target = {"evaluation": {"target": 0.0001}}
    actions: dict[str, Callable[[], object]] = {
        "baseline": lambda: edited(run / "evaluation.json", baselines={"mean": 0.0}),
        "gap": lambda: edited(run / "evaluation.json", gap=0.2),
        "no figure": lambda: edited(run / "evaluation.json", value=float("nan")),
        "no evaluation": (run / "evaluation.json").unlink,
        "damaged": lambda: (run / "evaluation.json").write_text("{"),
        "old evaluation": lambda: edited(run / "evaluation.json", **other),
        "no export": lambda: shutil.rmtree(run / "export"),
        "no reference": (run / "export/reference.json").unlink,
        "old reference": lambda: edited(run / "export/reference.json", **other),
        "damaged export": lambda: (run / "export/export.json").write_text("{"),
        "bad export": lambda: edited(run / "export/export.json", failures=["onnx differs from the model by 0.5"]),
        "no limitations": lambda: edited(Path("configs/card.yaml"), limitations="[fill: where it is wrong]"),
        "data": lambda: edited(run / "manifest.json", data={"files": {"sample.py": "others"}}),
        "target": lambda: aiming(run, target),
    }
    actions[damage]()


def aiming(run: Path, changes: dict[str, Any]) -> None:
    """Give a checkpoint other demands, and let every file be about it."""
    state = torch.load(run / "best.pt", weights_only=True)
    state["config"] |= {name: {**state["config"][name], **values} for name, values in changes.items()}
    torch.save(state, run / "best.pt")
    for name in ("evaluation.json", "export/reference.json"):
        edited(run / name, checkpoint_sha256=sha256(run / "best.pt"))


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        ("target", "misses the target 0.0001"),
        ("baseline", "does not beat the mean baseline 0.0000"),
        ("gap", "gap 0.2000 to the training split is above"),
        ("no figure", "error is nan"),
        ("no evaluation", "evaluation.json is not there; run: evaluate runs/sample-1"),
        ("damaged", "evaluation.json is damaged; run: evaluate runs/sample-1"),
        ("old evaluation", "evaluation.json is about another checkpoint; run: evaluate runs/sample-1"),
        ("no export", "export is not there; run: export runs/sample-1"),
        ("no reference", "reference.json is not there; run: export runs/sample-1"),
        ("old reference", "reference.json is about another checkpoint; run: export runs/sample-1"),
        ("damaged export", "export.json is not there or damaged; run: export runs/sample-1"),
        ("bad export", "export: onnx differs from the model by 0.5"),
        ("no limitations", "card: configs/card.yaml says nothing of limitations"),
        ("data", "data have changed since the run was trained: sample.py"),
    ],
)
def test_a_gate_that_is_missed_is_named_in_one_line_and_nothing_is_written(
    damage: str, line: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate_of(damage, run)
    assert models("promote", run) == 1
    lines = [each for each in capsys.readouterr().err.splitlines() if each.startswith("gate: ")]
    assert len(lines) == 1
    assert line in lines[0]
    assert not Path("models").exists()


def test_every_gate_that_is_missed_has_its_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for damage in ("gap", "no export", "no limitations"):
        gate_of(damage, run)
    assert models("promote", run) == 1
    assert capsys.readouterr().err.count("gate: ") == 3


def test_what_is_worse_on_the_same_data_passes_only_where_that_is_said(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse, same = another(run, -0.001), another(run, 0, "runs/same")
    assert [models("promote", path) for path in (run, same, worse)] == [0, 0, 1]
    assert "of version 2; --even-if-worse lets it pass" in capsys.readouterr().err
    assert numbers() == [(1, "earlier"), (2, "current")]
    assert models("promote", worse, "--even-if-worse") == 0
    assert [one["worse"] for one in registry.versions("sample")] == [False, False, True]
    assert json.loads((HOME / "3/metadata.json").read_text())["compared"]["worse"] is True


def test_figures_of_other_data_are_not_compared(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "changed", lambda *_: [])
    worse = another(run, -0.001)
    manifest = json.loads((worse / "manifest.json").read_text())
    edited(worse / "manifest.json", data={**manifest["data"], "files": {"sample.py": "others"}})
    assert [models("promote", path) for path in (run, worse)] == [0, 0]
    assert "not compared with version 1: that was measured on other data" in capsys.readouterr().err
    assert json.loads((HOME / "2/metadata.json").read_text())["compared"]["same_data"] is False


@pytest.mark.parametrize("name", ["best.pt", "export/reference.json", "metadata.json", "config.yaml"])
def test_a_damaged_file_is_named_by_its_checksum(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [models("promote", run), models("promote", run)] == [0, 0]
    path, before = HOME / "2" / name, sha256(HOME / "2" / name)
    path.write_bytes(path.read_bytes() + b" ")
    line = f"{path} is damaged: SHA-256 is {sha256(path)[:12]}..., was {before[:12]}..."
    for opened in (HOME, HOME / "2", HOME / "2/best.pt"):
        with pytest.raises(OSError, match="is damaged: SHA-256") as error:
            registry.open_model(opened)
        assert str(error.value) == f"{line}; restore it, or go back: models rollback sample"
    capsys.readouterr()
    assert models("list") == 0
    assert line in capsys.readouterr().err
    assert models("rollback", "sample") == 0
    registry.open_model(HOME)


def test_nobody_goes_back_to_what_is_damaged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [models("promote", run), models("promote", run)] == [0, 0]
    (HOME / "1/best.pt").unlink()
    assert models("rollback", "sample") == 4
    assert "models/sample/1/best.pt is gone; restore it, version 2 stays current" in capsys.readouterr().err
    assert registry.resolve(HOME) == HOME / "2"


def test_a_version_may_be_evaluated_and_is_still_whole(run: Path) -> None:
    assert models("promote", run) == 0
    commands.evaluate(HOME / "1")
    assert main(["card", str(HOME)]) == 0
    assert registry.resolve(HOME) == HOME / "1"


def test_a_damaged_current_json_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models("promote", run) == 0
    edited(HOME / "current.json", version=7)
    assert models("promote", run) == 4
    assert "models/sample/current.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("promote", "runs/none"), ("rollback", "none"), ("list", "none")])
def test_names_that_are_none_are_refused(words: tuple[str, ...], run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models("promote", run) == 0
    capsys.readouterr()
    assert models(*words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "", "x" * 65, "\u00fc"])
def test_a_name_never_leaves_the_folder_of_models(name: str, run: Path) -> None:
    assert models("rollback", name) == 2
    if name:
        assert models("promote", run, "--name", name) == 2
    assert not Path("models").exists()
    assert not Path("out").exists()


def test_a_promotion_that_is_killed_anywhere_leaves_the_old_version_or_the_new_one(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "failures", lambda *_: [])
    assert models("promote", run) == 0
    before, statuses = numbers(), list[int]()
    while 0 not in statuses:
        statuses.append(dies_before(1 + len(statuses), lambda: models("promote", run)))
        assert len(numbers()) == 1 + (statuses[-1] == 0 or numbers() != before)
        assert registry.resolve(HOME) == HOME / str(numbers()[-1][0])
        assert all(not one["damaged"] for one in registry.versions("sample"))
        before = numbers()
    assert {*statuses} == {-signal.SIGKILL, 0}
    assert len(statuses) > 15
    assert models("promote", run) == 0
    assert not [*HOME.glob("*.part")]


def test_a_first_promotion_that_is_killed_is_not_seen(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "failures", lambda *_: [])
    statuses = list[int]()
    while 0 not in statuses:
        assert registry.names() == []
        statuses.append(dies_before(1 + 3 * len(statuses), lambda: models("promote", run)))
        if len(statuses) % 2 and statuses[-1]:  # the next one begins on what was left, or on nothing
            shutil.rmtree("models", ignore_errors=True)
    assert [state for _, state in numbers()] == ["current"]


def test_a_way_back_that_is_killed_anywhere_is_not_gone_or_gone_whole(run: Path) -> None:
    assert [models("promote", run), models("promote", run)] == [0, 0]
    statuses = list[int]()
    while numbers() == [(1, "earlier"), (2, "current")]:
        statuses.append(dies_before(1 + len(statuses), lambda: models("rollback", "sample")))
    assert numbers() == [(1, "current"), (2, "rolled back")]
    assert statuses.count(-signal.SIGKILL) >= 2


def test_a_folder_that_a_killed_promotion_left_cannot_be_opened(run: Path) -> None:
    assert models("promote", run) == 0
    shutil.copytree(HOME / "1", HOME / "2")
    with pytest.raises(ValueError, match="models/sample/2 was never promoted"):
        registry.resolve(HOME / "2")


def test_no_version_is_lost_where_current_json_is(run: Path) -> None:
    assert [models("promote", run), models("promote", run)] == [0, 0]
    files = {path: path.read_bytes() for path in HOME.glob("[12]/**/*") if path.is_file()}
    (HOME / "current.json").unlink()
    assert models("promote", HOME / "2", "--name", "sample") == 0
    assert numbers() == [(3, "current")]
    assert {path: path.read_bytes() for path in files} == files


def test_what_replaces_a_damaged_version_is_not_compared_with_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models("promote", run) == 0
    for damage in ("{}", "", None):
        path = HOME / str(len(numbers())) / "metadata.json"
        path.unlink() if damage is None else path.write_text(damage)
        capsys.readouterr()
        assert models("promote", another(run, 0.1, f"runs/worse-{len(numbers())}")) == 0
        assert capsys.readouterr().err.count("nothing is compared with it") == 1
    assert registry.resolve(HOME) == HOME / "4"


def test_two_promotions_at_once_make_one_version_after_the_other_or_one_waits(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = version.fill

    def slow(*arguments: Any) -> str:
        Path("writing").touch()
        while not Path("go-on").exists():
            time.sleep(0.01)
        return fill(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(registry, "fill", slow)
        first = apart(lambda: models("promote", run))
    while not Path("writing").exists():
        time.sleep(0.01)
    try:
        second = ended(apart(lambda: models("promote", run)))
        said = Path("stderr.txt").read_text()
        assert registry.names() == []
    finally:
        Path("go-on").touch()
        status = ended(first)
    assert (status, second) == (0, 4)
    assert f"models/sample is in use by process {first}" in said
    assert numbers() == [(1, "current")]


def test_many_promotions_at_once_never_share_a_version(run: Path) -> None:
    statuses = [ended(pid) for pid in [apart(lambda: models("promote", run)) for _ in range(6)]]
    assert {*statuses} <= {0, 4}
    assert numbers() == [(n, "earlier") for n in range(1, statuses.count(0))] + [(statuses.count(0), "current")]


def test_who_loses_the_race_to_a_better_version_is_held_against_it(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    better = another(run, 0.001)
    mkdir = Path.mkdir

    def late(path: Path, **options: Any) -> None:
        monkeypatch.setattr(Path, "mkdir", mkdir)
        assert models("promote", better) == 0
        mkdir(path, **options)

    monkeypatch.setattr(Path, "mkdir", late)
    assert models("promote", run) == 1
    assert "is worse than" in capsys.readouterr().err
    assert numbers() == [(1, "current")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OwnConfig:
    task = "sample"
    kind: Literal["own"] = "own"
    folder: str = ""
    batch_size: int = 64
    workers: int = 0

    @property
    def root(self) -> Path:
        return Path(self.folder)

    @property
    def vocabulary(self) -> list[str]:
        return [str(word) for word in read_arrays(self.root, "own.npz")["vocabulary"]]

    def build(self, split: Split, *, augment: bool = False, num_rows: int | None = None) -> Rows:
        return SampleConfig().build(split, augment=augment, num_rows=num_rows)


def test_a_version_brings_what_answers_need_of_data_of_ones_own_and_not_the_test_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say()
    monkeypatch.setitem(configs.kinds("data"), "own", OwnConfig)
    own = Path("elsewhere/own")
    own.mkdir(parents=True)
    np.savez(own / "own.npz", vocabulary=np.array(["one", "two"]))
    np.savez(own / "own_test.npz", secret=np.array([1]))
    np.save(own / "train_inputs.npy", np.zeros(9))
    (own / "LICENSE").write_text("it goes where the data go")
    parts = dict.fromkeys(("row", "encode", "forward", "decode", "features"), registry.resolve)
    serving = SimpleNamespace(**parts, files=lambda _: ["own.npz"])
    monkeypatch.setitem(sys.modules, f"{registry.__package__}.sample", cast("ModuleType", serving))
    files = {path.name: sha256(path) for path in sorted(own.glob("*.np*"))}
    about = {"name": "Own", "licence": "CC0", "rows": {"train": 320, "val": 80, "test": 80}, "files": files}
    (own / "manifest.json").write_text(json.dumps(about))
    options = {**SMALL, "train.steps": 200, "train.eval_every": 100, "data.kind": "own", "data.folder": str(own)}
    trained = commands.fit(configs.load(PRESET, {**options, "train.out": "runs/own"}))
    commands.evaluate(trained)
    assert models("promote", exported(trained), "--name", "own") == 0
    shutil.rmtree("elsewhere")
    config, _, checkpoint = registry.open_model(Path("models/own"))
    assert config.data.vocabulary == ["one", "two"]
    assert sorted(path.name for path in (checkpoint.parent / "data").iterdir()) == [
        "LICENSE",
        "manifest.json",
        "own.npz",
    ]


def test_a_version_can_be_promoted_to_another_name(run: Path) -> None:
    assert [models("promote", run), models("promote", run)] == [0, 0]
    assert models("promote", HOME, "--name", "released") == 0
    shutil.rmtree(HOME)
    about = json.loads(Path("models/released/1/metadata.json").read_text())
    assert (about["run"], about["name"], about["version"]) == ("models/sample/2", "released", 1)
    registry.open_model(Path("models/released"))


def test_a_disk_that_is_full_leaves_no_part_behind(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> str:
        (HOME / "1.part").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry, "fill", full)
    assert models("promote", run) == 4
    assert [path.name for path in HOME.iterdir()] == ["lock"]
    # copier: endfilter
