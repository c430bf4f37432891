"""The settings as the core's own values."""

from datetime import timedelta

from worker.core.policy import Mode, Policy, Powers
from worker.core.retention import Retention
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
        retention=Retention(
            journal=micros(settings.journal_for),
            tombstones=micros(settings.tombstones_for) if settings.tombstones_for else None,
            personal=micros(settings.personal_data_for),
        ),
        credits_warn_at=settings.credits_warn_at,
        credits_every=micros(settings.credits_every) if _reads_credits(settings) else None,
        paid_deadline=micros(settings.paid_deadline),
        drift_after=micros(settings.drift_after),
    )


def _reads_credits(settings: Settings) -> bool:
    """Whether credit balances are wanted, and can be read: Crovver tells them to an API key, not to a service key."""
    return bool(settings.credits_every) and settings.crovver_service_key is None


def powers_of(settings: Settings) -> Powers:
    """What this deployment can learn and do about payments."""
    return Powers(
        stripe_webhooks=bool(settings.stripe_webhook_secrets),
        stripe_key=settings.stripe_api_key is not None,
    )
