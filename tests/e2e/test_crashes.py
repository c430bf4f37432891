"""SIGKILL at random while events flow: nothing accepted is lost, and nobody is asked to pay twice."""

import os
import random
import threading
import time

import httpx

from tests.e2e.crovver import Crovver
from tests.e2e.deployment import Deployment, event, eventually
from worker.embedded import EmbeddedServer

SECONDS = float(os.environ.get("CRASH_TEST_SECONDS", "15"))
TENANTS = [f"team_{number}" for number in range(6)]


class Publisher(threading.Thread):
    """Publishes joins and leaves one after another, each until it is accepted, and keeps what was."""

    def __init__(self, deployment: Deployment, seed: int) -> None:
        super().__init__(daemon=True)
        self.deployment = deployment
        self.rng = random.Random(seed)
        self.seed = seed
        self.enough = threading.Event()
        self.holding: dict[str, set[str]] = {tenant: set() for tenant in TENANTS}
        self.accepted = 0

    def run(self) -> None:
        number = 0
        while not self.enough.is_set():
            number += 1
            tenant = self.rng.choice(TENANTS)
            held = self.holding[tenant]
            if held and self.rng.random() < 0.3:
                user, kind = self.rng.choice(sorted(held)), "user.removed"
            else:
                user, kind = f"p{self.seed}_{number}", "user.added"
            if self._until_accepted(event(tenant, user, kind, ident=f"evt_{self.seed}_{number:06}")):
                (held.add if kind == "user.added" else held.discard)(user)
                self.accepted += 1

    def _until_accepted(self, one: dict[str, object]) -> bool:
        one["time"] = f"2026-06-01T10:00:00.{self.accepted:06}Z"
        while True:
            try:
                if self.deployment.publish(one).status_code == 202:
                    return True
            except httpx.TransportError:
                pass
            if self.enough.wait(0.02) and self.enough.is_set():
                # Not told that it was accepted: it may be in or not, so it is sent until it is.
                self.enough.clear()
                accepted = self._until_accepted(one)
                self.enough.set()
                return accepted


def test_sigkill_of_worker_scheduler_and_valkey_at_random_loses_nothing_and_doubles_nothing(
    deployment: Deployment, crovver: Crovver, valkey: EmbeddedServer
) -> None:
    for number, tenant in enumerate(TENANTS):
        crovver.add(tenant, capacity=5 + number, taken=4)
    deployment.settings["SEATS_SETTLE_SECONDS"] = "0.1"
    deployment.start("web", "worker", "worker2", "scheduler", "scheduler2")
    publishers = [Publisher(deployment, seed) for seed in range(4)]
    for publisher in publishers:
        publisher.start()
    rng = random.Random(3)
    kills = 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        time.sleep(rng.uniform(0.2, 1.2))
        victim = rng.choice(["worker", "worker2", "scheduler", "scheduler2", "valkey"])
        if victim == "valkey":
            valkey.kill()
            time.sleep(rng.uniform(0, 1.0))
            valkey.restart()
        else:
            deployment.kill(victim)
            deployment.start(victim)
        kills += 1
    last_restart = time.monotonic()
    for publisher in publishers:
        publisher.enough.set()
    for publisher in publishers:
        publisher.join(30)
        assert not publisher.is_alive()
    accepted = sum(publisher.accepted for publisher in publishers)

    def behind() -> list[str]:
        return [
            tenant
            for tenant in TENANTS
            if deployment.tenant(tenant).get("seatsNeeded")
            != 4 + sum(len(publisher.holding[tenant]) for publisher in publishers)
        ]

    eventually(lambda: not behind(), 60 - (time.monotonic() - last_restart), f"every event; behind: {behind()}")
    took = time.monotonic() - last_restart
    doubled = {tenant: len(crovver.checkouts_of(tenant)) for tenant in TENANTS if len(crovver.checkouts_of(tenant)) > 1}
    print(
        f"\n{kills} kills: accepted / lost / doubled = {accepted} / 0 / {len(doubled)}, whole again after {took:.1f} s"
    )
    assert not doubled, "a tenant has two checkouts"
    assert accepted > 50
    assert kills > 5
