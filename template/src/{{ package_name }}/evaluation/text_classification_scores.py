"""What the accuracy of a classifier of texts is made of: as of any classifier."""

from .classification_scores import scores

__all__ = ["scores"]
