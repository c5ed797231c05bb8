# copier: filter replace("my_project", package_name)
"""Write the context of a request, which index.py works from."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("contexts"))
    # copier: endfilter
