"""The page where a person tries a model, in a real browser: by keyboard alone, on a telephone, in light and in dark."""

from __future__ import annotations

import io
import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat

from tests.answers import ROOT
from tests.browser import find_browser, free_port, served
from tests.harness import command
from tests.page_ways import ANSWERED, PALE, REFUSED, SIDEWAYS, SMALL, WAYS, ask
from tests.tabs import Tab, tab_of

PHONE = (360, 740)

every_page = pytest.mark.parametrize("page", WAYS, indirect=True)
digits = pytest.mark.parametrize("page", ["cnn"], indirect=True)


@dataclass(frozen=True)
class Page:
    """The page of a preset, in the tab."""

    name: str
    tab: Tab
    url: str

    def seen_refusal(self) -> None:
        """See that a browser logged what was refused, as it does, and nothing else; forget that."""
        lines = self.tab.complaints()
        assert lines
        assert all("Failed to load resource" in line for line in lines), lines
        self.tab.seen.clear()


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with tab_of(find_browser()) as tab:
        yield tab


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, str(ROOT / "tests/page_server.py"), str(port)]
    with served(argv, tmp_path_factory.mktemp("site"), port) as url:
        yield url


@pytest.fixture
def page(tab: Tab, site: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    tab.size(1100, 900)
    tab.scheme("light")
    refuse(f"{site}{request.param}/")  # nothing
    tab.open(f"{site}{request.param}/")
    yield Page(request.param, tab, f"{site}{request.param}/")
    assert tab.complaints() == []


def refuse(url: str, **rule: Any) -> None:
    request = urllib.request.Request(f"{url}refuse", data=json.dumps(rule).encode())  # noqa: S310 (loopback)
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 (the same)


def press_example(tab: Tab) -> None:
    before = tab.run("turn")
    tab.run("document.getElementById('example').click()")
    if not tab.run("part.soon"):
        tab.run("document.querySelector('button.main').click()")
    tab.until(f"turn > {before} && {ANSWERED}")


def text_of(tab: Tab, name: str) -> str:
    return str(tab.run(f"document.getElementById('{name}').innerText"))


@every_page
def test_the_keyboard_alone_leads_to_an_answer(page: Page) -> None:
    WAYS[page.name](page.tab)
    page.tab.until(ANSWERED)
    assert text_of(page.tab, "problem") == ""
    assert text_of(page.tab, "version") == f"{page.name}/1"
    assert re.search(r"Answered in [\d.]+ ms", page.tab.text())


@every_page
def test_an_example_of_the_validation_split_is_answered(page: Page) -> None:
    assert page.tab.run("page.examples.length") >= 6
    press_example(page.tab)
    assert "from the validation split" in text_of(page.tab, "note")
    first = page.tab.run("document.getElementById('sent').textContent")
    press_example(page.tab)
    page.tab.until(f"document.getElementById('sent').textContent !== {json.dumps(first)}")


@every_page
def test_a_telephone_never_scrolls_sideways(page: Page) -> None:
    page.tab.size(*PHONE, phone=True)
    assert page.tab.run(SIDEWAYS) == [PHONE[0]]
    press_example(page.tab)
    assert page.tab.run(SIDEWAYS) == [PHONE[0]]
    assert page.tab.run(SMALL) == []


@every_page
def test_light_and_dark_are_other_pictures_and_both_can_be_read(page: Page) -> None:
    press_example(page.tab)
    levels = dict[str, float]()
    for scheme in ("light", "dark"):
        page.tab.scheme(scheme)
        page.tab.until(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
        assert page.tab.run(PALE) == [], scheme
        levels[scheme] = ImageStat.Stat(Image.open(io.BytesIO(page.tab.picture())).convert("L")).mean[0]
    assert levels["dark"] < 70
    assert levels["light"] > 200


@every_page
def test_everything_that_takes_the_focus_has_a_name(page: Page) -> None:
    assert page.tab.nameless() == []
    press_example(page.tab)
    assert page.tab.nameless() == []


@digits
@pytest.mark.parametrize("finger", [False, True], ids=["mouse", "finger"])
def test_a_line_is_drawn_by_mouse_and_by_finger(page: Page, *, finger: bool) -> None:
    page.tab.size(*PHONE, phone=finger)
    box = page.tab.run("document.getElementById('drawing').getBoundingClientRect().toJSON()")
    across, down = box["x"] + box["width"] / 2, box["height"] / 8
    page.tab.drag([(across, box["y"] + down * n) for n in (1.5, 3.5, 5.5, 7.5)], finger=finger)
    page.tab.until(ANSWERED)
    inked = page.tab.run("drawing.cells.map((line) => Math.max(...line))")
    assert inked[0] < 6
    assert min(inked[1:]) > 8
    assert page.tab.run("Math.max(...drawing.cells.map((line) => line[0]))") == 0
    page.tab.run("document.getElementById('clear').click()")
    assert page.tab.run("Math.max(...drawing.cells.flat())") == 0


@pytest.mark.parametrize("page", ["trm"], indirect=True)
def test_the_steps_of_a_solution_are_played_and_gone_through(page: Page) -> None:
    press_example(page.tab)
    given = page.tab.run("board.puzzle.join('')")
    assert page.tab.run("board.steps.length") == 4
    page.tab.until("document.getElementById('step').textContent.startsWith('Step 4 of 4')")
    assert text_of(page.tab, "play") == "Play"
    page.tab.tab_to("Previous")
    page.tab.press("Enter", 2)
    assert text_of(page.tab, "step").startswith("Step 2 of 4")
    shown = page.tab.run("board.cells.map((cell) => cell.value).join('')")
    assert shown == page.tab.run("board.steps[1]")
    assert all(a in (b, ".") for a, b in zip(given, shown, strict=True))  # what was given stays
    bold = page.tab.run("board.cells.map((cell) => cell.classList.contains('given'))")
    assert bold == [cell != "." for cell in given]


@pytest.mark.parametrize("page", ["trm"], indirect=True)
def test_cells_against_the_rules_are_marked(page: Page) -> None:
    page.tab.press("Tab")
    page.tab.type("5")
    page.tab.press("ArrowRight", 3)
    page.tab.type("5")
    wrong = "board.cells.flatMap((cell, n) => cell.classList.contains('broken') ? [n] : [])"
    assert page.tab.run(wrong) == [0, 3]
    page.tab.press("Enter")
    page.tab.until("document.getElementById('problem').textContent")
    assert "has 5 twice" in text_of(page.tab, "problem")
    page.seen_refusal()


@digits
@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_is_one_plain_line_and_the_page_goes_on(page: Page, status: int) -> None:
    rule, line = REFUSED[status]
    refuse(page.url, status=status, **rule)
    page.tab.run("document.getElementById('example').click()")
    page.tab.until("document.getElementById('problem').textContent")
    assert text_of(page.tab, "problem") == line
    assert not page.tab.run("document.getElementById('found').checkVisibility()")
    refuse(page.url)
    press_example(page.tab)
    assert text_of(page.tab, "problem") == ""
    page.seen_refusal()


@digits
def test_a_network_that_is_gone_is_said_and_the_page_goes_on(page: Page) -> None:
    away = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.tab.call("Network.emulateNetworkConditions", offline=True, **away)
    page.tab.run("document.getElementById('example').click()")
    page.tab.until("document.getElementById('problem').textContent")
    assert "The service does not answer." in page.tab.text()
    page.tab.call("Network.emulateNetworkConditions", offline=False, **away)
    press_example(page.tab)
    assert text_of(page.tab, "problem") == ""
    page.seen_refusal()


@digits
def test_a_key_is_asked_for_where_the_service_wants_one(page: Page) -> None:
    assert not page.tab.run("document.getElementById('key').checkVisibility()")
    refuse(page.url, key="a-key-of-16-letters")
    page.tab.run("document.getElementById('example').click()")
    page.tab.until("document.getElementById('key').checkVisibility()")
    assert "wants an API key" in page.tab.text()
    page.tab.tab_to("key")
    page.tab.type("wrong")
    ask(page.tab)
    page.tab.until("document.getElementById('problem').textContent.includes('does not know')")
    page.tab.run("document.getElementById('key').select()")
    page.tab.type("a-key-of-16-letters")
    ask(page.tab)
    page.tab.until(ANSWERED)
    page.seen_refusal()


def test_the_service_itself_shows_the_page_asks_for_its_key_and_answers(tab: Tab, tmp_path: Path) -> None:
    variables = {"PYTHONPATH": str(ROOT / "working"), "SERVICE_API_KEY": "a-key-of-16-letters"}
    words = ["train", "linear", "--train.steps", "5", "--train.eval-every", "5", "--train.out", "run"]
    trained = command([sys.executable, "-m", "my_project", *words, "--train.device", "cpu"], tmp_path, variables)
    assert trained.status == 0, trained.output
    port = free_port()
    argv = [sys.executable, "-m", "my_project", "serve", "run", "--port", str(port), "--without-monitoring"]
    with served(argv, tmp_path, port, variables) as url:
        page = Page("linear", tab, url)
        tab.open(url)
        tab.run("document.getElementById('example').click()")
        tab.until("document.getElementById('key').checkVisibility()")
        tab.tab_to("key")
        tab.type(variables["SERVICE_API_KEY"])
        ask(tab)
        tab.until(ANSWERED)
        assert text_of(tab, "version") == "linear/run"
        page.seen_refusal()
