"""A complete PyTorch project: `__main__` is its command line, `run` the same from Python."""
