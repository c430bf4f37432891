"""The settings as the core's own values."""

from datetime import timedelta

from worker.core.policy import Mode, Policy, Powers
from worker.settings.model import Settings


def micros(duration: timedelta) -> int:
    """A duration in microseconds."""
    return duration // timedelta(microseconds=1)


def policy_of(settings: Settings) -> Policy:
    """What the operator wants bought, and how eagerly."""
    return Policy(
        mode=Mode(settings.upgrade_mode),
        block=settings.seat_block,
        headroom=settings.headroom_seats,
        cap=settings.max_capacity,
        warn_at=settings.warn_at,
        ambiguous_hold=micros(settings.ambiguous_hold),
        sweep_every=micros(settings.sweep_every),
        repair=settings.repair == "allocate",
    )


def powers_of(settings: Settings) -> Powers:
    """What this deployment can learn and do about payments."""
    return Powers(
        stripe_webhooks=bool(settings.stripe_webhook_secrets),
        stripe_key=settings.stripe_api_key is not None,
    )
