# copier: filter replace("my_project", package_name)
"""The cards of a run hold a person's words and figures from its files, and say where somebody has to speak."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from my_project import config as configs
from my_project import run as commands
from my_project.__main__ import main
from my_project.serving import card
from my_project.serving.files import sha256
from my_project.training import storage

from .sample import NUM_ROWS, PRESET, smaller

DATA = {  # one of each kind; puzzles are made, not counted
    config.data.kind: config
    for config in (configs.load(path, smaller(path)) for path in sorted(configs.PRESETS.glob("*.yaml")))
    if isinstance(config.data.root, Path)
}
SAID = {
    "intended_use": "To tell how long a vector is.",
    "out_of_scope": "Vectors of other spaces.",
    "limitations": ["It saw normal vectors only.", "It was never shown a long one."],
    "contact": "Ada",
}


@pytest.fixture
def run(trained: Path) -> Path:
    """A run with every file that a card may be filled from."""
    say(**SAID)
    run = Path(shutil.copytree(trained, "runs/sample-1"))
    checksum, groups = sha256(run / "best.pt"), {"a": {"rows": 40, "error": 0.3125}, "b": {"rows": 40, "error": 0.25}}
    about = {"checkpoint_sha256": checksum}
    (run / "export").mkdir()
    exported = {**about, "parity": {"program": 1.25e-7}, "sizes": {"onnx_mb": 0.75}, "reasons": {}}
    storage.write_json(run / "export/export.json", exported)
    storage.write_json(run / "export/reference.json", {**about, "rows": 320, "features": {}})
    record = {"by": "hands", "primary": "error", "gap": 0.0625, "few": 20, "groups": groups}
    storage.write_json(run / "groups.json", record)
    return run


def say(**words: Any) -> None:
    Path("configs").mkdir(exist_ok=True)
    Path("configs/card.yaml").write_text(yaml.safe_dump(words))


def section(page: str, name: str) -> str:
    return page.partition(f"\n## {name}\n")[2].partition("\n## ")[0].strip()


def write(run: Path) -> tuple[str, str]:
    assert main(["card", str(run)]) == 0
    model, data = ((run / name).read_text("utf-8") for name in card.CARDS)
    return model, data


def status(*words: object) -> int:
    try:
        return main(["card", *map(str, words)])
    except SystemExit as ended:
        return int(str(ended.code))


def leaves(values: Any) -> Iterator[Any]:
    """Every value that lies in nested ones, their keys, and lists as a cell shows them."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield key
            yield from leaves(value)
    elif isinstance(values, list):
        yield ", ".join(map(card.figure, values))
        yield " x ".join(map(str, values))
        for value in values:
            yield from leaves(value)
    else:
        yield values


def told(*paths: Path) -> set[str]:
    """Every figure of some files, as a card writes it."""
    return {card.figure(value) for path in paths for value in leaves(yaml.safe_load(path.read_text("utf-8")))}


def cells(page: str) -> set[str]:
    """The cells of a page's tables that have a digit in them."""
    lines = (line.replace("\\|", "\0") for line in page.splitlines() if line.startswith("|"))
    found = (cell.strip(" *`").replace("\0", "\\|") for line in lines for cell in line.split("|"))
    return {cell for cell in found if re.search(r"\d", cell)}


def test_a_figure_in_the_card_of_a_model_stands_in_a_file(run: Path) -> None:
    commands.evaluate(run, split="test", final=True)
    model, _ = write(run)
    environment = [line for line in model.splitlines() if line.startswith(("| code |", "| versions |"))]
    files = [path for path in run.rglob("*") if path.suffix in {".json", ".yaml"} and path.name != "card.json"]
    allowed = told(*files, PRESET.parent / "manifest.json") | {"--"}
    strange = {cell for cell in cells(model) if cell not in allowed and not any(cell in line for line in environment)}
    strange -= {name for name, _ in card.flat(configs.to_dict(configs.load(run / "config.yaml")))}
    strange -= {name for name, _ in card.flat(json.loads((run / "export/export.json").read_text()))}
    assert strange == set()
    manifest = json.loads((run / "manifest.json").read_text())
    code, versions = environment
    assert manifest["code"]["sha256"] in code
    assert versions == f"| versions | Python {manifest['environment']['python']}, torch {torch.__version__} |"
    assert len(cells(model)) > 15


