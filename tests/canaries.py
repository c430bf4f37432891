"""Canaries: every secret, payable link and address of a person that tests work with, and where they may turn up.

Tests take their secrets from here. ``tests.watch`` looks for them in whatever leaves a process, all through the run,
and fails the run where one has got out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

INGEST: Final = "canary-ingest-token-0123456789"
OTHER_INGEST: Final = "canary-other-ingest-token-0123456789"
OPERATOR: Final = "canary-operator-token-0123456789"
STRIPE_SECRET: Final = "whsec_canary_secret_0123456789"
STRIPE_KEY: Final = "rk_test_canary_key_of_stripe_0123456789"
CROVVER_KEY: Final = "sk_test_canary_key_of_crovver_0123456789"
CROVVER_SECRET: Final = "canary-crovver-webhook-secret-0123456789"
SERVICE_KEY: Final = "canary-service-key-of-crovver-0123456789"
REDIS_PASSWORD: Final = "canary-redis-password-0123456789"
SENTRY_KEY: Final = "canary0sentry0key0123456789"
OTEL_HEADER: Final = "canary-otel-header-0123456789"
ALERT_TOKEN: Final = "canary-token-of-a-channel"
LINK_MARK: Final = "canarylink"
"""Stands in the session id of a checkout, and so in every link to it."""

EMAIL: Final = "ada@example.com"


class Kind(StrEnum):
    """What a canary stands for."""

    SECRET = "secret"
    LINK = "payable link"
    PERSON = "personal data"


@dataclass(frozen=True, slots=True)
class Canary:
    """One thing that must not get out. What is found is told by its name."""

    name: str
    text: str
    kind: Kind = Kind.SECRET


CANARIES: Final = (
    Canary("the ingest token", INGEST),
    Canary("the other ingest token", OTHER_INGEST),
    Canary("the operator token", OPERATOR),
    Canary("Stripe's webhook secret", STRIPE_SECRET),
    Canary("Stripe's API key", STRIPE_KEY),
    Canary("Crovver's API key", CROVVER_KEY),
    Canary("Crovver's webhook secret", CROVVER_SECRET),
    Canary("Crovver's service key", SERVICE_KEY),
    Canary("Redis's password", REDIS_PASSWORD),
    Canary("Sentry's key", SENTRY_KEY),
    Canary("the collector's header", OTEL_HEADER),
    Canary("an alert channel's token", ALERT_TOKEN),
    Canary("the session of a payable link", LINK_MARK, Kind.LINK),
    Canary("a payable link of Stripe's", "checkout.stripe.com/pay", Kind.LINK),
    Canary("a payable link of the sites in tests", "pay.test/c/pay", Kind.LINK),
    Canary("a payable link of the sample fleet", "checkout.stripe.test/c/pay", Kind.LINK),
    Canary("a user's e-mail address", EMAIL, Kind.PERSON),
)


class Where(StrEnum):
    """What is looked through. What is not: pages and answers for a signed-in operator, and the channels of
    SEATS_ALERT_LINK_URLS, which are there to show links; and what the host app, Crovver and Stripe are sent."""

    LOG = "log"
    COMMAND = "output of a command"
    METRICS = "metrics"
    QUEUE = "queue message or dead letter"
    JOURNAL = "journal"
    STATE = "state outside the records"
    RECORD = "record of the state"
    STRANGER = "answer to a stranger"
    REFUSAL = "error answer"
    ALERT = "alert"
    TRACE = "trace"
    SENTRY = "report to Sentry"
    CAPTURED = "output of a test"


ALLOWED: Final[Mapping[tuple[Where, Kind | str], str]] = {
    (Where.RECORD, Kind.LINK): "the state is where the link is kept for signed-in operators and chosen channels, and "
    "which session is whose",
    (Where.RECORD, Kind.PERSON): "the roster is where a user's address is kept until it is forgotten",
    (Where.SENTRY, SENTRY_KEY): "it is what Sentry's client signs in to Sentry with",
    (Where.QUEUE, Kind.PERSON): "a seat event carries what the host app says; `seats dead-letters` masks it",
}
"""What may be where, a kind or a single canary, and why. Nothing else may be anywhere."""
