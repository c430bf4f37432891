"""A deployment whose every name was chosen by somebody who means harm, in all that can be stored."""

import json
from dataclasses import replace
from typing import Final

from tests.dashboard.sample import upgrade
from tests.hostile.documents import CHARACTERS
from tests.web.site import an_upgrade
from worker.core.alert_book import Active
from worker.core.alerts import Alert, AlertKind, Datum, Phase, Severity
from worker.core.allocation import Summary
from worker.core.credits import CreditPool, Credits, LimitBehavior
from worker.core.facts import PaymentEvent, PaymentFact
from worker.core.journal import Note, NoteKind
from worker.core.roster import Entry, Seat
from worker.core.tenant import Decision, Look, Rule, Status, Tenant, Trouble, TroubleKind
from worker.core.times import HOUR
from worker.core.upgrade import State
from worker.store.interface import Commit, Wake
from worker.store.redis_store import RedisStore

CONTROLS: Final = {chr(code) for code in (*range(32), *range(127, 160))}

ANYTHING: Final = "".join(text for text in CHARACTERS if not any("\ud800" <= char <= "\udfff" for char in text))
"""What Crovver, Stripe or a queue may hold: everything that is UTF-8."""

TENANT: Final = "evil" + "".join(char for char in ANYTHING if char not in CONTROLS)
"""An id as the doors take it: no control characters, all else."""

USER: Final = f"u{ANYTHING}"
"""As Crovver may list it."""

UPGRADE: Final = "upg_nasty"
LETTER: Final = "dead_nasty"
assert len(TENANT) <= 255


async def seed(store: RedisStore) -> None:
    """Put it into an empty namespace."""
    now = await store.now()
    shown = replace(
        an_upgrade(UPGRADE, State.FAILED, now - HOUR), reason=f"Crovver said: {ANYTHING}", closed_at=now - HOUR
    )
    pools = (CreditPool(f"k{ANYTHING}", f"n{ANYTHING}", 5, 5, 10, 100, LimitBehavior.HARD, now + HOUR, 90.0),)
    words: dict[str, int | str | None] = {
        "needed": 2,
        "capacity": 1,
        "upgrade": UPGRADE,
        "reason": ANYTHING,
        "ready_at": now + HOUR,
    }
    tenant = Tenant(
        TENANT,
        look=Look(now, Summary(1, 1, False, 2)),
        trouble=Trouble(TroubleKind.UNREACHABLE, f"it said {ANYTHING}", now, 3, now + HOUR),
        decision=Decision(Rule.WAITS_TO_ASK_AGAIN, now, words),
        upgrades=(upgrade("upg_before", State.CANCELLED, now - 3 * HOUR, reason=ANYTHING), shown),
        alerts=(Active(AlertKind.CREDITS_LOW, Severity.WARNING, now - HOUR, key=f"k{ANYTHING}"),),
        credits=Credits(pools, now - HOUR, now - HOUR, f"it said {ANYTHING}"),
        reconciled_at=now,
    )
    users = {USER: Entry(True, 2, f"e{ANYTHING}", Seat.NONE), f"o{USER}": Entry(False, 2, "e", Seat.ACTIVE)}
    notes = [
        Note(NoteKind.FACTS, {"events": [["+", USER, now, f"e{ANYTHING}", True]]}),
        Note(NoteKind.TROUBLE, {"trouble": "unreachable", "message": ANYTHING, "kind_": ANYTHING}),
        Note(NoteKind.OUTCOME, {"upgrade": UPGRADE, "outcome": "refused", "reason": ANYTHING}),
        Note(NoteKind.HINT, {"source": f"crovver webhook {ANYTHING}"}),
        Note(NoteKind.DECISION, {"rule": "waits_to_ask_again", **words}),
    ]
    assert await store.commit(Commit(tenant, 0, "pass", 0, users, notes, at=now))
    await store.finish(Wake(TENANT, ""), now + HOUR, Status.UPGRADING, tenant.upgrades, 200.0)
    data: dict[str, Datum] = {"upgrade": UPGRADE, "reason": ANYTHING, "key": ANYTHING, "at": now}
    await store.post_alerts(
        TENANT,
        [Alert(1, TENANT, AlertKind.UPGRADE_FAILED, Severity.WARNING, Phase.RAISED, now, key=ANYTHING, data=data)],
    )
    references = (ANYTHING, TENANT + "x")
    await store.park(
        PaymentFact(PaymentEvent.COMPLETED, f"s{ANYTHING}", now, f"e{ANYTHING}", ANYTHING, False, None, references)
    )
    await _dead_letter(store)


async def _dead_letter(store: RedisStore) -> None:
    body = {
        "queue_name": "reconcile", "actor_name": f"a{ANYTHING}", "args": [ANYTHING, {ANYTHING: ANYTHING}],
        "kwargs": {ANYTHING: ANYTHING}, "options": {"traceback": f"Traceback\n  File x\nValueError: {ANYTHING}"},
        "message_id": LETTER, "message_timestamp": 1_790_000_000_000,
    }  # fmt: skip
    base = f"{store.keys.namespace}:reconcile.XQ"
    at = await store.now() // 1000
    for ident, message in ((LETTER, json.dumps(body)), (f"{LETTER}{ANYTHING}"[:200], ANYTHING)):
        await store.client.execute_command("ZADD", base, at, ident)
        await store.client.execute_command("HSET", f"{base}.msgs", ident, message)
