"""Splits: whether there are test rows, whether a split comes out the same each time, what is fitted to which rows."""

import ast
import re
from collections.abc import Callable

from .repository import Call, Repository, written
from .seeds import is_false, seed_numpy, seed_torch
from .verdict import Place, Verdict, fails, holds, unclear

DATA_FILE = re.compile(r"\.(npz|npy|csv|tsv|parquet|jsonl?|arrow|feather|h5|hdf5|bin|pt|txt|tfrecord|zarr)(\.gz)?$")
TEST_PART = re.compile(r"(^|[/_.-])test([/_.-]|$)", re.IGNORECASE)
ROWS = r"(data|set|dataset|loader|dataloader|dl|ds|df|split|rows|idx|indices|ids|x|y|features|labels|images|texts)"
HELD_OUT = re.compile(rf"^(test_?{ROWS}|{ROWS}_?test)$", re.IGNORECASE)
VALIDATION = re.compile(rf"^((val|valid|validation|dev)_?{ROWS}?|{ROWS}_?(val|valid))$", re.IGNORECASE)
PUBLISHED = re.compile(r"^(torchvision\.datasets|torchtext\.datasets|torchaudio\.datasets|datasets\.load_dataset)")
LONGEST_WORD = 80  # longer strings are prose
SHUFFLED = {"KFold", "StratifiedKFold", "GroupKFold"}
RANDOM = {"train_test_split", "ShuffleSplit", "StratifiedShuffleSplit", "GroupShuffleSplit"}
PREPARES = re.compile(r"scaler|normaliz|tokeniz|encoder|vocab|imputer|vectoriz|discretiz|binariz|pca|svd")
FITS = {"fit", "fit_transform", "partial_fit", "adapt", "build_vocab", "build_vocab_from_iterator", "prepare"}


def word_places(repository: Repository, pattern: re.Pattern[str]) -> list[Place]:
    """Return the lines of the code on which a name or a short string fits a pattern."""
    return [
        Place(module.path, line)
        for module in repository.code
        for word, line in module.words
        if len(word) < LONGEST_WORD and not re.search(r"\s", word) and pattern.search(word)
    ]


def test_files(repository: Repository) -> list[Place]:
    """Return data files, outside the tests of the code, that say that they hold test rows."""
    return [
        Place(name)
        for name in repository.files
        if DATA_FILE.search(name) and TEST_PART.search(name) and not re.match(r"tests?/|.*requirements", name)
    ]


def split_calls(repository: Repository) -> list[Call]:
    """Return every call that divides rows at random."""
    found = [call for call in repository.calls if call.last in RANDOM | {"random_split"}]
    shuffled = [call for call in repository.calls if call.last in SHUFFLED and call.keyword("shuffle")]
    return found + shuffled


def split_test(repository: Repository) -> Verdict:
    """Judge whether there are rows for a last measurement."""
    files, named = test_files(repository), word_places(repository, HELD_OUT)
    cuts = [call.place for call in split_calls(repository)]
    mentioned = named or word_places(repository, TEST_PART)
    published = [call.place for call in repository.calls if PUBLISHED.match(call.name) and asks_for_test(call)]
    proofs = {
        "test rows lie in a file of their own": [*files, *mentioned] if files and mentioned else [],
        "a split makes test rows, and the code names them": [*cuts, *named] if named and cuts else [],
        "the test rows are those of the data's publisher": published,
    }
    for why, places in proofs.items():
        if places:
            return holds(why, places)
    return no_test(repository, mentioned)


def no_test(repository: Repository, mentioned: list[Place]) -> Verdict:
    """Judge a repository in which no test rows are seen."""
    if mentioned:
        return unclear("the code names test rows, and nothing here makes or holds them", mentioned)
    if validation := word_places(repository, VALIDATION):
        return fails("the code knows rows to train on and to validate on, and none to test on", validation)
    if trains := [call.place for call in repository.calls if call.last == "backward"]:
        return fails("the code trains and names no rows that are held out", trains)
    return unclear("nothing here trains or divides rows", ())


def asks_for_test(call: Call) -> bool:
    """Whether a call opens the test rows of a published data set."""
    train, split = call.keyword("train"), call.keyword("split")
    return is_false(train) or (isinstance(split, ast.Constant) and split.value == "test")


def split_once(repository: Repository) -> Verdict:
    """Judge whether each division of the rows comes out the same in every run."""
    made = split_calls(repository)
    if not made:
        if files := test_files(repository):
            return holds("the splits lie in files", files)
        return unclear("nothing here divides rows by a call that is known", ())
    open_ = [call for call in made if not fixed(call)]
    if not open_:
        return holds("every division has a seed of its own", (call.place for call in made))
    places = [call.place for call in open_]
    for call in open_:
        generator = seed_torch(repository) if call.last == "random_split" else seed_numpy(repository)
        if generator.word != "holds":
            return fails(f"`{call.last}` has no seed, and the generator that it draws from has none", places)
    return unclear(f"`{open_[0].last}` draws from a global generator: what ran before it decides", places)


def fixed(call: Call) -> bool:
    """Whether a division has a seed of its own."""
    seeds = [call.keyword(name) for name in ("random_state", "seed", "generator")]
    return any(node is not None and not (isinstance(node, ast.Constant) and node.value is None) for node in seeds)


def split_fit(repository: Repository) -> Verdict:
    """Judge what preprocessing is fitted to."""
    calls = [call for call in repository.calls if call.last in FITS and call.node.args and fits_rows(call)]
    words = {call: argument(call) for call in calls}
    leaks = [call for call in calls if re.search(r"test|val(?!ue)|all_|full|whole", words[call])]
    leaks += [call for call in calls if call not in leaks and "train" not in words[call] and split_later(call)]
    if leaks:
        return fails("it is fitted to rows that are not only those of training", (call.place for call in leaks))
    sure = [call for call in calls if "train" in words[call]]
    if sure and len(sure) == len(calls):
        return holds("what is fitted is fitted to the rows of training", (call.place for call in sure))
    if calls:
        return unclear("which rows these are does not show", (call.place for call in calls if call not in sure))
    return unclear("nothing is fitted to rows by a call that is known; look for means, vocabularies, thresholds", ())


def fits_rows(call: Call) -> bool:
    """Whether a call fits preprocessing: the training of a network is none."""
    owner = call.receiver.rpartition(".")[2]
    if call.last == "prepare":
        return bool(re.search(r"model|prep", owner) or PREPARES.search(owner))
    builders = [
        call.module.dotted(node.value.func).rpartition(".")[2].lower()
        for node in ast.walk(call.module.tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if written(node.targets[0]).lower().rpartition(".")[2] == owner
    ]
    return any(PREPARES.search(name) for name in [owner, *builders]) or call.last.startswith("build_vocab")


def argument(call: Call) -> str:
    """The first argument of a call, as it is written."""
    return written(call.node.args[0]).lower()


def split_later(call: Call) -> bool:
    """Whether the rows are divided only after this line of the same function or script."""
    return any(
        other.last in RANDOM | {"random_split"}
        and other.function is call.function
        and other.node.lineno > call.node.lineno
        for other in call.module.calls
    )


CHECKS: dict[str, Callable[[Repository], Verdict]] = {
    "split-test": split_test,
    "split-once": split_once,
    "split-fit": split_fit,
}
