"""What a sandbox is started with."""

from dataclasses import dataclass, field

DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class WebhookTargets:
    """Where signed events go. A URL of None means that events of that kind are logged and not sent.

    Raises:
        ValueError: a URL without a secret to sign with.
    """

    stripe_url: str | None = None
    stripe_secret: str | None = field(default=None, repr=False)
    crovver_url: str | None = None
    crovver_secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.stripe_url and not self.stripe_secret:
            raise ValueError("a Stripe webhook URL needs a secret (whsec_…) to sign its events with")
        if self.crovver_url and not self.crovver_secret:
            raise ValueError("a Crovver webhook URL needs a secret to sign its events with")


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Settings of one sandbox; the defaults make one that works by itself.

    Attributes:
        api_keys: the secret keys that are accepted; empty accepts every ``sk_test_…``.
        service_key: accepted as ``x-service-key``, with ``org_id`` where a call needs ``?orgId=``.
        webhook_url: where Stripe's events go, signed with ``webhook_secret`` (``whsec_…``).
        crovver_webhook_url: where Crovver's own webhooks go, signed with ``crovver_webhook_secret``.
        public_base_url: what checkout URLs start with; None takes the host that the request was sent to.
        checkout_lifetime: seconds until an unpaid checkout session expires.
        success_url: the organisation's default, where a checkout names none; None shows a thank-you page.
        delivery_waits: seconds between the attempts to deliver a Stripe event; one attempt more than there are waits.

    Raises:
        ValueError: a webhook URL without its secret.
    """

    api_keys: frozenset[str] = field(default=frozenset(), repr=False)
    service_key: str = field(default="service_sandbox", repr=False)
    org_id: str = "org_sandbox"
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    crovver_webhook_url: str | None = None
    crovver_webhook_secret: str | None = field(default=None, repr=False)
    public_base_url: str | None = None
    checkout_lifetime: float = DAY_SECONDS
    success_url: str | None = None
    cancel_url: str | None = None
    delivery_waits: tuple[float, ...] = (0.5, 1, 2, 4, 8)

    def __post_init__(self) -> None:
        self.webhook_targets()

    def webhook_targets(self) -> WebhookTargets:
        """The targets to begin with; ``PUT /sandbox/webhooks`` replaces them."""
        return WebhookTargets(
            self.webhook_url, self.webhook_secret, self.crovver_webhook_url, self.crovver_webhook_secret
        )
