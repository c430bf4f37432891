"""The play: each tenant's story, step by step, through the same doors that everybody else uses."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from worker.cli.demo.narrator import Narrator
from worker.cli.demo.scenario import Actor, Do, Step
from worker.cli.demo.stage import Stage
from worker.cli.events_file import format_micros
from worker.cli.loopback import Unanswered, call, member


class StoryBroken(Exception):
    """Something did not happen as the scenario says. The text is one line."""


class Play:
    """Plays tenants' stories on a stage.

    Host app: ``POST /v1/events``. Payer: the sandbox's checkouts. Audience: the operator API.
    """

    def __init__(self, stage: Stage, narrator: Narrator, patience: float, pause: float = 0) -> None:
        self._stage = stage
        self._narrator = narrator
        self._patience = patience
        self._pause = pause

    def play(self, actor: Actor) -> None:
        """One tenant's whole story.

        Raises:
            StoryBroken: it took another turn than the scenario has it.
        """
        self._narrator.scene(actor.id, actor.story)
        body = {"provider": actor.provider, "capacity": actor.capacity, "taken": actor.taken}
        self._sandbox("PUT", f"/sandbox/tenants/{actor.id}", body)
        tenant = _Tenant(self, actor)
        for step in actor.steps:
            tenant.take(step)

    def look_again(self, actors: list[Actor]) -> None:
        """Have everybody reconciled once more: where something would be asked for twice, now it would be.

        Raises:
            StoryBroken: it does not get done, or more was asked for.
        """
        self._narrator.scene("everybody", "is looked at once more")
        calls = sum(self.checkout_calls(actor.id) for actor in actors)
        before = {actor.id: self.tenant(actor.id).get("lastReconciledAt") for actor in actors}
        for actor in actors:
            self._web("POST", f"/v1/tenants/{actor.id}/reconcile", token=self._stage.operator_token)

        def done() -> bool:
            return all(self.tenant(actor.id).get("lastReconciledAt") != before[actor.id] for actor in actors)

        self.wait("one more look at everybody", done)
        more = sum(self.checkout_calls(actor.id) for actor in actors) - calls
        if more:
            raise StoryBroken(f"{more} more checkout calls were made when everybody was looked at once more")
        self._narrator.reached(f"nothing more is asked for: {calls} checkout calls in all")

    def tenant(self, tenant: str) -> dict[str, Any]:
        """A tenant as the operator API shows it; empty while it is unknown."""
        answer = call("GET", f"{self._stage.web}/v1/tenants/{tenant}", token=self._stage.operator_token)
        return answer.body if answer.status == 200 else {}

    def checkout_calls(self, tenant: str) -> int:
        """How often the sandbox has been asked for a checkout."""
        return self.calls(tenant, "proration-checkout")

    def calls(self, tenant: str, endpoint: str) -> int:
        """How often one of Crovver's endpoints was called for a tenant, by the sandbox's own count."""
        found = self._sandbox("GET", f"/sandbox/calls?endpoint={endpoint}&tenant={tenant}&limit=1")
        return int(member(found, "total") or 0)

    def sandbox_tenant(self, tenant: str) -> dict[str, Any]:
        """A tenant as the sandbox itself has it."""
        body = self._sandbox("GET", f"/sandbox/tenants/{tenant}")
        return body if isinstance(body, dict) else {}

    def publish(self, events: list[dict[str, Any]]) -> None:
        """Send events to the door, as a host app does."""
        self._web("POST", "/v1/events", events, token=self._stage.ingest_token)

    def newest_checkout(self, tenant: str) -> dict[str, Any]:
        found = member(self._sandbox("GET", f"/sandbox/checkouts?tenant={tenant}&state=open&limit=1"), "checkouts")
        if not found:
            raise StoryBroken("there is no open checkout to pay")
        first: dict[str, Any] = found[0]
        return first

    def pay(self, path: str) -> None:
        """Do something with a checkout, as its payer does."""
        self._sandbox("POST", f"/sandbox/{path}")

    def lose_next_answer(self, tenant: str) -> None:
        self._sandbox("POST", "/sandbox/faults", {"endpoint": "proration-checkout", "tenant": tenant, "kind": "lost"})

    def wait(self, what: str, truth: Callable[[], bool]) -> None:
        """Wait for something, within the scenario's patience.

        Raises:
            StoryBroken: it did not come.
        """
        with self._narrator.waiting(f"waiting for {what} …"):
            if not self._stage.patience.until(lambda: _answered(truth), self._patience):
                raise StoryBroken(f"{what} did not come within {self._patience:g} s")

    def tell(self, text: str, *, reached: bool) -> None:
        (self._narrator.reached if reached else self._narrator.happens)(text)
        if self._pause:
            self._stage.patience.until(lambda: False, self._pause)

    def _sandbox(self, method: str, path: str, body: object = None) -> object:
        return self._checked(method, self._stage.sandbox + path, body, None)

    def _web(self, method: str, path: str, body: object = None, *, token: str) -> object:
        return self._checked(method, self._stage.web + path, body, token)

    def _checked(self, method: str, url: str, body: object, token: str | None) -> object:
        self._stage.patience.check()
        try:
            answer = call(method, url, body, token=token)
        except Unanswered as error:
            raise StoryBroken(f"{method} {url} was not answered: {error}") from error
        if answer.status >= 300:
            said = member(answer.body, "error") or member(answer.body, "detail") or answer.body
            raise StoryBroken(f"{method} {url} was answered {answer.status}: {said}")
        return answer.body


class _Tenant:
    """One tenant on its way through its story."""

    def __init__(self, play: Play, actor: Actor) -> None:
        self._play = play
        self._actor = actor
        self._needed = actor.taken
        self._people = 0
        self._last_events: list[dict[str, Any]] = []
        self._upgrades_over: set[str] = set()
        self._looks_before = 0

    def take(self, step: Step) -> None:
        """One step: do it, then tell of it."""
        actor = self._actor
        match step.do:
            case Do.JOIN:
                assert step.users is not None
                self._looks_before = self._play.calls(actor.id, "allocations")
                people = [f"{actor.id}-{self._people + number}" for number in range(1, step.users + 1)]
                self._people += step.users
                self._needed += step.users
                self._send("user.added", people)
            case Do.LEAVE:
                assert step.users is not None
                people = [f"{actor.id}-{self._people - number}" for number in range(step.users)]
                self._needed -= step.users
                self._send("user.removed", people)
            case Do.REPEAT:
                self._play.publish(self._last_events)
            case Do.LOSE_ANSWER:
                self._play.lose_next_answer(actor.id)
            case Do.PAY:
                self._play.pay(f"checkouts/{self._play.newest_checkout(actor.id)['session']}/pay")
            case Do.EXPIRE:
                self._upgrades_over.add(str((self._play.tenant(actor.id).get("upgrade") or {}).get("id")))
                self._play.pay(f"checkouts/{self._play.newest_checkout(actor.id)['session']}/expire")
            case Do.PAY_INVOICE:
                self._play.pay(f"invoices/{self._play.newest_checkout(actor.id)['id']}/pay")
            case Do.WAIT:
                assert step.until is not None
                self._wait_for(step.until)
            case Do.SETTLE:
                self._play.wait(f"{actor.id} to be reconciled", self._settled)
        self._play.tell(self._filled(step.say), reached=step.do in (Do.WAIT, Do.SETTLE))

    def _send(self, kind: str, people: list[str]) -> None:
        self._last_events = [
            {
                "specversion": "1.0",
                "id": f"evt_{uuid.uuid4().hex}",
                "source": "seats demo",
                "type": kind,
                "time": format_micros(time.time_ns() // 1000),
                "data": {"tenantId": self._actor.id, "userId": person, "email": f"{person}@example.com"},
            }
            for person in people
        ]
        self._play.publish(self._last_events)

    def _wait_for(self, state: str) -> None:
        def reached() -> bool:
            upgrade = self._play.tenant(self._actor.id).get("upgrade") or {}
            return upgrade.get("state") == state and upgrade.get("id") not in self._upgrades_over

        self._play.wait(f"{self._actor.id}: {state.replace('_', ' ')}", reached)

    def _settled(self) -> bool:
        tenant = self._play.tenant(self._actor.id)
        return tenant.get("seatsNeeded") == self._needed and tenant.get("capacityUnits") is not None

    def _filled(self, say: str) -> str:
        tenant = self._play.tenant(self._actor.id)
        upgrade = tenant.get("upgrade") or {}
        looks = self._play.calls(self._actor.id, "allocations") - self._looks_before
        return say.format(
            needed=self._needed,
            capacity=self._play.sandbox_tenant(self._actor.id).get("capacity", "?"),
            size=upgrade.get("newCapacity", "?"),
            users=self._people,
            looks={1: "once", 2: "twice"}.get(looks, f"{looks} times"),
        )


def _answered(truth: Callable[[], bool]) -> bool:
    """False as well where nobody answers just now."""
    try:
        return truth()
    except Unanswered:
        return False
