"""Runs a Python file as a script, as `python FILE ...` does: `python -m run_file FILE ...`."""

import runpy
import sys

if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
