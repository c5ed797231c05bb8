"""Lets `python hooks/audit PATH` audit a repository."""

import sys

from pytorch_audit.command import main

if __name__ == "__main__":
    sys.exit(main())
