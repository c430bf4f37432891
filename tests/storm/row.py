"""A row of the storm: tenants of its own, publishers and a payer who keep at it, and the reckoning at the end."""

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import httpx

from tests.e2e.crovver import Checkout
from tests.e2e.deployment import Deployment, event, eventually, signature, stripe_event
from tests.storm.harness import Storm

SEATS_TAKEN = 4
JOURNAL_PAGE = 200
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a row comes to. ``lost`` are accepted facts that the tenants' state does not show."""

    accepted: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]


class Publisher(threading.Thread):
    """Publishes joins and leaves of users of its own, each until it is accepted, and keeps what was."""

    def __init__(self, deployment: Deployment, tenants: Sequence[str], name: str, pause: float) -> None:
        super().__init__(daemon=True, name=name)
        self.deployment = deployment
        self.tenants = tenants
        self.pause = pause
        self.rng = random.Random(name)
        self.enough = threading.Event()
        self.holding: dict[str, set[str]] = {tenant: set() for tenant in tenants}
        self.accepted: list[dict[str, object]] = []

    def run(self) -> None:
        while not self.enough.wait(self.pause):
            number = len(self.accepted)
            tenant = self.rng.choice(self.tenants)
            held = self.holding[tenant]
            if held and self.rng.random() < 0.3:
                user, kind = self.rng.choice(sorted(held)), "user.removed"
            else:
                user, kind = f"{self.name}_{number}", "user.added"
            at = f"2026-06-01T10:00:{number // 10**6:02}.{number % 10**6:06}Z"
            one = event(tenant, user, kind, ident=f"evt_{self.name}_{number:06}", time=at)
            # Once it was sent it may be in, whatever came back: it is sent again until that is known.
            insist(partial(self.deployment.publish, one), 202, "an event to be accepted")
            (held.add if kind == "user.added" else held.discard)(user)
            self.accepted.append(one)


class Payer(threading.Thread):
    """Pays every open checkout after a while: the capacity is granted and a webhook sent until it is answered 200."""

    def __init__(self, row: "Row") -> None:
        super().__init__(daemon=True, name=f"{row.name} payer")
        self.row = row
        self.rng = random.Random(row.name)
        self.enough = threading.Event()
        self.resting = threading.Event()
        self.after = 0.2
        self.may_pay: Callable[[Checkout], bool] = lambda checkout: True

    def run(self) -> None:
        row = self.row
        while not self.enough.wait(0.05):
            for checkout in row.storm.crovver.open_of(row.tenants):
                ripe = time.monotonic() - checkout.at > self.after
                if ripe and not self.resting.is_set() and self.may_pay(checkout):
                    row.pay(checkout, webhook_first=self.rng.random() < 0.2)


