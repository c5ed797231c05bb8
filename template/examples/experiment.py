# copier: filter replace("my_project", package_name) | replace("digit.csv", example_input)
"""Train epoch by epoch as in a notebook, with a loss of one's own, then to the end; run it from the project's root."""

from torch import Tensor

from my_project.config import load
from my_project.experiment import Criterion, Experiment
from my_project.types import Batch, StepOutput


class Halved(Experiment):
    """The same run with half the loss: a method that is replaced is used everywhere."""

    def build_criterion(self) -> Criterion:
        """Make what is minimised of a model's answer and the batch."""
        return halve


def halve(output: StepOutput, _: Batch) -> Tensor:
    """Return half the loss [] that the model gave."""
    return output.loss / 2


def main(steps: int = 100) -> None:
    """Look at the figures after the first epoch, and at those of the whole run."""
    experiment = Halved(load(overrides={"train.steps": steps, "train.eval_every": steps}))
    print(experiment.train_epoch())
    print(experiment.evaluate().metrics)
    print(experiment.run())


if __name__ == "__main__":
    main()
    # copier: endfilter
