# copier: filter replace("my_project", package_name)
"""Compare the code with the rules of the house and a specification."""

import sys

from my_project_agents.scripts import start

if __name__ == "__main__":
    sys.exit(start("architecture"))
    # copier: endfilter
