"""Liveness: what must be true of every tenant once faults have ended, by a model of a few lines."""

from collections.abc import Collection, Mapping

from worker.core.facts import Fact, Membership, RosterFact, UserFact
from worker.core.policy import Mode, Policy


def seats_needed(facts: Collection[Fact], seats: Mapping[str, tuple[bool, int]]) -> set[str]:
    """Users whose newest fact, by (time, id), says that they hold a seat; Crovver's rows are facts without an id."""
    newest = {user: ((at, ""), active) for user, (active, at) in seats.items()}
    lists = [((fact.at, fact.id), {one.user for one in fact.users}) for fact in facts if isinstance(fact, RosterFact)]
    words = [fact for fact in facts if isinstance(fact, UserFact)]
    for user in {*newest, *(fact.user for fact in words), *(user for _, users in lists for user in users)}:
        said = [((fact.at, fact.id), fact.membership is Membership.ADDED) for fact in words if fact.user == user]
        said += [(key, user in users) for key, users in lists]
        newest[user] = max([*said, newest.get(user, ((-1, ""), False))])
    return {user for user, (_, needs) in newest.items() if needs}


def has_room(policy: Policy, needed: int, capacity: int) -> bool:
    """Whether nothing more is to be bought: there is room, or nobody wants or may have it bought."""
    size = policy.size(needed)
    return (
        needed + policy.headroom <= capacity
        or policy.mode is Mode.ALERT
        or (policy.cap is not None and needed > policy.cap)
        or size <= capacity
    )
