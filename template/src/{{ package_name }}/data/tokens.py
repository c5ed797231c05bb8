"""Texts as numbers: their words, the vocabulary that is fitted to the texts of a training split, rows of tokens."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

WORD = re.compile(r"[^\W\d_]+|\d+")  # letters of any alphabet, or digits; all between such runs is left out
SPECIAL = ("", "?")  # token 0 is padding, token 1 stands for every word that is not in the vocabulary
MOST = 2**16 - len(SPECIAL)  # words of a vocabulary, so that two bytes hold a token


def words(text: str) -> list[str]:
    """Return the words of a text in lower case: `The X-ray` has three."""
    return WORD.findall(text.lower())


def fit_vocabulary(texts: Iterable[str]) -> list[str]:
    """Return the word of each token, the most frequent first; only texts of a training split belong here."""
    counts = Counter(word for text in texts for word in words(text))
    return [*SPECIAL, *sorted(counts, key=lambda word: (-counts[word], word))[:MOST]]


def encode(texts: Sequence[str], vocabulary: Sequence[str], length: int) -> np.ndarray:
    """Return rows of tokens [N, L], padded behind the last word; of a longer text the first words."""
    tokens, rows = {word: token for token, word in enumerate(vocabulary)}, np.zeros((len(texts), length), np.uint16)
    for row, text in zip(rows, texts, strict=True):
        found = [tokens.get(word, 1) for word in words(text)[:length]]
        row[: len(found)] = found
    return rows


def decode(row: Sequence[int], vocabulary: Sequence[str]) -> list[str]:
    """Return the words of a row of tokens [L] without its padding."""
    return [vocabulary[token] for token in row if token]
