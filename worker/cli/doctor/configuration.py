"""The settings themselves: what is doubtful in them, and which doors they leave closed."""

from worker.cli.doctor.findings import Finding, better, good
from worker.settings import Settings

SETTINGS = "settings"
_SHORTEST_SECRET = 16
"""Characters after ``whsec_``; Stripe's have at least 32."""


def doubtful(settings: Settings) -> list[Finding]:
    """The settings' own warnings."""
    remedy = "change it, unless it is meant"
    warnings = [better(SETTINGS, warning.rstrip("."), remedy) for warning in settings.warnings()]
    return warnings or [good(SETTINGS, "every setting is understood, and none contradicts another")]


def doors(settings: Settings) -> list[Finding]:
    """What may come in: events, operators, webhooks."""
    return [
        good("events", "POST /v1/events is open to whoever holds an ingest token")
        if settings.ingest_tokens
        else better(
            "events",
            "SEATS_INGEST_TOKENS is not set: POST /v1/events answers 404, and events come through Redis alone",
            "set it to a random token if your app publishes over HTTP",
        ),
        good("operators", "the dashboard and the operator API are open to whoever holds the operator token")
        if settings.operator_token
        else better(
            "operators",
            "SEATS_OPERATOR_TOKEN is not set: the dashboard and the operator API answer 404",
            "set it to a random token of 16 characters or more",
        ),
        *_stripe_webhooks(settings),
        good("Crovver webhook", "its secret is set")
        if settings.crovver_webhook_secret
        else better(
            "Crovver webhook",
            "SEATS_CROVVER_WEBHOOK_SECRET is not set: changes made in Crovver are noticed at the next look only",
            "add an outgoing webhook in Crovver that leads to /webhooks/crovver, and set its secret",
        ),
    ]


def _stripe_webhooks(settings: Settings) -> list[Finding]:
    subject = "Stripe webhook"
    if not settings.stripe_webhook_secrets:
        return [
            better(
                subject,
                "SEATS_STRIPE_WEBHOOK_SECRETS is not set: a payment is noticed when Crovver shows its seats, and an "
                "unpaid checkout counts as open for 25 hours",
                "add an endpoint in Stripe that leads to /webhooks/stripe, and set its signing secret (whsec_…)",
            )
        ]
    values = [secret.get_secret_value() for secret in settings.stripe_webhook_secrets]
    if any(len(value.removeprefix("whsec_")) < _SHORTEST_SECRET for value in values):
        return [
            better(
                subject,
                "SEATS_STRIPE_WEBHOOK_SECRETS holds a secret that is shorter than any of Stripe's: events signed with "
                "the whole one would be refused",
                "copy the signing secret again, in one piece",
            )
        ]
    return [good(subject, "1 signing secret is set" if len(values) == 1 else f"{len(values)} signing secrets are set")]
