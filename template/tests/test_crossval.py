# copier: filter replace("my_project", package_name)
"""A cross-validation trains every fold once, whatever interrupts it, and says what it found."""

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project import study
from my_project.__main__ import main
from my_project.commands import crossval
from my_project.data.folds import FoldsConfig
from my_project.evaluation.statistics import Interval, over_folds
from my_project.models.nested import kinds
from my_project.training import storage

from .sample import PRESET, SampleConfig, raise_at_next_batch
from .test_faults import in_a_process

kinds(f"{configs.__package__}.data")["sample"] = SampleConfig  # so that its folds can be named
NAME = str(PRESET)
SHORT = ["--train.steps", "6", "--train.eval-every", "3", "--train.log-every", "3", "--optim.warmup-steps", "1"]
CROSSVAL = ["crossval", NAME, "--folds", "3", *SHORT]
FIRST = Path("runs/sample-crossval-1")


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def table(folder: Path, name: str = "crossval.json") -> dict[str, Any]:
    """What a study found, but for when it was written."""
    return {**json.loads((folder / name).read_text("utf-8")), "written": ""}


def killed(words: list[str], run: str) -> None:
    """Run a command in a process that is killed (-9) as soon as a run has its second checkpoint."""

    def work() -> int:
        save, saved = storage.save_checkpoint, list[Path]()

        def deadly(path: Path, state: dict[str, Any], *, best: bool = False) -> None:
            save(path, state, best=best)
            saved.append(path)
            if [each.parent.name for each in saved].count(run) > 1:
                os.kill(os.getpid(), signal.SIGKILL)

        vars(storage)["save_checkpoint"] = deadly
        return main(words)

    assert in_a_process(work)[0] == -signal.SIGKILL


