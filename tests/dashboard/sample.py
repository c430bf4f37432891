"""A fleet with something of everything, written straight into a store."""

from dataclasses import replace
from typing import Any

from worker.core.alert_book import Active
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.allocation import Summary
from worker.core.checkout import Checkout
from worker.core.credits import CreditPool, Credits, LimitBehavior
from worker.core.facts import PaymentEvent, PaymentFact
from worker.core.journal import Json, Note, NoteKind
from worker.core.roster import Entry, Seat
from worker.core.tenant import Decision, Look, Rule, Status, Tenant, Trouble, TroubleKind
from worker.core.times import DAY, HOUR, MINUTE
from worker.core.upgrade import Closing, State, Upgrade
from worker.store.interface import Commit, Wake
from worker.store.redis_store import RedisStore

LINK = "https://checkout.stripe.test/c/pay/cs_test_sample?a=1&b=2#frag"
TRICKY = "evil/\u202e<b>\"'&{{7*7}}%2F\u200b ü"
"""An id that would break a page that trusts it."""

NAMES = ("acme", "globex", "initech", "hooli", "umbrella", "soylent", "massive", "vandelay", TRICKY)
Notes = list[tuple[int, Note]]
Users = dict[str, Entry]

EXTRA: Users = {f"new-{n}": Entry(True, 2, "evt", Seat.NONE) for n in range(3)}
"""Need a seat and have none."""

GONE: Users = {f"left-{n}": Entry(False, 2, "evt", Seat.ACTIVE) for n in range(2)}
"""Have a seat and need none."""


def some(count: int) -> Users:
    """Users who need a seat and have one."""
    return {f"user-{n}": Entry(True, 1, "evt", Seat.ACTIVE) for n in range(count)}


def upgrade(ident: str, state: State, now: int, **changes: Any) -> Upgrade:
    """An upgrade from 10 to 15 seats, wanted two hours ago and asked for an hour ago."""
    checkout = Checkout("prr_sample", LINK, True, 1750, {"newSeats": "5"})
    made = Upgrade(
        ident, state, new_capacity=15, from_capacity=10, needed=13, created_at=now - 2 * HOUR,
        approved_at=now - HOUR, requested_at=now - HOUR, checkout=checkout, session="cs_test_sample",
    )  # fmt: skip
    return replace(made, **changes)


def history(now: int, days: int) -> Notes:
    """What a journal holds of a growing tenant."""
    notes: Notes = []
    capacity = 6
    for hour in range(0, days * 24, 7):
        needed = 4 + hour // 50 + (3 if hour % 84 == 0 else 0)
        at = now - days * DAY + hour * HOUR
        if needed > capacity:
            capacity = needed + 2
        numbers: dict[str, Json] = {"rule": "enough", "needed": needed, "capacity": capacity}
        joined: Json = ["+", f"user-{hour}", at, f"evt_{hour}", True]
        notes.append((at, Note(NoteKind.FACTS, {"events": [joined]})))
        notes.append((at, Note(NoteKind.LOOK, {"active": needed, "capacity": capacity})))
        notes.append((at, Note(NoteKind.DECISION, numbers)))
    return notes


