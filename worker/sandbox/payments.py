"""What happens to a checkout: it is paid, declined, debited, left to expire, and what follows from that."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace

from .checkouts import Checkout, Checkouts, CheckoutState, Debit, PaymentStatus
from .crovver_events import subscription_updated
from .deliveries import Deliveries, Sender
from .proration import prorate
from .stripe_objects import StripeEventType, new_session_id, session_event
from .tenants import Provider, Tenant, WebhookFate
from .timers import Timers
from .times import now


class NotPossible(Exception):
    """The checkout is in a state in which this can't happen to it any more."""

    def __init__(self, action: str, checkout: Checkout) -> None:
        self.checkout = checkout
        state = f"{checkout.state}, debit {checkout.debit}" if checkout.debit else checkout.state.value
        what = "invoice" if checkout.is_invoice else "checkout"
        super().__init__(f"can't {action}: {what} {checkout.key} is {state}")


class Payments:
    """Moves checkouts from state to state, raises capacities and sends the webhooks that belong to it.

    All methods change the state at once and leave sending to the background. A checkout raises the capacity to what
    was asked for and never lowers it, so of two paid ones the larger stays.
    """

    def __init__(
        self,
        tenants: Mapping[str, Tenant],
        checkouts: Checkouts,
        deliveries: Deliveries,
        timers: Timers,
        org_id: str,
    ) -> None:
        self._tenants = tenants
        self._checkouts = checkouts
        self._deliveries = deliveries
        self._timers = timers
        self._org_id = org_id

    def start(
        self,
        tenant: Tenant,
        new_capacity: int,
        *,
        pay_url_prefix: str,
        lifetime: float,
        plan_id: str | None,
        success_url: str | None,
        cancel_url: str | None,
    ) -> Checkout:
        """Make a new payable checkout, or an invoice where the tenant's provider is not Stripe.

        Raises:
            TooManyCheckouts: the sandbox is full.
        """
        subscription, moment = tenant.subscription, now()
        session = new_session_id() if subscription.provider is Provider.STRIPE else None
        checkout = Checkout(
            proration_id=str(uuid.uuid4()),
            tenant=tenant.id,
            new_capacity=new_capacity,
            proration=prorate(
                new_capacity - subscription.capacity,
                subscription.price_per_seat,
                subscription.currency,
                subscription.period.days_left(moment),
                subscription.period.days,
            ),
            session=session,
            url=f"{pay_url_prefix}{session}" if session else None,
            created_at=moment.timestamp(),
            expires_at=moment.timestamp() + lifetime,
            plan_id=plan_id or subscription.plan_id,
            success_url=success_url,
            cancel_url=cancel_url,
        )
        self._checkouts.add(checkout)
        if session:
            self._timers.after(lifetime, f"expire {session}", lambda: self._expire_by_itself(session))
        return checkout

    def pay(self, checkout: Checkout) -> Checkout:
        """The card goes through: the session completes as paid and the capacity follows."""
        self._must_be_open("pay", checkout)
        status = PaymentStatus.PAID if checkout.proration.amount else PaymentStatus.NOT_REQUIRED
        checkout = self._close(replace(checkout, state=CheckoutState.COMPLETE, payment=status))
        self._apply_in_time(checkout)
        self._tell(StripeEventType.COMPLETED, checkout)
        return checkout

    def decline(self, checkout: Checkout) -> Checkout:
        """The card is declined: the session stays open, and nobody is told."""
        self._must_be_open("decline", checkout)
        return self._checkouts.put(replace(checkout, declines=checkout.declines + 1))

    def pay_later(self, checkout: Checkout) -> Checkout:
        """A bank debit begins: the session completes, unpaid; ``settle`` or ``fail`` ends it."""
        self._must_be_open("pay later", checkout)
        checkout = self._close(replace(checkout, state=CheckoutState.COMPLETE, debit=Debit.PENDING))
        self._tell(StripeEventType.COMPLETED, checkout)
        return checkout

    def settle(self, checkout: Checkout) -> Checkout:
        """The bank debit succeeds, and the capacity follows."""
        self._must_be_pending("settle", checkout)
        checkout = self._checkouts.put(replace(checkout, debit=Debit.SUCCEEDED, payment=PaymentStatus.PAID))
        self._apply_in_time(checkout)
        self._tell(StripeEventType.ASYNC_SUCCEEDED, checkout)
        return checkout

    def fail(self, checkout: Checkout) -> Checkout:
        """The bank debit fails: nothing was paid."""
        self._must_be_pending("fail", checkout)
        checkout = self._checkouts.put(replace(checkout, debit=Debit.FAILED))
        self._tell(StripeEventType.ASYNC_FAILED, checkout)
        return checkout

    def expire(self, checkout: Checkout) -> Checkout:
        """The session expires now and can't be paid any more."""
        self._must_be_open("expire", checkout)
        moved = replace(checkout, state=CheckoutState.EXPIRED, expires_at=min(checkout.expires_at, time.time()))
        checkout = self._close(moved)
        self._tell(StripeEventType.EXPIRED, checkout)
        return checkout

    def pay_invoice(self, invoice: Checkout) -> Checkout:
        """The invoice is marked paid: the capacity follows, and Stripe knows nothing of it."""
        if not invoice.is_invoice or invoice.state is not CheckoutState.OPEN:
            raise NotPossible("pay the invoice", invoice)
        invoice = self._checkouts.put(replace(invoice, state=CheckoutState.COMPLETE, payment=PaymentStatus.PAID))
        self._apply_in_time(invoice)
        return self._checkouts.get(invoice.key) or invoice

    def apply(self, checkout: Checkout) -> Checkout:
        """Raise the capacity to what was paid for, now, whatever the tenant's delay says."""
        if checkout.payment is PaymentStatus.UNPAID or checkout.applied:
            raise NotPossible("apply", checkout)
        self._timers.cancel(f"apply {checkout.key}")
        self._apply(checkout.key)
        return self._checkouts.get(checkout.key) or checkout

    def set_capacity(self, tenant: Tenant, capacity: int) -> None:
        """Change the seat count, and have Crovver tell of it if it did change."""
        if capacity == tenant.subscription.capacity:
            return
        tenant.subscription = replace(tenant.subscription, capacity=capacity)
        event = subscription_updated(tenant, self._org_id)
        self._deliveries.send(Sender.CROVVER, event, tenant.id, WebhookFate.DELIVER)

    def _must_be_open(self, action: str, checkout: Checkout) -> None:
        if checkout.is_invoice or checkout.state is not CheckoutState.OPEN:
            raise NotPossible(action, checkout)

    def _must_be_pending(self, action: str, checkout: Checkout) -> None:
        if checkout.debit is not Debit.PENDING:
            raise NotPossible(action, checkout)

    def _close(self, checkout: Checkout) -> Checkout:
        self._timers.cancel(f"expire {checkout.key}")
        return self._checkouts.put(checkout)

    def _expire_by_itself(self, session: str) -> None:
        checkout = self._checkouts.get(session)
        if checkout is not None and checkout.state is CheckoutState.OPEN:
            self.expire(checkout)

    def _apply_in_time(self, checkout: Checkout) -> None:
        tenant = self._tenants.get(checkout.tenant)
        delay = tenant.subscription.apply_delay if tenant else None
        if delay is None:
            return
        if delay == 0:
            self._apply(checkout.key)
        else:
            self._timers.after(delay, f"apply {checkout.key}", lambda: self._apply(checkout.key))

    def _apply(self, key: str) -> None:
        checkout = self._checkouts.get(key)
        tenant = self._tenants.get(checkout.tenant) if checkout else None
        if checkout is None or tenant is None:
            return
        self._checkouts.put(replace(checkout, applied=True))
        self.set_capacity(tenant, max(tenant.subscription.capacity, checkout.new_capacity))

    def _tell(self, kind: StripeEventType, checkout: Checkout) -> None:
        tenant = self._tenants.get(checkout.tenant)
        fate = tenant.subscription.webhooks if tenant else WebhookFate.DELIVER
        self._deliveries.send(Sender.STRIPE, session_event(kind, checkout), checkout.tenant, fate)
