"""The links of a built site, and which of them lead nowhere inside it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, and the places in it that a link may lead to."""

    def __init__(self, path: Path) -> None:
        """Read a page."""
        super().__init__()
        self.links, self.anchors = set[str](), {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where an element leads, and by what it can be reached."""
        values = {name: value for name, value in attrs if value}
        self.links |= {values[name] for name in ("href", "src") if name in values}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}


def lost(site: Path) -> list[str]:
    """Name every link inside a site whose file, or place in a page, is not there."""
    pages = {path: Page(path) for path in site.resolve().rglob("*.html")}
    found = list[str]()
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (target in pages and unquote(parts.fragment) not in pages[target].anchors):
                found.append(f"{path.relative_to(site.resolve())}: {link}")
    return found


def loaded_from_elsewhere(site: Path) -> list[str]:
    """Name what a page of a site would load from another place when it is opened."""

    class Loads(HTMLParser):
        """The addresses that a browser fetches by itself."""

        found: list[str]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            """Note an address that is not of this site."""
            values = {name: value or "" for name, value in attrs}
            fetched = tag in {"script", "img", "iframe"} or "stylesheet" in values.get("rel", "")
            address = values.get("src") or values.get("href", "")
            if fetched and urlsplit(address).netloc:
                self.found.append(address)

    reader = Loads()
    reader.found = []
    for path in site.rglob("*.html"):
        reader.feed(path.read_text(encoding="utf-8"))
    return reader.found