class Fleet:
    """Puts the sample's tenants into a store, as of ``now``."""

    def __init__(self, store: RedisStore, now: int) -> None:
        self.store = store
        self.now = now

    async def put(self, tenant: Tenant, status: Status, users: Users, full: float | None, notes: Notes) -> None:
        record = replace(tenant, reconciled_at=self.now - 40_000_000)
        for version, (at, note) in enumerate(notes):
            assert await self.store.commit(Commit(record, version, f"pass{version}", 0, {}, [note], at=at))
        assert await self.store.commit(Commit(record, len(notes), "last", 0, users, [], at=self.now))
        await self.store.finish(Wake(tenant.id, ""), self.now + HOUR, status, tenant.upgrades, full)

    def look(self, active: int, capacity: int) -> Look:
        return Look(self.now - MINUTE, Summary(active, capacity, active > capacity, active))

    def decided(self, rule: Rule, **inputs: int | str | None) -> Decision:
        return Decision(rule, self.now - MINUTE, inputs)

    async def with_room(self) -> None:
        now = self.now
        pools = (
            CreditPool("ai", "AI credits", 120, 50, 170, 1000, LimitBehavior.HARD, now + 9 * DAY, 88.0),
            CreditPool("sms", "Messages", 4000, 0, 4000, 5000, LimitBehavior.SOFT, None, 20),
        )
        then = now - 6 * DAY
        old = upgrade("upg_old", State.CONFIRMED, then, paid_at=then, confirmed_at=then, closed_at=then)
        acme = Tenant(
            "acme", look=self.look(9, 12), decision=self.decided(Rule.ENOUGH, needed=9, capacity=12), upgrades=(old,),
            growth=tuple((now // DAY - day, 9 - day // 2) for day in range(9, -1, -1)),
            credits=Credits(pools, now - HOUR, now - HOUR),
        )  # fmt: skip
        await self.put(acme, Status.OK, some(9), 75.0, history(now, 21))
        globex = Tenant(
            "globex", look=self.look(9, 10), decision=self.decided(Rule.ENOUGH, needed=9, capacity=10)
        )  # fmt: skip
        await self.put(globex, Status.NEAR_CAPACITY, some(9), 90.0, history(now, 2))

    async def over_capacity(self) -> None:
        now = self.now
        words = "Crovver said: card_declined"
        failed = upgrade(
            "upg_failed", State.FAILED, now, closing=Closing.REFUSED, closed_at=now - HOUR, reason=words
        )  # fmt: skip
        alerts = (
            Active(AlertKind.CAPACITY_EXCEEDED, Severity.CRITICAL, now - 3 * HOUR),
            Active(AlertKind.DECISION_WANTED, Severity.WARNING, now - HOUR, key="upg_failed"),
        )
        numbers: dict[str, Any] = {"needed": 11, "capacity": 10, "asks": 3, "upgrade": "upg_failed"}
        initech = Tenant(
            "initech", look=self.look(10, 10), upgrades=(failed,), alerts=alerts,
            decision=self.decided(Rule.ASKED_TOO_OFTEN, **numbers),
        )  # fmt: skip
        await self.put(initech, Status.EXCEEDED, {**some(8), **EXTRA, **GONE}, 110.0, history(now, 5))
        users = {
            "<script>alert(1)</script>": Entry(True, 1, "e", Seat.NONE),
            "rtl \u202eresu": Entry(False, 1, "e", Seat.ACTIVE),
        }
        tricky = Tenant(
            TRICKY, look=self.look(1, 1), decision=self.decided(Rule.BEYOND_CAP, needed=2, capacity=1, cap=1)
        )  # fmt: skip
        trouble = Note(NoteKind.TROUBLE, {"message": "<img src=x onerror=alert(1)>"})
        await self.put(tricky, Status.EXCEEDED, users, 200.0, [(now - HOUR, trouble)])

    async def upgrading(self) -> None:
        now = self.now
        unasked: dict[str, Any] = {"checkout": None, "session": None}
        words = "the answer did not arrive"
        for name, rule, open_one, days in (
            ("hooli", Rule.WANTS_APPROVAL,
             upgrade("upg_wait", State.AWAITING_APPROVAL, now, **unasked, requested_at=None, approved_at=None), 9),
            ("umbrella", Rule.AWAITING_PAYMENT, upgrade("upg_pay", State.AWAITING_PAYMENT, now), 9),
            ("soylent", Rule.OUTCOME_UNKNOWN, upgrade("upg_lost", State.UNKNOWN, now, **unasked, reason=words), 0),
        ):  # fmt: skip
            numbers: dict[str, Any] = {"needed": 13, "capacity": 10, "size": 15, "upgrade": open_one.id}
            decision = self.decided(rule, **numbers, reason=open_one.reason)
            tenant = Tenant(name, look=self.look(10, 10), upgrades=(open_one,), decision=decision)
            await self.put(tenant, Status.UPGRADING, {**some(10), **EXTRA}, 130.0, history(now, days))

    async def unseen(self) -> None:
        now = self.now
        away = Trouble(TroubleKind.UNREACHABLE, "503 from Crovver", now - HOUR, 7, now + MINUTE)
        await self.put(Tenant("massive", trouble=away), Status.UNREACHABLE, some(3), None, [])
        none = Trouble(TroubleKind.NO_SUBSCRIPTION, "no active subscription", now - DAY, 1, now + HOUR)
        vandelay = Tenant("vandelay", trouble=none, decision=self.decided(Rule.NO_SUBSCRIPTION, needed=2))
        await self.put(vandelay, Status.NO_SUBSCRIPTION, some(2), None, [])

    async def queues(self) -> None:
        """Payments that match nothing, an alert that is raised, one that is over, and a dead letter."""
        now, store = self.now, self.store
        for number in range(3):
            session, ident = f"cs_test_stray{number}", f"evt_stray{number}"
            await store.park(
                PaymentFact(PaymentEvent.COMPLETED, session, now, ident, "paid", False, None, ("prr_nobody",))
            )
        data = {"needed": 11, "capacity": 10}
        exceeded, near = AlertKind.CAPACITY_EXCEEDED, AlertKind.NEAR_CAPACITY
        raised = Alert(1, "initech", exceeded, Severity.CRITICAL, Phase.RAISED, now - 3 * HOUR, data=data)
        over = Alert(1, "acme", near, Severity.WARNING, Phase.RESOLVED, now - 6 * DAY, data={"used": 75})
        await store.post_alerts("acme", [over])
        await store.post_alerts("initech", [raised])
        await put_dead_letter(store)


async def put_dead_letter(store: RedisStore, ident: str = "dead_1") -> None:
    """A message that gave up, where dramatiq keeps those."""
    body = (
        '{"queue_name":"seat-events","actor_name":"user_added","args":["acme","ada"],"kwargs":{},'
        '"options":{"traceback":"Traceback\\nValueError: no such thing"},'
        f'"message_id":"{ident}","message_timestamp":1790000000000}}'
    )
    base = f"{store.keys.namespace}:seat-events.XQ"
    at = await store.now() // 1000
    await store.client.execute_command("ZADD", base, at, ident)
    await store.client.execute_command("HSET", f"{base}.msgs", ident, body)


async def seed(store: RedisStore) -> None:
    """The sample fleet, in an empty namespace."""
    fleet = Fleet(store, await store.now())
    await fleet.with_room()
    await fleet.upgrading()
    await fleet.unseen()
    await fleet.over_capacity()
    await fleet.queues()
