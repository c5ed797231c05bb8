"""What lies in the repository: locked dependencies, secrets, large files; and what a run writes down of itself."""

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator

from .annotations import line_of
from .repository import Repository, toml
from .verdict import Place, Verdict, fails, holds, unclear

LOCKS = ("poetry.lock", "pdm.lock", "Pipfile.lock", "conda-lock.yml", "pixi.lock", "pylock.toml")
MOST_BYTES = 5_000_000
SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bhf_[A-Za-z0-9]{30,}\b|\bsk-[A-Za-z0-9_-]{32,}\b|"
    r"\bglpat-[\w-]{20}\b|\bxox[abp]-[\w-]{20,}|-----BEGIN (?:RSA |EC |OPENSSH |DSA )?PRIVATE KEY-----|"
    r"(?i:(?:api_?key|password|passwd|secret|access_?token|auth_?token)\s*[=:]\s*[\"'][^\"'\s{}$<>]{12,}[\"'])"
)
TEXT = re.compile(r"\.(py|ipynb|ya?ml|toml|json|cfg|ini|sh|md|txt|env|conf|tf)$|(^|/)\.env[^/]*$")
TRACKERS = {"wandb.init", "mlflow.start_run", "mlflow.log_params", "aim.Run", "neptune.init_run", "comet_ml.Experiment"}
CONFIGURED = ("hydra", "lightning", "pytorch_lightning", "wandb", "mlflow", "dvclive", "sacred")
VERSIONS = {"importlib.metadata.distributions", "importlib.metadata.version", "platform.python_version"}


def locked(repository: Repository) -> Verdict:
    """Judge whether the versions of everything stand in a file that knows every dependency."""
    names = {canonical(found[0]) for line in repository.dependencies if (found := re.match(r"[\w.-]+", line))}
    if "uv.lock" in repository.files:
        missing = sorted(names - uv_locked(repository))
        if missing:
            return fails(f"uv.lock lacks {', '.join(missing[:3])}: it is stale", [Place("uv.lock")])
        return holds("uv.lock has every dependency", [Place("uv.lock")])
    if there := [name for name in LOCKS if name in repository.files]:
        return holds("there is a lock file", (Place(name) for name in there))
    lists = [path for path in repository.files if re.fullmatch(r"(requirements/)?[\w-]*requirements[\w-]*\.txt", path)]
    rows = [(path, number, line) for path in lists for number, line in requirements(repository.text(path))]
    loose = [Place(path, number) for path, number, line in rows if "==" not in line]
    if rows and not loose:
        return holds("every requirement is pinned", (Place(path) for path in lists))
    if rows or names:
        places = loose or [Place("pyproject.toml", line_of(repository, "dependencies"))]
        return fails("no lock file; these may be another version tomorrow", places)
    return fails("no dependencies are declared", ())


def canonical(name: str) -> str:
    """The name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def uv_locked(repository: Repository) -> set[str]:
    """Return the packages of uv.lock."""
    packages = toml(repository.text("uv.lock", math.inf)).get("package")
    rows = packages if isinstance(packages, list) else []
    return {canonical(str(row.get("name"))) for row in rows if isinstance(row, dict)}


def requirements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a list of requirements that name a package."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"[A-Za-z]", line.strip()) and "--" not in line.split("#")[0].split(" ")[0]:
            yield number, line.split("#")[0]


def secrets(repository: Repository) -> Verdict:
    """Judge whether a line looks like a key or a password; what it is, is never shown."""
    found = [
        Place(path, number)
        for path in repository.files
        if TEXT.search(path) and not path.endswith("uv.lock")
        for number, line in enumerate(repository.text(path).splitlines(), 1)
        if SECRET.search(line)
    ]
    if found:
        return fails("this looks like a key or a password", found)
    return holds("no line looks like a key or a password", ())


def large_files(repository: Repository) -> Verdict:
    """Judge the sizes of what is, or would be, in git."""
    sizes = {path: (repository.root / path).lstat().st_size for path in repository.files}
    large = sorted((path for path in sizes if sizes[path] > MOST_BYTES), key=lambda path: -sizes[path])
    if large:
        return fails(f"{len(large)} files over {MOST_BYTES // 1_000_000} MB", (Place(path) for path in large))
    return holds(f"no file over {MOST_BYTES // 1_000_000} MB", ())


def run_recorded(repository: Repository) -> Verdict:
    """Judge whether a run writes down its commit, its versions, and its seed or its whole config."""
    commit = [place for place, words in strings(repository) if is_git(words)]
    commit += [call.place for call in repository.calls if call.name in {"git.Repo", "pygit2.Repository"}]
    versions = [call.place for call in repository.calls if call.name in VERSIONS]
    versions += word_at(repository, "torch.__version__")
    config = [call.place for call in repository.calls if call.last in {"dump", "safe_dump", "dumps", "write_json"}]
    parts = {"the commit": commit, "the versions": versions, "the config": config}
    if all(parts.values()):
        return holds("a run writes down commit, versions and config", (places[0] for places in parts.values()))
    if tracked := [call.place for call in repository.calls if call.name in TRACKERS] or repository.uses(*CONFIGURED):
        return unclear("a library writes some of it; which, its settings decide", tracked)
    missing = [name for name, places in parts.items() if not places]
    trains = [call.place for call in repository.calls if call.last == "backward"]
    if trains:
        return fails(f"nothing writes down {' or '.join(missing)}", trains)
    return unclear("nothing here trains", ())


def strings(repository: Repository) -> Iterator[tuple[Place, list[str]]]:
    """Yield each list, tuple and call with the strings in it, in order."""
    for module in repository.code:
        for node in module.nodes:
            held: Iterable[ast.AST] = getattr(node, "elts", None) or getattr(node, "args", None) or ()
            if isinstance(node, ast.List | ast.Tuple | ast.Call):
                words = [each.value for each in held if isinstance(each, ast.Constant) and isinstance(each.value, str)]
                yield Place(module.path, node.lineno), [part for word in words for part in word.split()]


def is_git(words: list[str]) -> bool:
    """Whether words are a command that says which commit this is."""
    return words[:1] == ["git"] and bool({"rev-parse", "describe", "log", "status", "show"} & set(words))


def word_at(repository: Repository, name: str) -> list[Place]:
    """Return where an attribute is read, by its full name."""
    return [
        Place(module.path, node.lineno)
        for module in repository.code
        for node in module.nodes
        if isinstance(node, ast.Attribute) and module.dotted(node) == name
    ]


CHECKS: dict[str, Callable[[Repository], Verdict]] = {
    "locked": locked,
    "no-secrets": secrets,
    "no-large-files": large_files,
    "run-recorded": run_recorded,
}
