"""What the processes of a sweep share: the space that they search, Optuna's study of it, and who has which trial."""

import json
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.distributions import distribution_to_json as to_json
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import PlainValidator, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from .config import DEFAULT_PRESET, Config, differences, from_dict, load, to_dict
from .training.storage import locked, write_json
from .types import STRICT

MAY_DIFFER = ("train.device", "data.workers", "data.folder")  # between the processes of one sweep
TRIES, PAUSE = 600, 0.1  # how often, and after how many seconds, one asks for what others hold for a moment
FEW = 10  # complete trials, below which nothing is said of importance
Values = dict[str, Any]


def make_distribution(given: Any) -> BaseDistribution:
    """Make what Optuna draws from of `{low, high, log, step}` or `{choices}`; ValueError says what is wrong."""
    if isinstance(given, BaseDistribution):
        return given
    names = set(given) if isinstance(given, dict) else set()
    choices = given["choices"] if names == {"choices"} else None
    if isinstance(choices, list) and choices:
        return CategoricalDistribution([json.dumps(c) if isinstance(c, list | dict) else c for c in choices])
    if not {"low", "high"} <= names <= {"low", "high", "log", "step"}:
        raise ValueError("want {low: 1, high: 8}, with log: true or a step if you like, or {choices: [a, b]}")
    log, numbers = bool(given.get("log")), {name: number(given[name]) for name in sorted(names - {"log"})}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a step that does not divide the range
        try:
            whole = all(isinstance(value, int) for value in numbers.values())
            return IntDistribution(log=log, **numbers) if whole else FloatDistribution(log=log, **numbers)
        except UserWarning as error:
            raise ValueError(str(error)) from None


def number(value: Any) -> Any:
    """Return a number; YAML reads 1e-5, without a point, as text."""
    with suppress(ValueError):
        value = float(value) if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"got {value!r}, want a number")
    return value


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Search:
    """What a file such as configs/search.yaml says."""

    preset: str = DEFAULT_PRESET
    pruner: Literal["median", "hyperband", "none"] = "median"
    space: dict[str, Annotated[BaseDistribution, PlainValidator(make_distribution)]]


