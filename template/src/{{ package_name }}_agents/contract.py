"""What every model owes, checked on a few rows of its own data: a line for each promise that it breaks."""

import io
import math
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import part, skeleton

HELP = "check that a model keeps the contract; exit 1 where it does not"
ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)  # of a broken model
NUM_STEPS, LEAST_FALL = 40, 0.1  # updates on one batch, and the share of its loss that must go
MOST_OFF = 1e-3  # of answers to the same rows in another batch


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="KIND", help="a file in models, with the smallest preset that has it")
    which.add_argument("--preset", metavar="NAME", help="the model of a preset, with its settings and its data")
    parser.add_argument("--write-test", action="store_true", help="with --model: write tests/test_KIND_contract.py")
    parser.add_argument("--dry-run", action="store_true", help="with --write-test: say what would be written")


def main(model: str | None, preset: str | None, *, write_test: bool, dry_run: bool) -> dict[str, Any]:
    """Check a model, or write the test that does."""
    if write_test:
        if not model:
            raise ValueError("--write-test goes with --model")
        return skeleton.add_tests(model, Path.cwd(), dry_run=dry_run)
    return check_model(model) if model else check_config(part("config").load(preset))


def check_model(kind: str) -> dict[str, Any]:
    """Check the model of a kind by every promise."""
    return check_config(config_of(kind))


def check_config(config: Any) -> dict[str, Any]:
    """Check the model of a config by every promise."""
    details = {name: problem(config, name) for name in CHECKS}
    checks = [{"name": name, "ok": not detail, "detail": detail} for name, detail in details.items()]
    return {"ok": not any(details.values()), "kind": config.model.kind, "preset": config.name, "checks": checks}


def check(kind: str, name: str) -> str:
    """Return how a model breaks one promise, or nothing."""
    return problem(config_of(kind), name)


def config_of(kind: str) -> Any:
    """Return the smallest preset of a kind, or the default preset with this model in it."""
    configs = part("config")
    names = [path.stem for path in sorted(configs.PRESETS.glob("*.yaml"))]
    fitting = [config for config in map(configs.load, names) if config.model.kind == kind]
    if not fitting:
        return configs.load(overrides={"model.kind": kind})
    return min(fitting, key=lambda config: sum(p.numel() for p in config.model.build().parameters()))


def problem(config: Any, name: str) -> str:
    """Return how a config's model breaks a promise, also by an error of its own."""
    try:
        return CHECKS[name](config)
    except ERRORS as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def build(config: Any) -> Any:
    """Make the model, always from the same seed."""
    import torch  # noqa: PLC0415 (seconds)

    torch.manual_seed(0)
    return part("run").build(config, config.data.build("train"))


def rows(config: Any, count: int) -> Any:
    """Return the first rows of the training split."""
    import torch  # noqa: PLC0415

    return config.data.build("train")[torch.arange(count), 0]


def shapes(config: Any) -> str:
    """An answer has a row for each input, the same shape in every batch, one finite loss, as many classes as labels."""
    model, found = build(config), set[tuple[int, ...]]()
    for count in (1, 3, 32):
        output = model(rows(config, count), None)
        if len(output.outputs) != count or output.loss.shape != () or not output.loss.isfinite():
            return f"{count} rows: outputs {[*output.outputs.shape]}, loss {output.loss.tolist()}"
        found.add(tuple(output.outputs.shape[1:]))
    if len(found) > 1:
        return f"answers of shapes {sorted(found)}, want one"
    shape, labels = found.pop(), config.data.labels if "classification" in config.data.task else None
    return f"answers of {shape}, want {len(labels)} classes" if labels and shape[-1:] != (len(labels),) else ""


def measured(config: Any) -> str:
    """What evaluates the task can read the answers."""
    value = part("run").task(config).measure(build(config), config.data.build("val", num_rows=64)).value
    return "" if math.isfinite(value) else f"the figure of untrained weights is {value}"


def empty(config: Any) -> str:
    """A batch without rows has loss 0 and gradients that change nothing."""
    model = build(config)
    output = model(rows(config, 0), None)
    output.loss.backward()
    changed = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()]
    return f"loss {output.loss.item()}, gradients in {changed}" if output.loss.item() or changed else ""


