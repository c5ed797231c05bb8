# copier: filter replace("my_project", package_name)
"""An ablation trains without one part after the other, whatever interrupts it, and says what each is worth."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from my_project import config as configs
from my_project import study
from my_project.__main__ import main
from my_project.commands import ablate
from my_project.evaluation.statistics import Difference, between_runs, holm

from .sample import PRESET
from .test_crossval import SHORT, figures, killed, table, trained

NAME = str(PRESET)
TOGGLES: dict[str, dict[str, Any]] = {
    "averaging": {"optim.ema_decay": 0},
    "scaling": {"model.fitted": False},
    "dropout": {"model.dropout": 0},
}
ABLATE = ["ablate", NAME, "--toggles", "toggles.yaml", "--seeds", "2", *SHORT]
FIRST = Path("runs/sample-ablate-1")


@pytest.fixture(autouse=True)
def toggles(workspace: Path) -> None:
    (workspace / "toggles.yaml").write_text(yaml.safe_dump(TOGGLES))


def record(value: float, *, higher_is_better: bool = True) -> dict[str, Any]:
    return {"primary": "score", "value": value, "higher_is_better": higher_is_better}


def test_each_part_is_compared_with_the_whole_over_the_same_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, *ABLATE)
    whole, lines = found["whole"]["values"], {line["name"]: line for line in found["without"]}
    assert {*lines} == {*TOGGLES}
    chances = holm([between_runs(line["values"], whole).p or 0.0 for line in lines.values()])
    for line, p in zip(lines.values(), chances, strict=True):
        wanted = between_runs(whole, line["values"])  # of an error, which is better when it is lower
        assert (line["worth"], line["low"], line["high"]) == pytest.approx((wanted.value, wanted.low, wanted.high))
        assert line["p"] == pytest.approx(p)
    worths = [line["worth"] for line in found["without"]]
    assert worths == sorted(worths, reverse=True)
    for name, options in [("whole", dict[str, Any]()), *TOGGLES.items()]:
        for seed in (0, 1):
            config = configs.load(FIRST / f"{name}-seed-{seed}" / "config.yaml")
            wanted_config = configs.load(PRESET, {**options, "train.seed": seed})
            assert (config.model, config.optim.ema_decay) == (wanted_config.model, wanted_config.optim.ema_decay)
            assert config.train.seed == seed


def test_killed_in_the_middle_the_same_command_ends_with_the_same_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures(capsys, *ABLATE, "--out", "unbroken")
    killed(ABLATE, "averaging-seed-0")
    assert (FIRST / "whole-seed-1" / study.DONE).is_file()
    runs = trained(monkeypatch)
    assert figures(capsys, *ABLATE)["study"] == str(FIRST)
    assert runs[0] == ("averaging-seed-0", True)
    assert len(runs) == 6
    assert table(FIRST, "ablate.json") == table(Path("unbroken"), "ablate.json")


def test_other_toggles_are_another_study(capsys: pytest.CaptureFixture[str]) -> None:
    killed(ABLATE, "averaging-seed-0")
    Path("toggles.yaml").write_text("clipping: {optim.grad_clip: 0}")
    assert main([*ABLATE, "--out", str(FIRST)]) == 2
    assert "holds another study: runs." in capsys.readouterr().err
    assert figures(capsys, *ABLATE)["study"] == "runs/sample-ablate-2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {optim.ema_deca: 0}", "unknown option 'optim.ema_deca': did you mean optim.ema_decay?"),
        ("a: {model.dropout.rate: 0}", "toggle 'a': unknown option 'model.dropout.rate'"),
        ("a: {models.dropout: 0}", "unknown section 'models'"),
        ("a: {optim.lr: fast}", "optim.lr: got 'fast'"),
        ("a: 3", "want a YAML file of lines such as"),
        ("a: {", "want a YAML file of lines such as"),
        ("", "want a YAML file of lines such as"),
        ("a: {model.dropout: 0}\nA: {model.fitted: false}", "'A' and 'a' are alike"),
        ("ü: {model.dropout: 0}\nü!: {model.fitted: false}", "'ü!' and 'ü' are alike"),
        ("whole: {model.dropout: 0}", "'whole' is the name of the runs with everything"),
        ("Whole!: {model.dropout: 0}", "'Whole!' is the name of the runs with everything"),
        ("'!': {model.dropout: 0}", "'!' has no letter"),
        ("a: {optim.grad_clip: 1.0}", "none of them changes anything"),
    ],
)
def test_toggles_that_make_no_sense_are_refused_before_the_first_run(
    text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("toggles.yaml").write_text(text)
    assert main(ABLATE) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_words_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ABLATE, "--seeds", "0"]) == 2
    assert main(["ablate", NAME, "--toggles", "none.yaml"]) == 2
    assert "none.yaml is not there" in capsys.readouterr().err


def test_everything_that_can_be_taken_away_is_listed_and_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ablate", NAME, "--list"])
    assert ended.value.code == 0
    listed = yaml.safe_load(capsys.readouterr().out)
    assert {"model.fitted", "model.dropout", "optim.ema_decay", "optim.weight_decay", "data.pieces"} <= {*listed}
    assert listed["model.fitted"] == {"model.fitted": False}
    assert not {"train.seed", "train.compile", "data.batch_size", "optim.lr", "data.workers"} & {*listed}
    whole = configs.load(PRESET)
    assert len(ablate.choose(whole, NAME, {}, listed)) == len(listed)


def test_what_changes_the_held_out_rows_is_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = configs.load(PRESET)
    monkeypatch.setattr(ablate, "same_rows", lambda one, other: one.data == other.data)
    with pytest.raises(ValueError, match="toggle 'a': it changes the held-out rows"):
        ablate.choose(whole, NAME, {}, {"a": {"data.pieces": True}})


def test_other_rows_are_told_from_the_same_rows() -> None:
    one = configs.load(PRESET)
    assert ablate.same_rows(one, configs.load(PRESET, {"data.pieces": True}))
    folds = configs.load(PRESET, {"data.kind": "folds", "data.base": {"kind": "sample"}})
    assert not ablate.same_rows(one, folds)


def test_names_of_all_letters_are_folders() -> None:
    assert ablate.run_name("Ü, ohne ö", 1) == "ü-ohne-ö-seed-1"


def test_the_shipped_toggles_change_the_default_preset() -> None:
    chosen = ablate.read_toggles(Path(ablate.__file__).with_name("toggles.yaml"))
    assert len(ablate.choose(configs.load(), configs.DEFAULT_PRESET, {}, chosen)) >= 3


def test_parts_of_parts_are_taken_away_by_longer_names() -> None:
    words = {"data.kind": "folds", "data.base": {"kind": "sample", "pieces": True}}
    config = ablate.toggled(configs.load(PRESET, words), NAME, words, {"data.base.pieces": False, "data.fold": 2})
    assert (config.data.base.pieces, config.data.fold) == (False, 2)
    spelled = {**words, "data.base": "{kind: sample, pieces: true}"}  # as the command line has it
    assert ablate.toggled(configs.load(PRESET, spelled), NAME, spelled, {"data.base.pieces": False}).data == (
        configs.load(PRESET, {**words, "data.base": {"kind": "sample", "pieces": False}}).data
    )
    both = ablate.toggled(configs.load(PRESET, words), NAME, words, {"data.base.pieces": False, "data.base.workers": 1})
    assert (both.data.base.pieces, both.data.base.workers) == (False, 1)


def test_the_sentences_say_what_can_be_claimed_and_no_more() -> None:
    results = {
        "whole": [record(0.90), record(0.91), record(0.92)],
        "bias": [record(0.80), record(0.81), record(0.82)],
        "noise": [record(0.90), record(0.92), record(0.91)],
        "harm": [record(0.98), record(0.98), record(0.99)],
        "clip": [record(0.9), {"failed": "nan"}, record(0.9)],
    }
    options = {name: {"model.x": 0} for name in results}
    found = ablate.tabulate(results, {**options, "harm": {"model.x": True}})
    assert [line["name"] for line in found["without"]] == ["clip", "bias", "noise", "harm"]
    clip, bias, noise, harm, correction = found["sentences"]
    assert clip == "Without clip: loss or score was not finite in 1 of 3 runs."
    assert correction == "p is corrected for 3 comparisons (Holm), without 1 that has no figures; intervals are not."
    assert bias.startswith("Without bias: score is worse by 0.07")
    assert noise.startswith("Without noise: no difference can be shown with 3 seeds")
    assert harm.startswith("With harm: score is better by 0.0")
    alone = ablate.tabulate({"whole": [record(0.9)], "a": [record(0.8)]}, options | {"a": {"model.x": 0}})
    (sentence,) = alone["sentences"]
    assert sentence == "Without a: score is worse by 0.1000 in this one run, which says nothing of other seeds."
    lower = ablate.tabulate(
        {"whole": [record(1, higher_is_better=False)], "a": [record(3, higher_is_better=False)]}, {"a": {"x": 0}}
    )
    assert lower["without"][0]["worth"] == 2


def verdict(whole: list[float], values: list[float], primary: str = "score") -> tuple[dict[str, Any], list[str]]:
    runs = {"whole": [*map(record, whole)], "a": [*map(record, values)]}
    named = {name: [{**each, "primary": primary} for each in own] for name, own in runs.items()}
    found = ablate.tabulate(named, {"a": {"model.x": 0}})
    return found["without"][0], found["sentences"]


def test_a_tie_is_neither_better_nor_worse() -> None:
    assert verdict([0.9], [0.9])[1] == [
        "Without a: score is the same in this one run, which says nothing of other seeds."
    ]
    (said,) = verdict([0.9, 0.8], [0.8, 0.9])[1]
    assert said == "Without a: no difference can be shown with 2 seeds (score the same, p = 1)."


def test_runs_that_do_not_vary_claim_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablate, "between_runs", lambda one, other: Difference(value=other[0] - one[0]))
    line, (said,) = verdict([0.95, 0.95], [0.94, 0.94])
    assert (line["p"], line["low"], line["high"]) == (None, None, None)
    assert said == "Without a: score is worse by 0.0100, but runs that do not vary say nothing of other seeds."


def test_a_small_p_is_only_small_and_one_comparison_needs_no_correction() -> None:
    (said,) = verdict([0.9, 0.900001, 0.900002], [0.1, 0.100001, 0.100002])[1]
    assert said.endswith(", p < 0.001.")


def test_intervals_of_shares_stay_shares() -> None:
    line, _ = verdict([0.99, 0.7, 0.99], [0.01, 0.5, 0.01], "accuracy")
    assert line["high"] == 1
    runs = {name: [{**record(value), "primary": "accuracy"} for value in (0.99, 0.7, 0.99)] for name in ("whole", "a")}
    assert ablate.tabulate(runs, {"a": {"model.x": 0}})["whole"]["high"] == 1


def test_a_part_without_which_nothing_is_learned_is_told_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("toggles.yaml").write_text("sense: {optim.lr: 1.0e+30, optim.grad_clip: 0}")
    found = figures(capsys, *ABLATE, "--seeds", "1")
    assert found["sentences"] == ["Without sense: loss or error was not finite in 1 of 1 runs."]
    assert json.loads((FIRST / "sense-seed-0" / study.DONE).read_text())["failed"]
    # copier: endfilter
