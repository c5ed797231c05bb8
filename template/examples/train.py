# copier: filter replace("my_project", package_name) | replace("digit.csv", example_input)
"""Train a model in Python, evaluate its best weights, and let it answer a few rows; run it from the project's root."""

import torch

from my_project import run
from my_project.config import load


def main(steps: int = 100) -> None:
    """Show the pieces behind the commands: a config, a run folder, a model, a batch, its answer."""
    config = load(overrides={"train.steps": steps, "train.eval_every": steps})
    folder = run.fit(config)
    figures = run.evaluate(folder)
    _, model, _ = run.open_run(folder)
    batch = config.data.build("val")[torch.arange(4), 0]
    with torch.inference_mode():
        output = model(batch, None)
    print(
        f"{folder}: {figures['primary']} {figures['value']:.4f} on the validation split, baselines",
        figures["baselines"],
    )
    print(f"loss of 4 rows {output.loss.item():.4f}, their answers", output.outputs)


if __name__ == "__main__":
    main()
    # copier: endfilter
