"""Fold or decide so many times, to be counted by callgrind: ``python -m tests.costs.instructions fold 2000``."""

import sys

from worker.core.allocation import Summary
from worker.core.case import Case
from worker.core.decide import decide
from worker.core.facts import Membership, UserFact
from worker.core.fold import fold
from worker.core.policy import Policy, Powers
from worker.core.roster import Counts, Roster
from worker.core.tenant import Look, Tenant

TENANT = Tenant("t", look=Look(1, Summary(5, 10, False, 5), 1))
USERS = 500


def main(what: str, times: int) -> None:
    if what == "fold":
        facts = [UserFact(f"user-{n % USERS}", Membership.ADDED, 1000 + n, f"evt-{n}") for n in range(times)]
        assert fold(TENANT, Roster(), facts, 10**6).roster.counts().missing == min(USERS, times)
    else:
        counts = Counts(seated=5)
        case = Case(TENANT, counts, 10**15, Policy(), Powers(), fresh=True, new_upgrade="upg_1", claim="clm_1")
        for _ in range(times):
            decide(case)


main(sys.argv[1], int(sys.argv[2]))
