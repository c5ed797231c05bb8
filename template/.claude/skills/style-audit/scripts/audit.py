# copier: filter replace("my_project", package_name)
"""Audit the style."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("audits", "style"))
    # copier: endfilter