def test_the_card_has_figures_baselines_groups_export_and_reference(run: Path) -> None:
    record = json.loads((run / "evaluation.json").read_text())
    model, _ = write(run)
    figures = section(model, "Figures")
    assert f"| **this model** | **{record['value']:.4g}** |" in figures
    assert all(f"| baseline {name} | {value:.4g} |" in figures for name, value in record["baselines"].items())
    assert "The test split is sealed" in figures
    groups = section(model, "Groups")
    assert "By hands, of the validation split; the gap between groups of 20 rows or more is 0.0625." in groups
    assert "| a | 40 | 0.3125 |\n| b | 40 | 0.25 |" in groups
    assert "| parity.program | 1.25e-07 |" in section(model, "Export")
    assert "| rows | 320 |" in section(model, "Monitoring")


def test_files_about_another_checkpoint_are_left_out(run: Path) -> None:
    (run / "export/reference.json").write_text(json.dumps({"checkpoint_sha256": "0" * 64, "rows": 7}))
    (run / "groups.json").unlink()
    (run / "analysis.json").unlink(missing_ok=True)
    model, _ = write(run)
    assert section(model, "Export") == "Not exported."
    assert section(model, "Monitoring").startswith("There is no reference for drift yet")
    assert section(model, "Groups") == "No file of this run has figures by group."
    (run / "evaluation.json").write_text(json.dumps({"checkpoint_sha256": "0" * 64}))
    assert status(run) == 2


def test_what_a_person_said_is_kept_when_the_card_is_made_again(run: Path) -> None:
    before = Path("configs/card.yaml").read_bytes()
    first = write(run)
    assert write(run) == first
    assert Path("configs/card.yaml").read_bytes() == before
    model, data = first
    assert section(model, "Intended use") == "To tell how long a vector is."
    assert section(model, "Limitations").startswith("- It saw normal vectors only.\n- It was never shown a long one.")
    assert section(model, "Contact") == "Ada"
    assert section(model, "Ethical considerations") == "Not said yet."
    assert "- It saw normal vectors only." in section(data, "Limits")


@pytest.mark.parametrize("name", card.WANTED)
@pytest.mark.parametrize(
    "value", [None, "", " ", [], [""], "none", "None.", "N/A", "TODO", "-", "tbd", "[fill: where it is wrong]"]
)
def test_words_that_say_nothing_are_found(name: str, value: object) -> None:
    say(**{**SAID, name: value})
    assert card.problems(card.WORDS) == [f"configs/card.yaml says nothing of {name}; say it in a sentence"]


def test_a_check_refuses_an_empty_section_in_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(limitations="[fill: where it is wrong]")
    assert status(run, "--check") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "card: configs/card.yaml says nothing of intended_use, limitations; say it in a sentence"
    assert status(run) == 0
    assert section((run / "model_card.md").read_text("utf-8"), "Limitations").startswith("**Not said yet.**")


def test_a_check_passes_where_both_are_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(run, "--check") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"cards": [f"{run}/{name}" for name in card.CARDS], "missing": []}
    assert said.err == ""