def read_search(path: Path) -> Search:
    """Read a search file; ValueError says what is wrong with it."""
    if not path.is_file():
        raise ValueError(f"--search: {path} is not there; want a YAML file with a space")
    try:
        search: Search = TypeAdapter(Search).validate_python(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        said = wrong["msg"].removeprefix("Value error, ").replace("Input should be", "want")
        raise ValueError(f"{path}: {where or 'the file'}: {said}; got {wrong['input']!r}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {error}") from None
    return search


def check(path: Path, search: Search, overrides: Values) -> Config:
    """Return the config that the trials have in common; ValueError where a value at the end of a range does not fit."""
    if not search.space:
        raise ValueError(f"{path}: space: nothing to search; want options with low and high, or with choices")
    if both := sorted({*search.space} & {*overrides, "train.out"}):
        raise ValueError(f"{path}: {both[0]} cannot be searched: it is given" + " by --out" * (both[0] == "train.out"))
    common, ends = load(search.preset, overrides), {name: ends_of(each) for name, each in search.space.items()}
    first = {name: values[0] for name, values in ends.items()}
    for name, values in ends.items():
        for value in values:
            try:
                load(search.preset, {**overrides, **first, name: value})
            except ValueError as error:
                raise ValueError(f"{path}: {name} {value}: {error}") from None
    return common


def ends_of(distribution: BaseDistribution) -> tuple[Any, ...]:
    """Return the least and the greatest value, or all choices."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return vars(distribution)["low"], vars(distribution)["high"]


class SeededSampler(BaseSampler):
    """TPE (Bergstra et al. 2011), whose draws follow from seed, trial and option: who goes on proposes the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def tpe(self, trial: FrozenTrial, name: str = "") -> TPESampler:
        """Return a sampler for one trial and option."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # before Optuna 5 the liar was an experiment
            return TPESampler(seed=zlib.crc32(f"{self.seed} {trial.number} {name}".encode()), constant_liar=True)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is drawn together."""
        return self.tpe(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Any) -> Values:
        """Draw together."""
        return self.tpe(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study: Any, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        """Draw one option."""
        return self.tpe(trial, param_name).sample_independent(study, trial, param_name, param_distribution)


@contextmanager
def waited_for(folder: Path) -> Iterator[None]:
    """Hold a folder that others hold for a moment only; raises OSError where they hold it for long."""
    with ExitStack() as held:
        for left in reversed(range(TRIES)):
            try:
                held.enter_context(locked(folder))
                break
            except OSError:
                if not left:
                    raise
                time.sleep(PAUSE)
        yield


class Sweep:
    """A study in a folder: `sweep.json` says of what, `journal.jsonl` is Optuna's, each trial is a run of its own."""

    def __init__(self, folder: Path, search: Search, common: Config, measured: Any, trials: int) -> None:
        self.folder, self.space, self.trials = folder, search.space, trials
        optuna.logging.disable_default_handler()
        optuna.logging.enable_propagation()  # what it warns of goes where all that is said goes
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path = folder / "journal.jsonl"
        self.storage = JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
        space = {name: json.loads(to_json(each)) for name, each in search.space.items()}
        record = {"config": to_dict(common), "pruner": search.pruner, "space": space}
        with waited_for(folder):
            self.record = join(folder, record, measured, trials)
        steps, pruners = common.train.steps, dict[str, BasePruner](median=MedianPruner(), none=NopPruner())
        self.study = optuna.create_study(
            storage=self.storage,
            study_name="sweep",
            sampler=SeededSampler(common.train.seed),
            pruner=pruners.get(search.pruner) or HyperbandPruner(min(common.train.eval_every, steps), steps),
            direction="maximize" if self.record["higher_is_better"] else "minimize",
            load_if_exists=True,
        )

    def rows(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials of some states, or of all."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    @contextmanager
    def next_trial(self) -> Iterator[Trial | None]:
        """Hold a trial whose process is dead, or else a new one, or None where there is none to be had."""
        with ExitStack() as held:
            with waited_for(self.folder):
                trial = self.take(held)
            yield trial

    def take(self, held: ExitStack) -> Trial | None:
        """Find a trial and lock it, so that it is given to nobody else while this process lives."""
        for row in self.rows(TrialState.RUNNING):
            with suppress(OSError):
                held.enter_context(locked(self.claim(row.number)))
                home = self.storage.get_study_id_from_name("sweep")
                return Trial(self.study, self.storage.get_trial_id_from_study_id_trial_number(home, row.number))
        if len(self.rows()) >= self.trials:
            return None
        trial = self.study.ask()
        held.enter_context(locked(self.claim(trial.number)))
        return trial

    def claim(self, number: int) -> Path:
        """Return the folder with the lock of whoever has a trial; the lock of its run is the run's own."""
        folder = self.folder / "claims" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def suggest(self, trial: Trial) -> Values:
        """Return the options of a trial: those that it has already, or new ones."""
        found = Values()
        for name, each in self.space.items():
            if isinstance(each, CategoricalDistribution):
                found[name] = trial.suggest_categorical(name, each.choices)
            else:
                draw: Any = trial.suggest_int if isinstance(each, IntDistribution) else trial.suggest_float
                found[name] = draw(name, **{end: vars(each)[end] for end in ("low", "high", "log", "step")})
        return found

    def importance(self) -> dict[str, float] | None:
        """Return each option's share in who is among the best quarter (PED-ANOVA), None where trials are too few."""
        if len(self.rows(TrialState.COMPLETE)) < FEW or len(self.space) == 1:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            evaluator = PedAnovaImportanceEvaluator(target_quantile=0.25)
            return get_param_importances(self.study, evaluator=evaluator)


def join(folder: Path, record: Values, measured: Any, trials: int) -> Values:
    """Write down what a sweep is, or compare it with what is written; ValueError names the first difference."""
    path = folder / "sweep.json"
    if not path.exists():
        if others := sorted({each.name for each in folder.iterdir()} - {"lock", "journal.jsonl", "sweep.tmp"}):
            raise ValueError(f"--out: {folder} has {others[0]} and no sweep; name another")
        names = ("primary", "higher_is_better")
        write_json(path, {**record, **{name: getattr(measured, name) for name in names}, "trials": trials})
    found: Values = json.loads(path.read_text("utf-8"))
    configs = [from_dict(each["config"]) for each in (found, record)]
    pairs = {name: pair for name, pair in differences(*configs).items() if name not in MAY_DIFFER}
    old, new = found["space"], record["space"]
    pairs |= {f"space.{name}": (old.get(name), new.get(name)) for name in old | new if old.get(name) != new.get(name)}
    pairs |= {"pruner": (found["pruner"], record["pruner"])} if found["pruner"] != record["pruner"] else {}
    pairs |= {"--trials": (found["trials"], trials)} if trials < found["trials"] else {}
    for name, (a, b) in pairs.items():
        raise ValueError(f"{folder} is another sweep: {name} is {a} there, {b} here; say the same, or another --out")
    if trials > found["trials"]:
        write_json(path, {**found, "trials": trials})
    return found
