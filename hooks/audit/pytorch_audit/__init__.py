"""Says which guarantees of a PyTorch project hold, from its source alone: nothing of it is imported or run."""
