"""The whole examination: all checks at once, none of which can hold up or stop another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from worker.cli.doctor.channels import examine_channels
from worker.cli.doctor.configuration import SETTINGS, doors, doubtful
from worker.cli.doctor.crovver import examine_crovver
from worker.cli.doctor.findings import Finding, fix
from worker.cli.doctor.servers import examine_server
from worker.cli.doctor.stripe_key import examine_stripe
from worker.cli.doctor.work import examine_work
from worker.logs import redacted
from worker.settings import ConfigError, Settings
from worker.store.replicas import replicas_wanted

CHECK_SECONDS = 9.0


@dataclass(frozen=True, slots=True)
class Check:
    """One subject, and what to look at where its check itself comes to nothing."""

    subject: str
    look_at: str
    run: Callable[[], Awaitable[list[Finding]]]


def checks(settings: Settings, *, send_test: bool) -> list[Check]:
    """Every check that these settings give reason for, in the order in which their findings are told."""
    found: list[Check] = []
    try:
        broker, state = settings.require_redis(), settings.require_state()
    except ConfigError as error:
        missing = fix("redis", f"{error.setting} {error.problem}", error.remedy)
        found.append(Check("redis", error.setting, _known([missing])))
    else:
        replicas: int | None = replicas_wanted(state, settings.min_replicas)
        named = [("redis", "SEATS_REDIS_URL", broker, replicas)]
        if state != broker:
            named = [("broker", "SEATS_REDIS_URL", broker, None), ("state", "SEATS_STATE_URL", state, replicas)]
        found += [_server(name, setting, url, settings.namespace, wanted) for name, setting, url, wanted in named]
        found.append(Check("backlog", "SEATS_REDIS_URL", lambda: examine_work(settings)))
    return [
        Check(SETTINGS, "the settings", _known(doubtful(settings))),
        *found,
        Check("Crovver", "SEATS_CROVVER_BASE_URL", lambda: examine_crovver(settings)),
        Check("Stripe key", "SEATS_STRIPE_BASE_URL", lambda: examine_stripe(settings)),
        Check("doors", "the settings", _known(doors(settings))),
        Check("alerts", "SEATS_ALERT_URLS", lambda: examine_channels(settings, send_test=send_test)),
    ]


async def examine(todo: Sequence[Check]) -> list[Finding]:
    """Run the checks side by side; their findings, in the checks' order, without anything that looks like a secret."""
    results = await asyncio.gather(*(_bounded(check) for check in todo))
    return [replace(one, seen=redacted(one.seen)) for findings in results for one in findings]


async def _bounded(check: Check) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check.run()
    except TimeoutError:
        seen = f"looking at it took longer than {CHECK_SECONDS:g} s"
        return [fix(check.subject, seen, f"check {check.look_at}, and the network in between")]
    except Exception as error:
        seen = f"looking at it failed in an unforeseen way ({type(error).__name__}: {error})"
        return [fix(check.subject, seen, f"check {check.look_at}; if that is right, report this line as a bug")]


def _server(name: str, setting: str, url: str, namespace: str, replicas: int | None) -> Check:
    return Check(name, setting, lambda: examine_server(name, setting, url, namespace, replicas))


def _known(findings: list[Finding]) -> Callable[[], Awaitable[list[Finding]]]:
    async def run() -> list[Finding]:
        return findings

    return run
