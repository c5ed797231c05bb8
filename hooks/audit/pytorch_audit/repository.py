"""The audited repository: its files, and its Python read as syntax trees; nothing in it is imported or run."""

import ast
import re
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from .files import tracked
from .verdict import Place

LARGEST_READ = 2_000_000  # bytes of a text file that is still read
TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$|(^|/)tests?/")
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Call:
    """A call, by the full name that the imports of its file give it."""

    module: "Module"
    name: str
    node: ast.Call

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.module.path, self.node.lineno)

    @property
    def last(self) -> str:
        """The last word of its name."""
        return self.name.rpartition(".")[2]

    @property
    def receiver(self) -> str:
        """What stands before the last dot, in lower case."""
        return self.name.rpartition(".")[0].lower()

    def keyword(self, name: str) -> ast.expr | None:
        """The value of a keyword, also of one in a dict of the same function that is passed with two stars."""
        for given in self.node.keywords:
            if given.arg == name:
                return given.value
            if given.arg is None and isinstance(given.value, ast.Name):
                found = self.module.dict_entry(given.value.id, name, self.node)
                if found is not None:
                    return found
        return None

    @property
    def function(self) -> Function | None:
        """The function around it."""
        return next((node for node in self.module.above(self.node) if isinstance(node, SCOPES)), None)

    @property
    def condition(self) -> str:
        """The test of an `if` around it, inside its function; not that of a script's last lines."""
        for node in self.module.above(self.node):
            if isinstance(node, SCOPES):
                break
            if isinstance(node, ast.If) and "__name__" not in (test := written(node.test)):
                return test
        return ""


class Module:
    """One Python file."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path, self.tree = path, tree
        self.nodes, self.parents, self.names = list[ast.AST]([tree]), dict[ast.AST, ast.AST](), dict[str, str]()
        for node in self.nodes:  # which grows
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
                self.nodes.append(child)
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    self.names[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                start = "." * node.level + (node.module or "")
                for alias in node.names:
                    self.names[alias.asname or alias.name] = f"{start}.{alias.name}".replace("..", ".")
        self.calls = [Call(self, self.dotted(n.func), n) for n in self.nodes if isinstance(n, ast.Call)]

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what a node lies in, from the inside."""
        while node in self.parents:
            yield (node := self.parents[node])

    def dotted(self, node: ast.AST) -> str:
        """Return the full name of an expression of names, dots and calls."""
        end = ""
        while not isinstance(node, ast.Name):
            if isinstance(node, ast.Attribute):
                end, node = f".{node.attr}{end}", node.value
            elif isinstance(node, ast.Call):
                end, node = f"(){end}", node.func
            elif isinstance(node, ast.Subscript):
                node = node.value
            else:
                return end
        return self.names.get(node.id, node.id) + end

    def dict_entry(self, variable: str, key: str, near: ast.AST) -> ast.expr | None:
        """Return what a dict that is written out in the function around a node has under a key."""
        scope = next((node for node in self.above(near) if isinstance(node, SCOPES)), self.tree)
        for node in ast.walk(scope):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            named = any(isinstance(target, ast.Name) and target.id == variable for target in targets)
            if named and isinstance(value, ast.Dict):
                for name, entry in zip(value.keys, value.values, strict=True):
                    if isinstance(name, ast.Constant) and name.value == key:
                        return entry
        return None

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method."""
        return [node for node in self.nodes if isinstance(node, SCOPES)]

    @cached_property
    def words(self) -> list[tuple[str, int]]:
        """Every name, attribute, parameter, keyword and string with its line, from the first line to the last."""
        return sorted(words_of(self.nodes), key=lambda pair: pair[1])


def words_of(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    """Yield every name, attribute, parameter, keyword and string among nodes with its line."""
    for each in nodes:
        for field in ("id", "attr", "arg", "value"):
            if isinstance(word := getattr(each, field, None), str):
                yield word, getattr(each, "lineno", 0)


def written(node: ast.AST) -> str:
    """Return an expression as source; three dots where it is nested too deeply to be written."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return "…"


def toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML file; none where it is damaged."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


@lru_cache(maxsize=4096)
def parsed(path: str, text: str) -> Module:
    """Return a file's syntax tree; of equal texts the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an old file writes in its strings
        return Module(path, ast.parse(text))


class Repository:
    """All that is read of the audited repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = sorted(tracked(root))
        self.unreadable, self.large = list[Place](), set[str]()

    def text(self, path: str, largest: float = LARGEST_READ) -> str:
        """Return a file's text; nothing if it is large or missing."""
        file = self.root / path
        if not file.is_file():
            return ""
        if file.stat().st_size > largest:
            self.large.add(path)
            return ""
        return file.read_bytes().decode("utf-8", errors="replace").removeprefix("\ufeff")

    @cached_property
    def modules(self) -> list[Module]:
        """Every Python file that parses, outside hidden folders."""
        found = list[Module]()
        for path in self.files:
            if path.endswith(".py") and not path.startswith("."):
                try:
                    found.append(parsed(path, self.text(path)))
                except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                    self.unreadable.append(Place(path, getattr(error, "lineno", 0) or 0))
        return found

    @cached_property
    def code(self) -> list[Module]:
        """The modules that are no tests."""
        return [module for module in self.modules if not TEST_FILE.search(module.path)]

    @cached_property
    def tests(self) -> list[Module]:
        """The modules that are tests."""
        return [module for module in self.modules if TEST_FILE.search(module.path)]

    @cached_property
    def calls(self) -> list[Call]:
        """Every call outside the tests."""
        return [call for module in self.code for call in module.calls]

    @cached_property
    def mentions(self) -> dict[str, int]:
        """How often each word stands in the code outside the tests, as a name or a string."""
        counted = dict[str, int]()
        for module in self.code:
            for word, _ in module.words:
                counted[word] = counted.get(word, 0) + 1
        return counted

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        """The tables of pyproject.toml, or none."""
        return toml(self.text("pyproject.toml"))

    def table(self, *keys: str) -> dict[str, Any]:
        """Return a table inside pyproject.toml; none where it is missing or something else."""
        found: object = self.pyproject
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def dependencies(self) -> list[str]:
        """What the project requires, as pyproject.toml lists it."""
        found = self.table("project").get("dependencies")
        return [str(line) for line in found] if isinstance(found, list) else []

    def uses(self, *packages: str) -> list[Place]:
        """Return where the code imports one of these packages."""
        return [
            Place(module.path, node.lineno)
            for module in self.code
            for node in module.nodes
            if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] in packages for alias in node.names))
            or (isinstance(node, ast.ImportFrom) and not node.level and str(node.module).split(".")[0] in packages)
        ]
