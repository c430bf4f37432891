"""The store of the simulation: the in-memory one, behind a connection of each process that fails."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, cast

from tests.simulation.kernel import Crash, Kernel, Process, Task, pause
from tests.simulation.weather import Fault, Weather
from worker.core.facts import PaymentFact
from worker.core.times import DAY, SECOND
from worker.store.errors import StoreUnavailable
from worker.store.interface import Commit, Ending, Loaded, Wake
from worker.store.memory import MemoryStore, _Kept

PATIENCE = 4 * SECOND
"""How long a caller waits for a reply."""

OPERATIONS = (
    "append", "mark_due", "claim_due", "renew", "finish", "resume", "load", "entries", "whole_roster", "standing",
    "commit", "trim_journal", "known_tenants", "upgrades", "owner", "link_checkout", "linked_tenants", "park",
    "parked_for", "parked", "unpark", "take_rate", "post_alerts",
)  # fmt: skip
"""Every operation that the engine, the scheduler and the doors ask for."""


class Bell:
    """Wakes whoever sleeps until there is something to do; once rung it is heard by the next who listens."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.sleepers: set[Task] = set()
        self.rung = False

    def set(self) -> None:
        self.rung = True
        for task in self.sleepers:
            self.kernel.wake(task)
        self.sleepers.clear()

    async def wait(self, at_most: int) -> None:
        task = self.kernel.current
        assert task is not None
        if not self.rung:
            self.sleepers.add(task)
            await pause(at_most)
            self.sleepers.discard(task)
        self.rung = False


class Server(MemoryStore):
    """The store itself. It never fails; ``on_commit`` sees every write of a tenant's record, as it happens."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(lambda: kernel.now + self.ahead, journal_length=100_000)
        self.ahead = 0
        self.down_until = 0
        self.frozen_until = 0
        self.bell = Bell(kernel)
        self._bell = self.bell  # type: ignore[assignment]
        self.letters = Bell(kernel)
        self._kinds = [name for name, value in vars(self).items() if isinstance(value, (dict, set, list, int))]
        self._kinds = [name for name in self._kinds if name.startswith("_") and name not in ("_replica", "_kinds")]
        self._sync()
        self.on_fail_over: Callable[[], None] = lambda: None
        self.on_commit: Callable[[Commit, bool], None] = lambda commit, saved: None

    def fail_over(self) -> None:
        """A replica takes over that has every write somebody was to rely on, and none after the last of these."""
        for name, value in self._replica.items():
            setattr(self, name, _copied(value))
        self.on_fail_over()
        self.bell.set()

    def _sync(self) -> None:
        self._replica = {name: _copied(value) for name, value in vars(self).items() if name in self._kinds}

    async def append(self, *args: Any, **options: Any) -> None:
        await super().append(*args, **options)
        self._sync()

    async def park(self, payment: PaymentFact) -> bool:
        self.letters.set()
        return await super().park(payment)

    async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
        version = self._tenant(commit.tenant.id).version
        saved = await super().commit(commit, ending)
        if commit.durable:
            self._sync()
        self.on_commit(commit, saved and self._tenant(commit.tenant.id).version != version)
        return saved


def _copied(value: Any) -> Any:
    """A copy that later writes do not reach; what is kept is never changed, but for tenants' lists and rosters."""
    if not isinstance(value, (dict, set, list)):
        return value
    if not isinstance(value, dict):
        return value.copy()
    return {name: _copied_part(part) for name, part in value.items()}


def _copied_part(part: Any) -> Any:
    if isinstance(part, _Kept):
        return replace(part, inbox=[*part.inbox], roster=dict(part.roster), journal=[*part.journal])
    return part.copy() if isinstance(part, (dict, set, list)) else part


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it was to end at once")


class Connection:
    """One process's way to the store: every operation of it may be refused, lose its reply, come late or be the last
    thing the process does. On a cluster what one server does in one step takes several."""

    def __init__(
        self, server: Server, process: Process, kernel: Kernel, weather: Weather, net: Process, *, clustered: bool
    ) -> None:
        self.server, self.process, self.kernel, self.weather, self.net = server, process, kernel, weather, net
        self.clustered = clustered

    async def ask(self, operation: str, *args: Any, **options: Any) -> Any:
        kernel, weather, server = self.kernel, self.weather, self.server
        task = kernel.current
        assert task is not None
        struck = weather.strikes(task, operation)
        if struck is Fault.CRASH_BEFORE:
            raise Crash
        if struck is Fault.STALL_BEFORE:
            weather.stall(task)
        await pause(weather.slow(task))
        if kernel.now < server.down_until:
            await pause(weather.slow(task))
            raise StoreUnavailable("it is down")
        if kernel.now < server.frozen_until and kernel.now + PATIENCE < server.frozen_until:
            struck = Fault.LATE
        elif kernel.now < server.frozen_until:
            await pause(server.frozen_until - kernel.now)
        if struck is Fault.REFUSED:
            raise StoreUnavailable("it takes no writes just now")
        if struck is Fault.LATE:
            wait = max(PATIENCE + weather.late_by(task), server.frozen_until - kernel.now)
            kernel.spawn(self.net, f"{task.name} late {task.steps}", self._late(operation, args, options), wait)
            await pause(PATIENCE)
            raise StoreUnavailable("no answer in time")
        if operation == "commit" and args[0].durable:  # from here on it may be saved, whatever is heard of that
            upgrade = args[0].tenant.open_upgrade
            task.about["claim"] = (upgrade.id, upgrade.claim) if upgrade is not None else ("", "")
        answer = at_once(getattr(server, operation)(*args, **options))
        await pause(weather.slow(task))
        if struck is Fault.CRASH_AFTER:
            raise Crash
        if struck is Fault.LOST:
            raise StoreUnavailable("the connection was lost")
        if struck is Fault.STALL_AFTER:
            weather.stall(task)
            await pause(0)
        return answer

    async def _late(self, operation: str, args: Any, options: Any) -> None:
        if self.kernel.now >= self.server.down_until:
            at_once(getattr(self.server, operation)(*args, **options))
        await pause(0)

    async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
        if ending is None or not self.clustered:
            return bool(await self.ask("commit", commit, ending))
        saved = bool(await self.ask("commit", commit))
        if saved:
            listed = (ending.wake, ending.look_at, ending.status, ending.upgrades, ending.fullness)
            await self.ask("finish", *listed, saved_by=commit.pass_id)
        return saved

    async def resume(self, wake: Wake, lease: int) -> Loaded | None:
        if not self.clustered:
            return cast(Loaded | None, await self.ask("resume", wake, lease))
        if wake.token and not await self.ask("renew", wake, lease):
            return None
        return cast(Loaded, await self.ask("load", wake.tenant))

    async def wait_bell(self, seconds: float) -> None:
        await self.server.bell.wait(min(round(seconds * SECOND), DAY))


def _asking(operation: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def asked(self: Connection, *args: Any, **options: Any) -> Any:
        return await self.ask(operation, *args, **options)

    asked.__name__ = operation
    return asked


for _operation in set(OPERATIONS) - vars(Connection).keys():
    setattr(Connection, _operation, _asking(_operation))
