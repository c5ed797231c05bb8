# copier: filter replace("my_project", package_name) | replace("digit.csv", example_input)
"""Train, evaluate and use a model as in a notebook; run it from the project's root."""

from pathlib import Path

from my_project import run


def main() -> None:
    """Run the lines of the README."""
    done = run.train(overrides={"train.steps": 100})
    figures = run.evaluate(Path(done["run"]))
    answers = run.predict(Path(done["run"]), Path("examples/digit.csv"))
    print(figures["value"], figures["baselines"], answers)


if __name__ == "__main__":
    main()
    # copier: endfilter
