# copier: filter replace("my_project", package_name)
"""Write a new model with its preset and its test."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("skeleton"))
    # copier: endfilter
