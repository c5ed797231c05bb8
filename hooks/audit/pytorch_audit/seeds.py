"""Seeds: whether Python, NumPy, torch and the workers of loaders draw the same numbers in every run."""

import ast
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from .repository import Call, Module, Repository
from .verdict import Place, Verdict, fails, holds, unclear

LIBRARIES = {"lightning", "pytorch_lightning", "lightning_fabric", "transformers", "accelerate", "monai", "ignite"}
EVERYTHING = {"seed_everything", "set_seed", "set_determinism"}
ENTRY = {"main", "cli", "run", "train", "setup", "__init__", "__post_init__"}


def seeds_all(call: Call) -> bool:
    """Whether a library's function seeds every generator."""
    root = call.name.partition(".")[0]
    return root in LIBRARIES and (call.last in EVERYTHING or (root == "ignite" and call.last == "manual_seed"))


def reached(repository: Repository, call: Call) -> bool:
    """Whether the function around a call is named anywhere, or starts by itself; a line outside functions does."""
    function = call.function
    if function is None or function.decorator_list or function.name in ENTRY:
        return True
    return repository.mentions.get(function.name, 0) > 0


def serves(repository: Repository, call: Call, place: str) -> bool:
    """Whether a call lies in a package, or a script, or in a module that this imports by name."""
    if not place or home(repository, call.module.path) == place:
        return True
    stem = PurePosixPath(call.module.path).stem
    near = [module for module in repository.code if home(repository, module.path) == place]
    return any(stem in name.split(".") for module in near for name in module.names.values())


def trains(module: Module) -> bool:
    """Whether a module changes weights, itself or through the trainer of a library."""
    return any(call.last == "backward" or (call.last == "fit" and "trainer" in call.receiver) for call in module.calls)


def home(repository: Repository, path: str) -> str:
    """The package that a file belongs to; of a script at the top, the script."""
    parts = PurePosixPath(path).parts
    if parts[0] == "src" and len(parts) > 2 and "src/__init__.py" not in repository.files:  # noqa: PLR2004
        return "/".join(parts[:2])
    return parts[0]


def judge(repository: Repository, what: str, calls: Iterable[Call], draws: list[Place]) -> Verdict:
    """Say what the calls that seed a generator come to: each package or script that trains needs one."""
    seeding = list(calls)
    places = sorted({home(repository, module.path) for module in repository.code if trains(module)}) or [""]
    found = [judge_one(repository, what, seeding, draws, place) for place in places]
    for word in ("does not hold", "cannot tell", "holds"):
        for verdict in found:
            if verdict and verdict.word == word:
                return verdict
    if seeding:
        return unclear(f"{what} is seeded, and not where the training is", (call.place for call in seeding))
    return unclear(f"nothing here draws from {what}; libraries may", ())


def judge_one(repository: Repository, what: str, seeding: list[Call], draws: list[Place], place: str) -> Verdict | None:
    """Say what they come to in one package or script; nothing where none is and nothing draws."""
    near = [call for call in seeding if serves(repository, call, place)]
    alive = [call for call in near if reached(repository, call)]
    if certain := [call for call in alive if not call.condition]:
        return holds(f"{what} is seeded", (call.place for call in certain))
    if alive:
        return unclear(f"{what} is seeded only if `{alive[0].condition}`", (call.place for call in alive))
    if near:
        name = getattr(near[0].function, "name", "")
        return fails(f"nothing calls `{name}`, which seeds {what}", (call.place for call in near))
    drawn = [each for each in draws if not place or home(repository, each.path) == place]
    return fails(f"{what} draws numbers and is never seeded", drawn) if drawn else None


def seed_python(repository: Repository) -> Verdict:
    """Judge the module `random`."""
    calls = [call for call in repository.calls if call.name == "random.seed" or seeds_all(call)]
    draws = [call.place for call in repository.calls if call.name.startswith("random.") and call not in calls]
    return judge(repository, "Python's `random`", calls, draws)


def seed_numpy(repository: Repository) -> Verdict:
    """Judge NumPy: its global generator, or generators that are all made from a seed."""
    calls = [call for call in repository.calls if call.name == "numpy.random.seed" or seeds_all(call)]
    drawing = [call for call in repository.calls if call.name.startswith("numpy.random.") and call not in calls]
    own = [call for call in drawing if call.last in {"default_rng", "Generator", "SeedSequence", "RandomState"}]
    given = [call for call in own if call.node.args or call.node.keywords]
    if drawing and not calls and given == own and all(chained(call) for call in drawing):
        return holds("every generator of NumPy is made from a seed", (call.place for call in given))
    return judge(repository, "NumPy", calls, [call.place for call in drawing if call not in given])


def chained(call: Call) -> bool:
    """Whether a draw comes from a generator of its own rather than from the global one."""
    return call.last in {"default_rng", "Generator", "SeedSequence", "RandomState", "PCG64"} or "()" in call.name


def seed_torch(repository: Repository) -> Verdict:
    """Judge torch; whoever makes a network draws its weights."""
    named = {"torch.manual_seed", "torch.random.manual_seed"}
    calls = [call for call in repository.calls if call.name in named or seeds_all(call)]
    return judge(repository, "torch", calls, repository.uses("torch"))


def loaders(repository: Repository) -> list[Call]:
    """Return every call that makes a DataLoader, of torch's class or of a subclass in the repository."""
    known = {"DataLoader", "StatefulDataLoader"}
    for module in repository.code:
        for node in module.nodes:
            if isinstance(node, ast.ClassDef):
                bases = {module.dotted(base).rpartition(".")[2] for base in node.bases}
                known |= {node.name} if bases & known else set()
    return [call for call in repository.calls if call.last in known]


def seed_workers(repository: Repository) -> Verdict:
    """Judge the processes that load data: torch seeds each from the loader's generator, or from the global one."""
    made = loaders(repository)
    everywhere = [call for call in repository.calls if seeds_all(call) and is_true(call.keyword("workers"))]
    if not made:
        return unclear("no DataLoader is made here", ())
    free = [call for call in made if not (call.keyword("generator") or call.keyword("worker_init_fn"))]
    busy = [call for call in free if not no_workers(call)]
    if not busy:
        return holds("every DataLoader has a generator of its own or no workers", (call.place for call in made))
    places = [call.place for call in busy]
    torch = seed_torch(repository)
    if everywhere and not (condition := everywhere[0].condition):
        return holds("workers are seeded with everything else", (call.place for call in everywhere))
    if torch.word == "does not hold":
        return fails("torch is not seeded, and workers get their seeds from it", places)
    why = f"workers are seeded only if `{condition}`" if everywhere else "workers get their seeds from what torch drew"
    return unclear(why + "; a DataLoader with `generator=` would settle it", places)


def no_workers(call: Call) -> bool:
    """Whether a loader certainly has none; torch's default is 0."""
    workers = call.keyword("num_workers")
    stars = any(given.arg is None for given in call.node.keywords)
    return (workers is None and not stars) or (isinstance(workers, ast.Constant) and workers.value == 0)


def is_true(node: ast.expr | None) -> bool:
    """Whether an expression is the word True."""
    return isinstance(node, ast.Constant) and node.value is True


def is_false(node: ast.expr | None) -> bool:
    """Whether an expression is the word False."""
    return isinstance(node, ast.Constant) and node.value is False


CHECKS: dict[str, Callable[[Repository], Verdict]] = {
    "seed-python": seed_python,
    "seed-numpy": seed_numpy,
    "seed-torch": seed_torch,
    "seed-workers": seed_workers,
}