class Row:
    """One fault, and what it does to some tenants. Ends with ``weathered``.

    ``pause`` is how long each publisher waits between two events, in seconds.
    """

    def __init__(
        self, storm: Storm, name: str, *, tenants: int = 4, publishers: int = 2, pause: float = 0.15, capacity: int = 5
    ) -> None:
        self.storm = storm
        self.name = f"{name}{next(_numbers)}"
        self.tenants = [f"{self.name}_{number}" for number in range(tenants)]
        for tenant in self.tenants:
            storm.crovver.add(tenant, capacity, SEATS_TAKEN)
        self.publishers = [
            Publisher(storm.deployment, self.tenants, f"{self.name}_p{number}", pause) for number in range(publishers)
        ]
        self.payer = Payer(self)
        self.own: dict[str, set[str]] = {tenant: set() for tenant in self.tenants}
        self.own_accepted = 0
        self.reckoning: Reckoning | None = None

    def begin(self) -> None:
        """Publishers and payer set to work."""
        for thread in (*self.publishers, self.payer):
            thread.start()

    def end(self) -> None:
        """Everybody goes home, however the row ended."""
        threads: list[Publisher | Payer] = [*self.publishers, self.payer]
        for thread in threads:
            thread.enough.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join(30)

    def join(self, tenant: str, *users: str) -> None:
        """Publish that users joined a tenant of this row, until it is accepted; they count in the reckoning."""
        events = [event(tenant, user) for user in users]
        insist(lambda: self.storm.deployment.publish(*events), 202, "events to be accepted")
        self.own[tenant].update(users)
        self.own_accepted += len(users)

    def publish_again(self) -> None:
        """Publish everything that the publishers had accepted once more, as a host app does after a loss of state."""
        events = [one for publisher in self.publishers for one in publisher.accepted]
        for start in range(0, len(events), 500):
            batch = events[start : start + 500]
            insist(partial(self.storm.deployment.publish, *batch), 202, "events to be accepted again")

    def pay(self, checkout: Checkout, *, webhook_first: bool = False) -> None:
        """Pay a checkout of this row: grant its capacity, and tell of it until that is answered 200."""
        if not webhook_first:
            self.storm.crovver.grant(checkout)
        self.tell(checkout)
        self.storm.crovver.grant(checkout)

    def tell(self, checkout: Checkout, kind: str = "completed", *, status: str = "paid") -> None:
        """Send the signed Stripe event of a checkout until it is answered 200, as Stripe does."""
        body = stripe_event(checkout, kind, status=status, tenantId=checkout.tenant)
        deployment = self.storm.deployment
        insist(lambda: deployment.post_webhook(body, signature(body)), 200, f"the webhook of {checkout.proration}")

    def accepted(self) -> int:
        """Facts accepted so far."""
        return self.own_accepted + sum(len(publisher.accepted) for publisher in self.publishers)

    def accept(self, more: int, seconds: float = 60) -> None:
        """Wait until so many more facts were accepted."""
        before = self.accepted()
        eventually(lambda: self.accepted() >= before + more, seconds, f"{more} more accepted facts")

    def upgrades(self, state: str) -> list[str]:
        """The tenants of this row whose upgrade is in a state."""
        return [tenant for tenant in self.tenants if self.storm.deployment.state(tenant) == state]

    def path(self, tenant: str) -> dict[str, list[str]]:
        """Of each upgrade of a tenant, the states it has been in, in their order, as the journal tells."""
        if not self.storm.deployment.tenant(tenant):
            return {}
        notes: list[dict[str, str]] = []
        cursor: str | None = ""
        while cursor is not None:
            where = f"/v1/tenants/{tenant}/journal?limit={JOURNAL_PAGE}" + (cursor and f"&cursor={cursor}")
            page = self.storm.deployment.get(where)
            notes += page["entries"]
            cursor = page["next"]
        found: dict[str, list[str]] = {}
        for note in reversed(notes):
            if note["kind"] == "upgrade":
                found.setdefault(note["id"], []).append(note["after"])
        return found

    def behind(self, tenants: Collection[str] = ()) -> dict[str, str]:
        """What is not as it should be in the end, of all tenants or of some: empty once everything has converged."""
        found = {}
        for tenant in tenants or self.tenants:
            try:
                trouble = self._trouble(tenant)
            except (httpx.TransportError, AssertionError) as error:
                trouble = f"no answer: {error!r}"
            if trouble:
                found[tenant] = trouble
        return found

    def settle(self, seconds: float = 60) -> None:
        """The faults are over: wait until every fact shows, every need is met, and no upgrade is under way."""
        for publisher in self.publishers:
            publisher.enough.set()
        for publisher in self.publishers:
            if publisher.ident is not None:
                publisher.join(60)
                assert not publisher.is_alive(), f"{publisher.name} waits for the door"
        deadline = time.monotonic() + seconds
        while (behind := self.behind()) and time.monotonic() < deadline:
            time.sleep(0.3)
        self.payer.enough.set()
        assert not behind, f"not within {seconds} s: {json.dumps(behind, indent=1)}; {self.reckon()}"

    def reckon(self) -> Reckoning:
        """The totals as they stand."""
        lost = [
            f"{tenant}: {user}"
            for tenant in self.tenants
            for user in sorted(self._missing(self.storm.deployment.tenant(tenant)) ^ self._expected(tenant))
        ]
        return Reckoning(self.accepted(), tuple(lost), tuple(self.storm.crovver.doubled(self.tenants)))

    def weathered(self, seconds: float = 60) -> Reckoning:
        """The end of every row: everything converges, nothing was lost, asked twice, or went back to where it was."""
        try:
            self.settle(seconds)
        finally:
            self.reckoning = self.reckon()
        assert not self.reckoning.lost, self.reckoning
        assert not self.reckoning.doubled, self.reckoning
        back = [path for tenant in self.tenants for path in self.path(tenant).values() if not forward(path)]
        assert not back, f"upgrades went back: {back}"
        return self.reckoning

    def _expected(self, tenant: str) -> set[str]:
        """The users of this row's making who need a seat there; Crovver never lists them, so they show as missing."""
        return self.own[tenant].union(*(publisher.holding[tenant] for publisher in self.publishers))

    def _missing(self, view: dict[str, object]) -> set[str]:
        drift = view.get("drift")
        return set(drift["missing"]) if isinstance(drift, dict) else set()

    def _trouble(self, tenant: str) -> str:
        view, expected = self.storm.deployment.tenant(tenant), self._expected(tenant)
        if not view:
            return "not known" if expected else ""
        upgrade, needed = view["upgrade"], SEATS_TAKEN + len(expected)
        if view["seatsNeeded"] != needed or self._missing(view) != expected:
            return f"{view['seatsNeeded']} seats needed, not {needed}"
        if view["drift"]["orphaned"]:
            return f"orphaned: {view['drift']['orphaned']}"
        if view["capacityUnits"] is None or view["capacityUnits"] < needed:
            return f"{view['capacityUnits']} seats for {needed}, {view['status']}, {view['decision']}"
        if upgrade is not None and upgrade["state"] not in ("confirmed", "cancelled", "failed", "expired"):
            return f"an upgrade is {upgrade['state']}"
        return "" if view["status"] in ("ok", "near_capacity") else str(view["status"])


def forward(path: Sequence[str]) -> bool:
    """Whether an upgrade took no state twice, and once paid, only became confirmed."""
    paid = [at for at, state in enumerate(path) if state in ("paid", "confirmed")]
    after = path[paid[0] :] if paid else ["confirmed"]
    return len(set(path)) == len(path) and list(after) in (["paid", "confirmed"], ["confirmed"], ["paid"])


def insist(send: Callable[[], httpx.Response], status: int, what: str, seconds: float = 90) -> None:
    """Send until it is answered with a status; while nobody is there, or asks for patience, and for nothing else."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = send()
            if answer.status_code == status:
                return
            assert answer.status_code == 503, f"{answer.status_code}: {answer.text}"
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
