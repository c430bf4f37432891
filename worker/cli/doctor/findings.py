"""What a check answers with."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a subject stands, from best to worst."""

    GOOD = "good"
    BETTER = "could be better"
    FIX = "must be fixed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it stands, what was seen, and, unless it is good, what to do."""

    subject: str
    verdict: Verdict
    seen: str
    remedy: str = ""


def good(subject: str, seen: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, Verdict.GOOD, seen)


def better(subject: str, seen: str, remedy: str) -> Finding:
    """It works, with something missing that its operator may want."""
    return Finding(subject, Verdict.BETTER, seen, remedy)


def fix(subject: str, seen: str, remedy: str) -> Finding:
    """Events, purchases or alerts are lost or stand still like this."""
    return Finding(subject, Verdict.FIX, seen, remedy)
