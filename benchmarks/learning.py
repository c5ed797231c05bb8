"""What the benchmarks of learning share: training for a time, and lines of a table with bounds."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[1] / "working"))

from my_project.training.optimizer import OptimConfig
from my_project.types import Batch, StepOutput, map_carry


def train(model: nn.Module, batches: Iterable[Batch], optim: OptimConfig, seconds: float) -> tuple[int, float]:
    """Train for that much CPU time, the learning rate following it; return the number of updates, and the seconds."""
    optimization, carry, begin = optim.build(model.train(), 1), None, time.process_time()
    for batch in batches:
        output: StepOutput = model(batch, carry)
        output.loss.backward()
        carry, spent = map_carry(output.carry, Tensor.detach), time.process_time() - begin
        optimization.num_steps = max(1, round((optimization.num_updates + 1) * seconds / spent))
        optimization.step()
        if spent > seconds:
            break
    optimization.swap_averages()
    model.eval()
    return optimization.num_updates, time.process_time() - begin


def show(name: str, value: float, *, least: float | None = None, most: float | None = None) -> bool:
    """Print a line of the table; return whether its bounds hold."""
    holds = (least is None or value >= least) and (most is None or value <= most)
    bounds = [f"at {word} {bound:.3g}" for word, bound in (("least", least), ("most", most)) if bound is not None]
    print(f"| {name} | {value:.3f} | {', '.join(bounds)} | {'yes' if holds else '**no**'} |", flush=True)
    return holds


def size(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def told(name: str, model: nn.Module, steps: int, seconds: float) -> str:
    """Return a line of the table that says what was trained, and how long."""
    return f"| *{name}: {size(model):,} parameters, {seconds:.0f} s, {steps} updates* | | | |"
