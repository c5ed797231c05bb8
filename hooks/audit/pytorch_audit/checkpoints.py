"""Checkpoints: whether reading one can run code, whether a crash can damage one, whether a run can go on from one."""

import ast
import re
from collections.abc import Callable

from .repository import Call, Function, Module, Repository, words_of
from .seeds import is_false, is_true
from .verdict import Place, Verdict, fails, holds, unclear

UNPICKLED = {"pickle.load", "pickle.loads", "joblib.load", "dill.load", "dill.loads", "cloudpickle.load"}
UNPICKLED |= {"pandas.read_pickle", "torch.jit.load"}
MOVES = {"replace", "rename", "move"}
SAFE_BY_DEFAULT = (2, 6)  # the first torch whose load is weights_only unless it is told otherwise
FRAMEWORKS = ("lightning", "pytorch_lightning", "transformers", "accelerate", "fastai", "ignite", "composer")


def floor(repository: Repository) -> tuple[int, ...]:
    """Return the lowest torch that the declared dependencies allow; nothing where they do not say."""
    names = [name for name in repository.files if re.search(r"requirements[^/]*\.txt$", name)]
    for line in [*repository.dependencies, *(line for name in names for line in repository.text(name).splitlines())]:
        if found := re.match(r"\s*torch\s*(?:\[.*\])?\s*(?:>=|==|~=)\s*(\d+)\.(\d+)", line):
            return int(found[1]), int(found[2])
    return ()


def load_safe(repository: Repository) -> Verdict:
    """Judge every call that reads a file which could hold code."""
    loads = [call for call in repository.calls if call.name == "torch.load"]
    pickled = [call for call in repository.calls if call.name in UNPICKLED]
    pickled += [c for c in repository.calls if c.name == "numpy.load" and is_true(c.keyword("allow_pickle"))]
    unsafe = [call for call in loads if is_false(call.keyword("weights_only"))]
    if pickled or unsafe:
        return fails("this runs whatever code the file brings", (call.place for call in unsafe + pickled))
    silent = [call for call in loads if not is_true(call.keyword("weights_only"))]
    if silent and not floor(repository) >= SAFE_BY_DEFAULT:
        why = "without weights_only=True a torch before 2.6 runs the file's code, and older ones are allowed"
        return unclear(why, (call.place for call in silent))
    if loads:
        return holds("every checkpoint is read as data", (call.place for call in loads))
    if used := repository.uses(*FRAMEWORKS):
        return unclear("a library reads the checkpoints; it depends on its version", used)
    return unclear("nothing here reads a checkpoint", ())


def saves(repository: Repository) -> list[Call]:
    """Return every call that writes a checkpoint to a file."""
    made = [call for call in repository.calls if call.name in {"torch.save", "safetensors.torch.save_file"}]
    return [call for call in made if not in_memory(call)]


def in_memory(call: Call) -> bool:
    """Whether a save goes to a buffer that its function makes."""
    wanted = {name for given in call.node.args[1:] for name in names_of(given)}
    for node in ast.walk(call.function or call.module.tree):
        if isinstance(node, ast.Assign):
            makes = [call.module.dotted(each.func) for each in ast.walk(node.value) if isinstance(each, ast.Call)]
            if "io.BytesIO" in makes and any(wanted & names_of(target) for target in node.targets):
                return True
    return False


def names_of(target: ast.AST) -> set[str]:
    """Return the names in an expression."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def save_whole(repository: Repository) -> Verdict:
    """Judge whether a checkpoint is written beside its place and then moved there."""
    made = saves(repository)
    if not made:
        if used := repository.uses(*FRAMEWORKS):
            return unclear("a library writes the checkpoints; whether they are whole after a crash is its affair", used)
        return unclear("nothing here writes a checkpoint", ())
    bare = [call for call in made if not moved_after(call)]
    if bare:
        return fails("a crash while it is written leaves half a file under the name", (call.place for call in bare))
    return holds("checkpoints are written beside their place and moved there", (call.place for call in made))


def moved_after(call: Call) -> bool:
    """Whether the function of a save moves a file after it."""
    after = [other for other in call.module.calls if other.node.lineno > call.node.lineno]
    moves = [other for other in after if other.last in MOVES and other.function is call.function]
    return any(len(move.node.args) == 1 or move.receiver in {"os", "shutil"} for move in moves)  # str.replace has two


def save_state(repository: Repository) -> Verdict:
    """Judge whether what is saved is enough to go on exactly: optimizer, schedule, random state."""
    made = saves(repository)
    if not made:
        if used := repository.uses(*FRAMEWORKS):
            return unclear(
                "a library chooses what is saved; most leave out the random state and the data's place", used
            )
        return unclear("nothing here writes a checkpoint", ())
    texts: list[tuple[Module, ast.AST]] = [
        (module, node) for module in repository.code for node in module.functions if gathers(node)
    ]
    texts += [(call.module, call.function or call.module.tree) for call in made]
    words = {word.lower() for module, node in texts for word in spoken(module, node)}
    schedules = [c for c in repository.calls if c.name.startswith("torch.optim.lr_scheduler.")]
    wanted = {
        "the optimizer": any("optim" in word for word in words),
        "the schedule": not schedules or any("sched" in word for word in words),
        "the random state": any(re.search(r"rng_?state|^rng$|getstate", word) for word in words),
    }
    missing = [name for name, there in wanted.items() if not there]
    places = [call.place for call in made]
    if missing:
        return fails(f"what is saved lacks {' and '.join(missing)}: a resumed run is another run", places)
    return holds("optimizer, schedule and random state are saved", [*places, *rng(repository)])


def gathers(node: Function) -> bool:
    """Whether a function says by its name that it collects what is saved."""
    return bool(re.fullmatch(r"_?(state_dict|get_state|save\w*|checkpoint\w*|make_checkpoint)", node.name))


def spoken(module: Module, node: ast.AST) -> list[str]:
    """Return the words of a function, and of the constants of its file that it names."""
    words = [word for word, _ in words_of(ast.walk(node))]
    for each in module.tree.body:
        targets = [target.id for target in getattr(each, "targets", []) if isinstance(target, ast.Name)]
        if set(targets) & set(words) and isinstance(getattr(each, "value", None), ast.Tuple | ast.List | ast.Set):
            words += [word for word, _ in words_of(ast.walk(each))]
    return words


def rng(repository: Repository) -> list[Place]:
    """Return where the random state is read."""
    return [call.place for call in repository.calls if "get_rng_state" in call.last or call.last == "getstate"]


CHECKS: dict[str, Callable[[Repository], Verdict]] = {
    "load-safe": load_safe,
    "save-whole": save_whole,
    "save-state": save_state,
}
