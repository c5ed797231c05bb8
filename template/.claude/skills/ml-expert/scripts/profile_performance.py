# copier: filter replace("my_project", package_name)
"""Measure size, time and memory of a model."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("measure"))
    # copier: endfilter
