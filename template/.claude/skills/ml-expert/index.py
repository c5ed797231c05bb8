# copier: filter replace("my_project", package_name)
"""Give a request to the specialist: plan, edit, check every claim."""

import sys
from pathlib import Path

from my_project_agents.runner import start

if __name__ == "__main__":
    sys.exit(start(Path(__file__).resolve().parent))
    # copier: endfilter
