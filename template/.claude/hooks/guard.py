"""Reads one event of the command-line tool from stdin; status 2 and a line on stderr stop what the project forbids."""

import json
import re
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COARSE = r"npz|npy|\.pt\b|lock|final\.json|git\b.*\b(commit|push)|terraform|kubectl|\baws\b|gcloud|\baz\b"


def reason(text: str) -> str:
    """Return why this must not happen, or nothing; where the guards are broken, a coarse rule decides and says so."""
    try:
        event = json.loads(text)
        name = "stops.py" if event["hook_event_name"] == "SubagentStop" else "guards.py"
        (file,) = ROOT.glob(f"src/*_agents/{name}")
        return str(runpy.run_path(str(file))["decide"](event, ROOT))
    except Exception as error:  # noqa: BLE001 (whatever is wrong with them: neither an open gate nor a closed one)
        why = f"the guards of src/*_agents do not work ({type(error).__name__}: {error}); restore them with git"
        if re.search(COARSE, text) and "SubagentStop" not in text:
            return f"{why}; until then nothing is let through that names data files, checkpoints, locks or commits"
        sys.stderr.write(f"{why}\n")
        return ""


if __name__ == "__main__":
    if why := reason(sys.stdin.read()):
        sys.stderr.write(f"{why}\n")
        sys.exit(2)
