# copier: filter replace("my_project", package_name)
"""The page where a person tries a model is valid, accessible and safe, and its examples are answered."""

import base64
import hashlib
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pydantic import BaseModel, create_model
from torch import Tensor, nn

from my_project import config as configs
from my_project import run as commands
from my_project.data.loader import read_manifest
from my_project.serving import page as pages
from my_project.serving.predictor import Predictor

from .sample import PRESET, smaller

VOID = {"br", "input", "link", "meta"}
SHORT = {"train.steps": 1, "train.eval_every": 1}
NASTY = "</script><script>alert('x')</script><img src=x onerror=alert(1)> & \"quoted\" [[ more ]] \u2028"
PRESETS = {path.stem: configs.load(path.stem, smaller(path)) for path in sorted(configs.PRESETS.glob("*.yaml"))}
USABLE = {name: config for name, config in PRESETS.items() if not hasattr(config.model, "library")}
KINDS = {config.data.kind: name for name, config in reversed(USABLE.items()) if not hasattr(config.data, "base")}


class Found(HTMLParser):
    """The elements of a page: tag, attributes, text, tags around; refuses what a browser would have to mend."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.given = list[str](), list[dict[str, str]]()
        self.texts, self.around = list[str](), list[list[str]]()
        self.open = list[int]()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice: {attrs}"
        self.around.append([self.tags[place] for place in self.open])
        self.tags.append(tag)
        self.given.append({name: value or "" for name, value in attrs})
        self.texts.append("")
        if tag not in VOID:
            self.open.append(len(self.tags) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        closed = self.tags[self.open.pop()]
        assert closed == tag, f"</{tag}> closes <{closed}>"

    def handle_data(self, data: str) -> None:
        for place in self.open:
            self.texts[place] += data

    def every(self, *wanted: str) -> list[tuple[str, dict[str, str], str, list[str]]]:
        rows = zip(self.tags, self.given, self.texts, self.around, strict=True)
        return [row for row in rows if row[0] in wanted or not wanted]


@pytest.fixture(scope="module", params=[*KINDS.values()], ids=[*KINDS])
def predictor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("page") / "run"
    options = smaller(request.param) | SHORT | {"train.out": str(folder)}
    return Predictor.load(commands.fit(configs.load(request.param, options)))


@pytest.fixture(scope="module")
def page(predictor: Predictor) -> str:
    return pages.render(predictor)


def shown(page: str) -> dict[str, Any]:
    ((_, _, text, _),) = [row for row in Found(page).every("script") if row[1].get("type") == "application/json"]
    told: dict[str, Any] = json.loads(text)
    return told


def inputs_of(predictor: Predictor, rows: list[Any]) -> Any:
    return predictor.task.encode(predictor.check(rows), predictor.data)


def test_the_page_is_valid_html(page: str) -> None:
    found = Found(page)
    assert page.startswith("<!doctype html>\n<html lang=")
    names = [given["id"] for given in found.given if "id" in given]
    assert len(names) == len({*names})
    pointing = ("for", "list", "aria-describedby", "aria-labelledby")
    assert {given[name] for given in found.given for name in pointing if name in given} <= {*names}
    assert [tag for tag, _, text, _ in found.every("h1", "h2", "title", "button", "label") if not text.strip()] == []


def test_every_control_has_a_label(page: str) -> None:
    found = Found(page)
    labelled = {given.get("for") for _, given, _, _ in found.every("label")}
    for tag, given, _, around in found.every("input", "select", "textarea"):
        assert given.get("id") in labelled or "label" in around or "aria-label" in given, (tag, given)
    for tag, given, text, _ in found.every():
        if "tabindex" in given or tag == "canvas":
            assert given.get("aria-label") or text.strip(), (tag, given)
    assert any("aria-live" in given for given in found.given)


def test_nothing_comes_from_elsewhere(page: str) -> None:
    known = [given[name] for given in Found(page).given for name in ("src", "href", "action", "data") if name in given]
    assert known == ["data:,"]  # the icon, which a browser would ask for otherwise
    code = re.sub(r'<script id="page".*?</script>', "", page, flags=re.DOTALL)
    assert {*re.findall(r"\w+://[^\s\"'<]+", code)} <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|import\(|eval\(|innerHTML|document\.write", code)


def test_the_policy_lets_the_pages_own_code_run_and_nothing_else(page: str) -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in pages.policy(page).split(";"))
    for tag, given, text, _ in Found(page).every("script", "style"):
        if not given:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert (rules["default-src"], rules["connect-src"]) == ("'none'", "'self'")
    assert [name for given in Found(page).given for name in given if name == "style" or name.startswith("on")] == []


def test_the_model_answers_every_example(predictor: Predictor, page: str) -> None:
    rows = [example["row"] for example in shown(page)["examples"]]
    assert len(rows) >= 6
    asked = [row | ({"max_bytes": 2} if "prompt" in row else {}) for row in rows]  # to write takes time
    assert len(records := predictor(asked)) == len(rows)
    assert all(record["answer"] is not None for record in records)


def test_examples_are_rows_of_the_validation_split(predictor: Predictor, page: str) -> None:
    held = predictor.data.build("val")
    found = inputs_of(predictor, [shown(page)["examples"][0]["row"]])
    if not (isinstance(found, Tensor) and isinstance(getattr(held, "inputs", None), Tensor)) or len(found.shape) < 2:
        pytest.skip("rows of this task are no tensors of the split")
    rows = held[torch.arange(len(held)), 0].inputs
    assert (rows == found).flatten(1).all(1).any()


def test_the_test_split_stays_closed(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, kind = list[str](), type(predictor.config.data)
    build = kind.build

    def noted(self: Any, split: str, **more: Any) -> Any:
        asked.append(split)
        return build(self, split, **more)

    monkeypatch.setattr(kind, "build", noted)
    vars(predictor.data).pop("build", None)
    pages.render(predictor)
    assert "val" in asked
    assert "test" not in asked


def test_where_the_data_are_gone_the_page_has_no_examples(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise OSError("the disk is elsewhere")

    monkeypatch.setattr(type(predictor.config.data), "build", gone)
    vars(predictor.data).pop("build", None)
    page = pages.render(predictor)
    vars(predictor.data).pop("build", None)
    assert shown(page)["examples"] == []
    assert 'id="example"' not in page
    assert "the page has no examples" in caplog.text
    assert "the disk is elsewhere" in caplog.text


def test_nasty_names_stay_text(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "config", replace(predictor.config, name=NASTY.replace("/", "")))
    monkeypatch.setattr(pages, "read_manifest", lambda root: read_manifest(root) | {"name": NASTY})
    page = pages.render(predictor)
    found = Found(page)
    assert len(found.every("script")) == 2
    assert found.every("img") == []
    assert shown(page)["data"] == NASTY
    assert NASTY in found.every("header")[0][2]


class Length(nn.Module):
    """Stands for a network whose task has a file in `serving` and none for its page."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the lengths [B] of vectors [B, D]."""
        lengths: Tensor = torch.linalg.vector_norm(inputs, dim=1)
        return lengths


def test_a_task_without_a_page_of_its_own_takes_rows_as_json(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Row: Any = create_model("Row", __base__=BaseModel, numbers=(list[float], ...))
    task: Any = ModuleType("sample")
    task.row, task.features = lambda _: Row, lambda *_: {}
    task.encode = lambda rows, _: torch.tensor([row.numbers for row in rows])
    task.forward = lambda _, inputs, __: Length()(inputs)
    task.decode = lambda outputs, *_: [{"answer": value} for value in outputs.tolist()]
    monkeypatch.setitem(sys.modules, f"{configs.__package__}.serving.sample", task)
    predictor = Predictor.load(trained)
    assert configs.load(PRESET).data.task == "sample"
    assert predictor([{"numbers": [3.0, 4.0]}])[0]["answer"] == 5
    page = pages.render(predictor)
    assert "A row as JSON" in page
    assert "numbers" in page
    Found(page)
    # copier: endfilter
