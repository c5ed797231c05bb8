"""What the tests of the page do in a browser: the way through each page by keyboard, and what they look for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.tabs import Tab

ANSWERED = "!document.getElementById('found').hidden && !document.getElementById('found').ariaBusy"
SIDEWAYS = """[document.documentElement.scrollWidth, ...[...document.querySelectorAll('body *')].filter((one) =>
    one.checkVisibility() && !one.closest('.hidden, svg') && one.getBoundingClientRect().right > innerWidth + 0.5)
    .map((one) => `${one.tagName} ${one.id} ${one.className}`)]"""
SMALL = """[...document.querySelectorAll('button, select, input:not([type=checkbox], [type=radio], #board *)')]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 40).map((one) => one.id)"""
# Texts with less contrast to what is behind them than WCAG 2.2 wants at level AA (1.4.3): 4.5, large ones 3.
PALE = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (one) => {
    const found = one ? parse(getComputedStyle(one).backgroundColor) : [255, 255, 255];
    return found.length < 4 || found[3] > 0 ? found : behind(one.parentElement);
  };
  const found = [];
  for (const one of document.querySelectorAll('body *:not(script, option, datalist, :disabled)')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) || one.value;
    if (!own || !one.checkVisibility()) continue;
    const style = getComputedStyle(one), ink = light(parse(one.closest('svg') ? style.fill : style.color));
    const [more, less] = [ink, light(behind(one))].toSorted((x, y) => y - x), ratio = (more + 0.05) / (less + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) found.push(`${one.outerHTML}: ${ratio.toFixed(2)}`);
  }
  return found;
})()"""


def ask(tab: Tab) -> None:
    tab.press("Enter")


def draw(tab: Tab) -> None:
    tab.tab_to("drawing")
    tab.press("ArrowUp", 3)
    tab.press("ArrowDown", 6, shift=True)
    tab.press(" ")


def draw_and_caption(tab: Tab) -> None:
    draw(tab)
    tab.tab_to("text")
    tab.type("an even digit")


def fill_form(tab: Tab) -> None:
    tab.tab_to("field-0")
    for n in range(tab.run("page.fields.length")):
        if tab.run(f"page.fields[{n}].values") is None:
            tab.type(str(n + 1))
        else:
            tab.press("ArrowDown")
        if n + 1 < tab.run("page.fields.length"):
            tab.press("Tab")


def type_text(tab: Tab) -> None:
    tab.tab_to("text")
    tab.type("a small bird of the forest")


def write_history(tab: Tab) -> None:
    tab.tab_to("history")
    tab.call("Input.insertText", text="\n".join(str(350 + n % 52 / 10) for n in range(104)))  # as if it were pasted
    tab.type("\n-\n351.5")


def write_on(tab: Tab) -> None:
    tab.tab_to("prompt")
    tab.type("It is a truth")
    tab.tab_to("temperature")
    tab.press("ArrowLeft", 2)
    tab.press("Tab")
    tab.run("document.activeElement.select()")
    tab.type("20")
    ask(tab)


def choose_class(tab: Tab) -> None:
    tab.tab_to("label")
    tab.press("ArrowDown", 3)
    tab.tab_to("Draw")
    ask(tab)


def search(words: str) -> Callable[[Tab], None]:
    def type_query(tab: Tab) -> None:
        tab.tab_to("query")
        tab.type(words)

    return type_query


def fill_board(tab: Tab) -> None:
    tab.press("Tab")
    assert tab.run("document.activeElement.ariaLabel") == "Row 1, column 1: open"
    tab.type("1")
    tab.press("ArrowRight")
    tab.type("2")
    tab.press("ArrowDown")
    tab.type("4")
    tab.press("Backspace")
    tab.press("ArrowLeft")
    tab.type("3")
    assert tab.run("board.puzzle.join('')").startswith("12....3....")
    tab.press("Enter")


def build_maze(tab: Tab) -> None:
    tab.press("Tab")
    tab.press("ArrowRight")
    tab.press("ArrowDown")
    tab.type("s")
    tab.press("ArrowDown", 2)
    tab.type("#")
    tab.press("ArrowDown", 2)
    tab.type("g")
    tab.press("Enter")


WAYS: dict[str, Callable[[Tab], None]] = {
    "cnn": draw,
    "table": fill_form,
    "bag": type_text,
    "fusion": draw_and_caption,
    "gaussian": fill_form,
    "forecast_linear": write_history,
    "gpt": write_on,
    "diffusion": choose_class,
    "two_tower": search("a small bird"),
    "image_text": search("the digit seven"),
    "matrix_factorisation": search("ATL"),
    "trm": fill_board,
    "maze": build_maze,
    "photos": draw,
    "columns": fill_form,
}
# What the service says with a status, and the line that a person then reads.
REFUSED: dict[int, tuple[dict[str, Any], str]] = {
    422: ({"error": "row 0: pixels: want\n8 rows"}, "Refused: row 0: pixels: want 8 rows"),
    429: ({"headers": {"Retry-After": "7"}}, "Too many questions in a short time. Try again in 7 s."),
    503: ({}, "The service is busy. Try again in a moment."),
    504: ({}, "The answer took too long. Try again in a moment."),
    500: ({"error": "the model failed"}, "Refused: the model failed"),
}
