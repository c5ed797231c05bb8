# copier: filter replace("my_project", package_name)
"""Audit what the commands do."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("audits", "functionality"))
    # copier: endfilter
