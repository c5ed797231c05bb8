"""From three seeds to a claim that holds: the example's script, all of it, in a fresh project."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.harness import command, render_sample

ANSWERS = {"experiments": True, "sweep": True, "agents": False, "ci": "none"}
STEPS = "40"
LEFT = (
    "crossval/crossval.json",
    "ablate/ablate.json",
    "sweep/best.yaml",
    "usual-0/comparison.html",
    "usual-0/final.json",
    "usual-0/report.html",
)


def test_the_example_goes_from_three_seeds_to_a_claim_and_back(template: Path, tmp_path: Path) -> None:
    sample = render_sample(template, tmp_path, "claim", ANSWERS)
    variables = {"RUN": f"{sys.executable} -m {sample.package}", "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}
    script = ["bash", "examples/from_run_to_claim.sh", STEPS]
    result = command(script, sample.folder, os.environ | variables)
    assert result.status == 0, result.output
    runs = sample.folder / "runs/claim"
    for name in LEFT:
        assert (runs / name).stat().st_size > 0, name
    (sentence,) = json.loads((runs / "usual-0/comparison.json").read_text("utf-8"))["sentences"]
    assert "(optim.lr 0.0001) is worse than" in sentence  # 40 updates at a tenth of the rate
    assert len(list((runs / "sweep").glob("trial-*"))) == 6, sorted(runs.glob("sweep/*"))
    assert result.output.count("the test split was opened for it already") == 1, result.output
    reproduction = json.loads((runs / "again/reproduction.json").read_text("utf-8"))
    assert (reproduction["result"], reproduction["num_moved"]) == ("equal", 0)
