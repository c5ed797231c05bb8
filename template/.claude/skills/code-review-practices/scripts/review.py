# copier: filter replace("my_project", package_name)
"""Review the changes since a commit."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("reviews"))
    # copier: endfilter