def gradients(config: Any) -> str:
    """Every parameter gets a finite gradient that is not 0."""
    model = build(config)
    model(rows(config, 32), None).loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    wrong = [name for name, grad in grads.items() if grad is None or not grad.any() or not grad.isfinite().all()]
    return f"no gradient, or none that is finite, reaches {', '.join(wrong)}" if wrong else ""


def mixed_precision(config: Any) -> str:
    """Answers and loss are finite under bf16 autocast."""
    import torch  # noqa: PLC0415

    with torch.autocast("cpu", torch.bfloat16):
        return finite(build(config)(rows(config, 8), None))


def nothing(config: Any) -> str:
    """Answers and loss are finite where all inputs are 0."""
    batch = rows(config, 4)
    return finite(build(config)(with_inputs(batch, lambda values: values * 0), None))


def finite(output: Any) -> str:
    """Say what of an answer is not finite."""
    parts = {"outputs": output.outputs, "loss": output.loss}
    wrong = [name for name, values in parts.items() if not values.isfinite().all()]
    return f"not finite: {', '.join(wrong)}" if wrong else ""


def with_inputs(batch: Any, function: Callable[[Any], Any]) -> Any:
    """Return a batch with its inputs changed."""
    types = part("types")
    return types.Batch(types.map_carry(batch.inputs, function), batch.targets, batch.index, batch.starts)


def alone(config: Any) -> str:
    """A row's answer does not depend on the rows beside it."""
    model = build(config).eval()
    together, few = (model(rows(config, count), None).outputs for count in (8, 3))
    off = (together[:3] - few).abs().max().item()
    return f"answers of 3 rows change by {off:.3g} where 5 others are beside them" if not off <= MOST_OFF else ""


def inputs(config: Any) -> str:
    """Each of the inputs changes the answer."""
    model, batch, leaves = build(config).eval(), rows(config, 8), list[Any]()
    before = model(batch, None).outputs
    part("types").map_carry(batch.inputs, leaves.append)
    for number, leaf in enumerate(leaves):
        moved = with_inputs(batch, partial(rolled, leaf))
        if (model(moved, None).outputs - before).abs().max().item() == 0:
            return f"input {number + 1} of {len(leaves)}, of shape {[*leaf.shape]}, changes no answer"
    return ""


def rolled(which: Any, values: Any) -> Any:
    """Return rows in another order where they are those; other ones as they are."""
    return values.roll(1, 0) if values is which else values


def repeated(config: Any) -> str:
    """One seed builds one model, which answers twice alike."""
    first, second, batch = build(config).eval(), build(config).eval(), rows(config, 4)
    if unlike := [name for name, value in first.state_dict().items() if not value.equal(second.state_dict()[name])]:
        return f"the same seed gives other {', '.join(unlike)}"
    same = first(batch, None).outputs.equal(first(batch, None).outputs)
    return "" if same else "two answers to the same rows differ in eval mode"


def saved(config: Any) -> str:
    """Weights that were saved and read give the same answers."""
    import torch  # noqa: PLC0415

    model, batch, file = build(config).eval(), rows(config, 4), io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = config.model.build().eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    return "" if other(batch, None).outputs.equal(model(batch, None).outputs) else "answers differ after loading"


def learns(config: Any) -> str:
    """The loss of one batch falls when it is learnt."""
    import torch  # noqa: PLC0415

    model, batch, losses = build(config).eval(), rows(config, 8), list[float]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(NUM_STEPS):
        loss = model(batch, None).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    fell = losses[-1] < (1 - LEAST_FALL) * losses[0]
    return "" if fell else f"the loss goes from {losses[0]:.4g} to {losses[-1]:.4g} in {NUM_STEPS} updates on one batch"


CHECKS: dict[str, Callable[[Any], str]] = {
    function.__name__: function
    for function in (
        *(shapes, measured, empty, gradients, mixed_precision, nothing),
        *(alone, inputs, repeated, saved, learns),
    )
}
