# copier: filter replace("my_project", package_name) | replace("digit.csv", example_input)
"""Answer rows without a server: python examples/predictor.py RUN [FILE].

FILE has a row of JSON in each line; without it the row that the run gives as an example is answered.
"""

import json
from argparse import ArgumentParser
from pathlib import Path

from my_project.serving.predictor import Predictor


def main() -> None:
    """Read the words of the command line, and print an answer in each line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run folder, or models/NAME")
    parser.add_argument("file", type=Path, nargs="?", help="rows of JSON, one a line")
    given = parser.parse_args()
    try:
        predictor = Predictor.load(given.run)
        lines = given.file.read_text("utf-8").splitlines() if given.file else [json.dumps(predictor.example)]
        for record in predictor(json.loads(line) for line in lines if line.strip()):
            print(json.dumps(record))
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
    # copier: endfilter
