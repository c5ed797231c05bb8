# copier: filter replace("my_project", package_name)
"""Say what is wrong with a run's training."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("diagnosis"))
    # copier: endfilter
