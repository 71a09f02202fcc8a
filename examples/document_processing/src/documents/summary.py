"""A summary without a model: the sentences whose words are the most frequent ones of the text."""

import re
from collections import Counter


def summary(text: str, sentences: int) -> str:
    """The best sentences, in the order of the text. Raises `ValueError` for a text without any."""
    found = [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s+", text) if sentence.strip()]
    if not found:
        raise ValueError("the document is empty")
    frequency = Counter(_words(text))

    def weight(sentence: str) -> float:
        words = _words(sentence)
        return sum(frequency[word] for word in words) / len(words) if words else 0.0

    best = sorted(found, key=weight, reverse=True)[:sentences]
    return " ".join(sentence for sentence in found if sentence in best)


def _words(text: str) -> list[str]:
    """Short words say little."""
    return [word for word in re.findall(r"\w+", text.lower()) if len(word) > 3]
