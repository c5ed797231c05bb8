"""The command line: reads words, calls the function of that name in `run`, prints its result as JSON."""

import json
import logging
import sys
from argparse import SUPPRESS, ArgumentParser
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOMS = [Path(__file__).parents[1] / f"{__package__}{end}/commands" for end in ("", "_agents")]
OTHERS = {f.stem.replace("_", "-"): f"{f.parts[-3]}.commands.{f.stem}" for r in ROOMS for f in sorted(r.glob("*.py"))}
TITLE = "options of a run (with the default preset's values)"
STATUSES = {ValueError: 2, FloatingPointError: 3, OSError: 4, MemoryError: 4, KeyboardInterrupt: 130}


class Parser(ArgumentParser):
    """A parser that refuses in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where help is."""
        raise ValueError(f"{message} (see {self.prog} --help)")


def build_parser(first: str, run_options: dict[str, str], preset: str = "") -> Parser:
    """Return the parser for a first word; `train` takes the options of a run, given with their help, as well."""
    parser = Parser(prog=f"python -m {__package__}" if sys.argv[0].endswith("__main__.py") else None)
    parser.add_argument("-v", "--verbose", action="store_true", help="say more while at work")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    taking = [train := commands.add_parser("train", help="train a model; writes a run and report", allow_abbrev=False)]
    train.add_argument("preset", nargs="?", metavar="PRESET", help=f"model and settings ({preset})")
    train.add_argument("--config", type=Path, metavar="FILE", help="a YAML file instead of a preset")
    train.add_argument("--resume", type=Path, metavar="RUN", help="go on where a run stopped")
    train.add_argument("--init-from", type=Path, metavar="RUN", help="begin with the weights of a run")
    train.add_argument("--fast-dev-run", action="store_true", help="two steps: does everything work?")
    train.add_argument("--overfit-batches", type=int, default=0, metavar="N", help="learn N batches by heart")
    evaluate = commands.add_parser("evaluate", help="measure a run's best weights; writes evaluation.json")
    predict = commands.add_parser("predict", help="answer for inputs of your own")
    for command in (evaluate, predict, commands.add_parser("report", help="write report.html of a run")):
        command.add_argument("run", type=Path, metavar="RUN", help="a run folder, runs/<preset>-<n>")
    evaluate.add_argument("--split", choices=("train", "val", "test"), default="val", help="test goes with --final")
    evaluate.add_argument("--final", action="store_true", help="open the sealed test split, once a checkpoint")
    evaluate.add_argument("--gate", action="store_true", help="exit 1 if the run misses the demands of its config")
    predict.add_argument("path", type=Path, metavar="INPUT", help="a file, like the one in examples")
    data = commands.add_parser("data", help="what is done with data").add_subparsers(required=True, metavar="ACTION")
    verify = data.add_parser("verify", help="check a folder against its manifest: checksums, schema, copies")
    verify.add_argument("--folder", type=Path, help="a data folder (the package's own)")
    for name, file in ({first: OTHERS[first]} if first in OTHERS else OTHERS).items():  # data_split.py is `data split`
        module, word = import_module(file), name.removeprefix("data-")
        command = (commands if word == name else data).add_parser(word, help=module.HELP, allow_abbrev=False)
        command.set_defaults(command=name)
        taking += [command] if module.add_arguments(command) else []
    for group in [command.add_argument_group(TITLE, argument_default=SUPPRESS) for command in taking]:
        for n, about in run_options.items():
            group.add_argument(f"--{n.replace('_', '-')}", dest=n, nargs="?", const="true", metavar="X", help=about)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    first = next((word for word in words if not word.startswith("-")), "")
    stderr = logging.lastResort or logging.StreamHandler()  # it asks for sys.stderr anew: that may be a progress bar's
    stderr.setLevel(logging.NOTSET)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[stderr], force=True)
    try:
        if first == "train" or OTHERS.get(first, "").startswith(f"{__package__}."):
            from .config import DEFAULT_PRESET, describe_options, unknown  # noqa: PLC0415 (torch takes seconds to import)

            known = describe_options()
            parsed, rest = build_parser(first, known, DEFAULT_PRESET).parse_known_args(words)
            if rest:
                raise ValueError(unknown("option", rest[0].removeprefix("--").replace("-", "_"), list(known)))
        else:
            known, parsed = {}, build_parser(first, {}).parse_args(words)
        options = vars(parsed)
        if overrides := {name: options.pop(name) for name in known if name in options}:
            options["overrides"] = overrides
        logging.getLogger(__package__).setLevel(logging.DEBUG if options.pop("verbose") else logging.NOTSET)
        command = options.pop("command")
        home = import_module(OTHERS.get(command, f"{__package__}.run"))  # only now: torch takes seconds to import
        function = home.main if command in OTHERS else getattr(home, command)
        print(json.dumps(function(**options), indent=2), flush=True)  # noqa: T201 (what a command is asked for)
    except tuple(STATUSES) as error:
        logging.getLogger(__package__).error("error: %s", " ".join(str(error).split()) or "interrupted")
        return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
