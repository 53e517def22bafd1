"""What search means, without any index: the plain reading of words and clauses that engines are compared with."""

from __future__ import annotations

from fedishare.text.query import Clause


def holds(kept: str, clause: Clause) -> bool:
    """Whether a clause holds for what is kept of a text."""
    found = kept.split()
    return any(_within(phrase, found) for phrase in clause.phrases) != clause.negative


def _within(phrase: tuple[str, ...], found: list[str]) -> bool:
    return any(tuple(found[at : at + len(phrase)]) == phrase for at in range(len(found) - len(phrase) + 1))
