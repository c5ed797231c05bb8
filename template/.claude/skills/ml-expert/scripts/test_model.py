# copier: filter replace("my_project", package_name)
"""Check that a model keeps the contract."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("contract"))
    # copier: endfilter
