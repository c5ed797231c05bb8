# copier: filter replace("my_project", package_name)
"""Audit the code."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("audits", "code"))
    # copier: endfilter
