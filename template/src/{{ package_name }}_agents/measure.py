"""What a model costs: its size, the time of an answer, the memory, and the operations that take the time."""

import resource
import sys
import time
from argparse import ArgumentParser
from statistics import quantiles
from typing import Any

from . import part

HELP = "measure parameters, latency of one row, peak memory and the slowest operations of a preset's model"
WARM_UP, NUM_ANSWERS, NUM_OPERATIONS = 5, 60, 8


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    parser.add_argument("--preset", required=True, metavar="NAME", help="whose model, with its data")
    parser.add_argument(
        "--device", default="cpu", choices=("cpu", "cuda", "mps"), help="where it answers (%(default)s)"
    )


def main(preset: str, device: str) -> dict[str, Any]:
    """Measure a preset's model."""
    return benchmark_model(preset, device=device)


def benchmark_model(preset: str, *, device: str = "cpu") -> dict[str, Any]:
    """Return the size of a preset's model, its latency [ms] for one row, memory [MB] and slowest operations."""
    import torch  # noqa: PLC0415 (seconds)

    config = part("config").load(preset)
    place = part("training.device").choose_device(device, deterministic=False)
    torch.manual_seed(config.train.seed)
    model = part("run").build(config, config.data.build("train")).to(place).eval()
    batch = config.data.build("val")[torch.zeros(1, dtype=torch.long), 0].to(place)
    times, operations = answer(model, batch)
    half, most = percentiles(times)
    return {
        "ok": True,
        "preset": preset,
        "kind": config.model.kind,
        "device": place.type,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "p50_ms": half,
        "p95_ms": most,
        "peak_mb": peak(place),
        "operations": operations,
    }


def answer(model: Any, batch: Any) -> tuple[list[float], list[dict[str, Any]]]:
    """Return the times [ms] of answers to a batch, and the operations that took most of some more answers."""
    import torch  # noqa: PLC0415

    times = list[float]()
    with torch.inference_mode():
        for _ in range(WARM_UP + NUM_ANSWERS):
            started = time.perf_counter()
            model(batch, None).outputs.sum().item()  # waits until the device is done
            times.append(1000 * (time.perf_counter() - started))
        with torch.profiler.profile() as profiler:
            for _ in range(WARM_UP):
                model(batch, None).outputs.sum().item()
    events: Any = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)[:NUM_OPERATIONS]
    rows = [{"name": e.key, "calls": e.count, "self_cpu_ms": e.self_cpu_time_total / 1000} for e in events]
    return times[WARM_UP:], rows


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    cuts = quantiles(times, n=20)
    return cuts[9], cuts[18]


def peak(place: Any) -> float:
    """Return the most memory [MB] that was in use: of the GPU, of the whole process on a CPU."""
    import torch  # noqa: PLC0415

    if place.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