def test_a_project_is_rendered_with_a_card_that_says_nothing_yet() -> None:
    path = Path(__file__).parents[1] / "configs/card.yaml"
    assert {*card.read_words(path)} == {*card.SECTIONS}
    if "[fill" in path.read_text("utf-8"):  # until somebody has filled it in
        assert len(card.problems(path)) <= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "is not there"), ("limits: none", "found limits"), ("- a", "found ['a']"), ("a: [", "while parsing")],
)
def test_words_of_another_form_are_refused_in_a_line(
    text: str | None, message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("configs/card.yaml").unlink()
    if text is not None:
        Path("configs/card.yaml").write_text(text)
    assert status(run) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (run / "card.json").exists()


def test_bars_and_lines_do_not_break_a_table() -> None:
    assert card.figure("a|b\nc") == "a\\|b c"
    assert [card.figure(value) for value in (0.12345678, 1e-9, 12345678, None, True)] == [
        "0.1235",
        "1e-09",
        "12345678",
        "",
        "True",
    ]


def test_every_row_of_a_table_has_as_many_cells_as_its_head(run: Path) -> None:
    for page in write(run):
        for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(counts) == 1, table
            assert re.fullmatch(r"\|(-+:?\|)+", table.splitlines()[1]), table


def test_the_card_of_data_names_their_licence_size_and_checksums(run: Path) -> None:
    _, data = write(run)
    assert data.startswith("# Data card: Lengths of vectors, a sample for tests\n")
    assert "| licence | none |" in section(data, "What the manifest says")
    assert all(f"| {split} | {rows} |" in section(data, "Size") for split, rows in NUM_ROWS.items())
    assert "| sample.py | `drawn from seeds` |" in section(data, "Files")
    values = configs.load(PRESET).data.build("train").targets.numpy()
    shown = " | ".join(card.figure(float(v)) for v in np.quantile(values, (0, 0.25, 0.5, 0.75, 1)))
    assert f"| train | {shown} |" in section(data, "Balance")
    assert "rests on 80 rows" in section(data, "Limits")


@pytest.mark.parametrize("config", DATA.values(), ids=list(DATA))
def test_the_rows_of_all_classes_are_those_of_the_manifest(config: Any) -> None:
    facts = card.data_facts(config)
    for split, counts in facts["classes"].items():
        assert sum(counts.values()) == len(config.data.build(split))
        assert [*counts] == [*config.data.labels]
    assert facts["said"]["name"]
    assert "test" not in {*facts["classes"], *facts["quartiles"]}
    page = card.PAGES.get_template("data_card.md").render({"data": facts, "words": dict.fromkeys(card.SECTIONS, "")})
    assert f"| licence | {card.figure(facts['said']['licence'])} |" in page


def test_classes_of_few_rows_are_named() -> None:
    counted = {"classes": {"train": {"cat": 300, "dog": 30}, "val": {"cat": 60, "dog": 6}}}
    assert card.limits({"val": 66}, counted) == [
        "Every figure of the validation split rests on 66 rows.",
        "The training split has 300 rows of cat, the most, and 30 of dog.",
        "Fewer than 20 validation rows, by which little can be said: dog.",
    ]


def test_groups_are_counted_where_rows_have_some() -> None:
    np.savez("own.npz", train_groups=np.array([1, 1, 2]), val_groups=np.array([3, 4]))
    manifest = {"arrays": {"groups": {}}, "files": {"own.npz": sha256(Path("own.npz")), "own_test.npz": "sealed"}}
    Path("manifest.json").write_text(json.dumps(manifest))
    assert card.count_groups(Path(), manifest) == {"train": 2, "val": 2}
    assert card.count_groups(Path(), {**manifest, "arrays": {}}) == {}


def test_the_cards_of_the_projects_own_model_are_whole() -> None:
    say(**SAID)
    name = configs.DEFAULT_PRESET
    short = {"train.steps": 2, "train.eval_every": 2, "train.log_every": 1, "optim.warmup_steps": 0}
    run = commands.fit(configs.load(name, short | smaller(name)))
    record = commands.evaluate(run)
    model, data = write(run)
    assert f"| **this model** | **{record['value']:.4g}** |" in section(model, "Figures")
    assert "[[" not in model + data
    assert "[%" not in model + data
    # copier: endfilter