def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Which runs are trained from now on, and whether they go on."""
    found, fit = list[tuple[str, bool]](), commands.fit

    def noted(config: Any, *, resume: Path | None = None, **options: Any) -> Path:
        found.append((Path(config.train.out).name, resume is not None))
        return fit(config, resume=resume, **options)

    monkeypatch.setattr(commands, "fit", noted)
    return found


def test_every_fold_is_trained_and_measured_on_its_own_rows(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, *CROSSVAL)
    assert sorted(fold["rows"]["val"] for fold in found["folds"]) == [133, 133, 134]
    assert {sum(fold["rows"].values()) for fold in found["folds"]} == {400}
    numbers = list[int]()
    for fold in found["folds"]:
        run = FIRST / f"fold-{fold['fold']}"
        record, rows = (json.loads((run / name).read_text()) for name in ("evaluation.json", "rows.json"))
        assert (record["value"], record["primary"]) == (fold["value"], "error")
        numbers += map(int, rows["val"]["rows"].split())
        manifest = json.loads((run / "manifest.json").read_text())["data"]
        assert manifest["rows"]["val"] == rows["val"]["count"] == fold["rows"]["val"]
        assert manifest["files"]["val rows"] == rows["val"]["sha256"]
        config = configs.load(run / "config.yaml")
        assert len(config.data.build("val")) == fold["rows"]["val"]
    assert sorted(numbers) == [*range(400)]


def test_the_interval_is_the_corrected_one_and_the_sentence_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, *CROSSVAL)
    wanted = over_folds([fold["value"] for fold in found["folds"]], 1 / 3)
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((wanted.value, wanted.low, wanted.high))
    for number in (found["mean"], found["low"], found["high"]):
        assert f"{number:.4f}" in found["sentence"]
    assert "3 folds (stratified)" in found["sentence"]
    assert table(FIRST) == {**{k: v for k, v in found.items() if k != "study"}, "written": ""}


def test_a_study_keeps_no_data_of_its_folds_in_memory() -> None:
    folds = {"data.kind": "folds", "data.base": {"kind": "sample"}}
    plans = {f"fold-{number}": configs.load(NAME, {**folds, "data.fold": number}) for number in (1, 2)}
    study.open_study("crossval", plans)
    for number, config in enumerate(plans.values(), start=1):
        kept = [
            name for name, value in vars(config.data).items() if name != "rows" and not isinstance(value, str | int)
        ]
        assert kept == ["base"]
        assert json.loads((FIRST / study.RECORD).read_text())["data"][f"fold-{number}"]["val rows"]


def test_a_fold_is_a_run_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    figures(capsys, *CROSSVAL)
    run = FIRST / "fold-2"
    before = json.loads((run / "evaluation.json").read_text())
    assert figures(capsys, "evaluate", str(run))["value"] == before["value"]
    np.savetxt("points.csv", np.ones((2, 4)), delimiter=",")
    assert len(commands.predict(run, Path("points.csv"))) == 2
    assert Path(commands.report(run)).is_file()
    assert figures(capsys, "train", "--config", str(run / "config.yaml"), "--train.out", "again")["run"] == "again"
    assert json.loads(Path("again/evaluation.json").read_text())["value"] == before["value"]
    assert main(["train", "--resume", str(run), "--data.fold", "3"]) == 2
    assert figures(capsys, "train", "--resume", str(run), "--train.steps", "9")["run"] == str(run)


def test_nothing_is_chosen_by_the_rows_that_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["--train.steps", "12", "--train.eval-every", "1", "--optim.lr", "1", "--optim.schedule", "constant"]
    found = figures(capsys, *CROSSVAL, *wild, "--train.patience", "1")
    lasts, bests = list[float](), list[float]()
    for fold in found["folds"]:
        run = FIRST / f"fold-{fold['fold']}"
        errors = [line["error"] for line in storage.read_journal(run) if line["split"] == "val"]
        assert len(errors) == 12  # patience would have ended it
        lasts, bests = [*lasts, errors[-1]], [*bests, min(errors)]
        assert figures(capsys, "evaluate", str(run))["value"] == fold["value"]
    assert lasts == pytest.approx([fold["value"] for fold in found["folds"]], rel=1e-5)
    assert lasts != pytest.approx(bests, rel=1e-5)
    assert main([*CROSSVAL, "--optim.schedule", "plateau"]) == 2
    assert "plateau looks at the held-out rows" in capsys.readouterr().err


def test_a_fold_fits_what_it_measures_to_its_own_training_rows() -> None:
    assert main(CROSSVAL) == 0
    for number in (1, 2):
        config, model, _ = commands.open_run(FIRST / f"fold-{number}")
        train = config.data.build("train").inputs
        assert torch.equal(torch.as_tensor(model.get_buffer("mean")), train.mean(0))


def test_killed_in_the_middle_the_same_command_ends_with_the_same_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures(capsys, *CROSSVAL, "--out", "unbroken")
    killed(CROSSVAL, "fold-2")
    assert (FIRST / "fold-1" / study.DONE).is_file()
    assert not (FIRST / "fold-2" / study.DONE).exists()
    runs = trained(monkeypatch)
    found = figures(capsys, *CROSSVAL)
    assert runs == [("fold-2", True), ("fold-3", False)]
    assert found["study"] == str(FIRST)
    assert table(FIRST) == table(Path("unbroken"))


def test_killed_before_its_first_checkpoint_a_run_begins_anew(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> int:
        vars(storage)["save_checkpoint"] = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        return main(CROSSVAL)

    assert in_a_process(work)[0] == -signal.SIGKILL
    assert (FIRST / "fold-1" / "config.yaml").is_file()
    runs = trained(monkeypatch)
    figures(capsys, *CROSSVAL)
    assert runs == [(f"fold-{number}", False) for number in (1, 2, 3)]
    assert figures(capsys, *CROSSVAL, "--out", "unbroken")["folds"] == table(FIRST)["folds"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_its_status_and_says_how_to_go_on(
    number: int, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_at_next_batch(number, monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(CROSSVAL)
    assert ended.value.code == status
    assert capsys.readouterr().err.splitlines()[-1] == f"stopped; the same command goes on with {FIRST}"
    assert figures(capsys, *CROSSVAL)["study"] == str(FIRST)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_processes_train_each_fold_once_and_end_with_the_same_table() -> None:
    def work() -> int:
        def noted(config: Any, **options: Any) -> Path:
            fold = Path(config.train.out).name
            with Path("trained.txt").open("a") as file:
                file.write(f"{fold}\n")
            if fold == "fold-1":  # until the other one has gone past it, and has done one
                until(lambda: any(FIRST.glob(f"fold-*/{study.DONE}")))
            return fit(config, **options)

        fit, vars(commands)["fit"] = commands.fit, noted
        return main([*CROSSVAL])

    first = os.fork()
    if first == 0:
        os._exit(in_a_process(work)[0])
    until(lambda: Path("trained.txt").is_file())
    status, said = in_a_process(work)
    assert os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) == 0
    assert status == 0, said
    assert sorted(Path("trained.txt").read_text().split()) == ["fold-1", "fold-2", "fold-3"]
    assert len(table(FIRST)["folds"]) == 3
    assert not Path("runs/sample-crossval-2").exists()


def test_a_finished_study_is_left_and_a_new_one_begins(capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(capsys, *CROSSVAL)["study"] == str(FIRST)
    assert figures(capsys, *CROSSVAL)["study"] == "runs/sample-crossval-2"


def test_another_study_is_refused_by_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    figures(capsys, *CROSSVAL, "--out", "mine")
    before = table(Path("mine"))
    for words, message in {
        ("--optim.lr", "0.5"): "runs.fold-1.optim.lr: it has 0.03, given 0.5",
        ("--folds", "4"): "runs.fold-1.data.num_folds: it has 3, given 4",
    }.items():
        assert main([*CROSSVAL, *words, "--out", "mine"]) == 2
        assert message in capsys.readouterr().err
    assert table(Path("mine")) == before
    Path("other").mkdir()
    Path("other/notes.txt").write_text("mine")
    assert main([*CROSSVAL, "--out", "other"]) == 2
    assert "other is there and holds no study" in capsys.readouterr().err


def test_code_that_has_changed_begins_another_study(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(CROSSVAL, "fold-2")
    describe = storage.describe_run

    def changed(*arguments: Any) -> dict[str, Any]:
        return {**describe(*arguments), "code": {"sha256": "another"}}

    monkeypatch.setattr(storage, "describe_run", changed)
    assert figures(capsys, *CROSSVAL)["study"] == "runs/sample-crossval-2"
    assert main([*CROSSVAL, "--out", str(FIRST)]) == 2


def test_several_seeds_of_a_fold_are_one_figure_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, *CROSSVAL, "--seeds", "2", "--folds", "2")
    assert [len({*fold["seeds"]}) for fold in found["folds"]] == [2, 2]
    assert found["folds"][0]["value"] == pytest.approx(sum(found["folds"][0]["seeds"]) / 2)
    seeds = [configs.load(FIRST / f"fold-2-seed-{n}" / "config.yaml").train.seed for n in (0, 1)]
    assert seeds == [0, 1]


def test_it_says_a_line_a_fold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(CROSSVAL) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"a study of 3 runs: writing to {FIRST}"
    assert [line.partition(": error")[0] for line in lines[1:4]] == ["fold 1", "fold 2", "fold 3"]
    assert len(lines) == 5


def test_a_loss_that_is_not_finite_ends_with_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CROSSVAL, "--optim.lr", "1e30", "--optim.grad-clip", "0"]) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"delete the folder {FIRST / 'fold-1'} to train it again, or give other options")


def test_folds_of_folds_are_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CROSSVAL, "--data.kind", "folds", "--data.base", "{kind: sample}"]) == 2
    assert "data.kind: got folds, but crossval makes its own" in capsys.readouterr().err


def test_data_that_have_no_folds_are_refused_before_there_is_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("it has no folds")

    monkeypatch.setattr(FoldsConfig, "build", refuse)
    assert main(CROSSVAL) == 2
    assert not Path("runs").exists()


def results(*values: float, primary: str = "accuracy") -> tuple[dict[str, Any], dict[str, FoldsConfig]]:
    same = {"primary": primary, "higher_is_better": True, "train_value": 1.0, "gap": 0.0, "baselines": {"chance": 0.5}}
    folds = {f"fold-{n}": FoldsConfig(base=SampleConfig(), fold=n, num_folds=len(values)) for n in (1, 2, 3)}
    return {run: {**same, "value": value} for run, value in zip(folds, values, strict=True)}, folds


def test_the_interval_of_a_share_stays_within_all_and_nothing() -> None:
    found = crossval.tabulate(*results(0.99, 0.7, 0.99))
    assert found["high"] == 1
    assert " to 1.0000; " in found["sentence"]
    assert crossval.tabulate(*results(0.99, 0.7, 0.99, primary="rmse"))["high"] > 1


def test_folds_without_an_interval_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossval, "over_folds", lambda *_: Interval(value=1.0))
    found = crossval.tabulate(*results(1, 1, 1))
    assert (found["low"], found["high"]) == (None, None)
    assert "3 folds (stratified), no interval: they do not vary; the best" in found["sentence"]


def test_a_run_that_somebody_took_further_is_not_measured_as_if_nobody_had(capsys: pytest.CaptureFixture[str]) -> None:
    killed(CROSSVAL, "fold-2")
    assert main(["train", "--resume", str(FIRST / "fold-2"), "--train.steps", "9"]) == 0
    assert main(CROSSVAL) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(f"was trained for 9 steps, the study wants 6; delete the folder {FIRST / 'fold-2'}")


def test_a_figure_that_is_no_number_is_told_as_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any, **__: Any) -> dict[str, Any]:
        return dict.fromkeys(study.KEPT, float("nan")) | {"primary": "error"}

    monkeypatch.setattr(commands, "evaluate", nothing)
    config = configs.load(NAME, {"train.steps": 1})
    assert study.fit(Path("one"), config, last=True) == {"failed": "one: error is nan"}


@pytest.mark.parametrize("place", ["locks/fold-2/lock", "lock"])
def test_a_lock_that_cannot_be_had_ends_it_with_status_4(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(CROSSVAL) == 0
    for path in (FIRST / "crossval.json", FIRST / "fold-2" / study.DONE, FIRST / place):
        path.unlink()
    (FIRST / place).mkdir()
    assert main(CROSSVAL) == 4
    assert "Is a directory" in capsys.readouterr().err.splitlines()[-1]


def test_a_disk_that_has_no_locks_ends_it_with_status_4(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(storage, "fcntl", SimpleNamespace(lockf=lacking, LOCK_EX=2, LOCK_NB=4))
    assert main(CROSSVAL) == 4
    assert "No locks available" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_whose_figures_were_cut_off_is_finished_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = figures(capsys, *CROSSVAL)
    (FIRST / "fold-2" / study.DONE).write_text("")
    (FIRST / "crossval.json").unlink()
    runs = trained(monkeypatch)
    assert figures(capsys, *CROSSVAL) == before
    assert runs == [("fold-2", True)]


def test_a_record_that_was_cut_off_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    FIRST.mkdir(parents=True)
    (FIRST / study.RECORD).write_text("")
    assert main(CROSSVAL) == 4
    assert f"{FIRST / study.RECORD} is damaged" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", denied)
    assert main(CROSSVAL) == 4
    assert not [*Path("runs").iterdir()]


def test_processes_of_one_number_make_one_study(monkeypatch: pytest.MonkeyPatch) -> None:
    write = storage.write_json

    def between(folder: Path, record: dict[str, Any]) -> None:  # as on two machines that share a disk
        monkeypatch.setattr(storage, "write_json", write)
        assert study.publish(Path("one"), {"by": "the other"})
        storage.write_json(folder, record)

    monkeypatch.setattr(storage, "write_json", between)
    assert not study.publish(Path("one"), {"by": "this one"})
    assert json.loads(Path("one", study.RECORD).read_text())["by"] == "the other"
    assert [path.name for path in Path().glob("*one*")] == ["one"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--folds", "1"], "--folds: got 1, want 2 or more"),
        (["--seeds", "0"], "--seeds: got 0, want 1 or more"),
        (["--by", "grouped"], "data.by: got grouped, but"),
        (["--train.out", "here"], "name its folder by --out"),
        (["--optim.lrr", "1"], "did you mean optim.lr?"),
        (["--folds", "900"], "data.num_folds: got 900, want fewer than the 400 rows"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*CROSSVAL, *words]) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()
    # copier: endfilter
