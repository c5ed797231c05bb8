"""Lets `python hooks/audit PATH` audit a repository."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (whoever starts it by hand may have an older one)
    sys.exit(f"copier-torch-audit: got Python {sys.version.split()[0]}, want 3.11 or newer")

from pytorch_audit.command import main

if __name__ == "__main__":
    sys.exit(main())
