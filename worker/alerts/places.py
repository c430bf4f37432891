"""Where to look: pages of the dashboard."""

from dataclasses import dataclass
from urllib.parse import quote

from worker.alerts.values import harmless, one_line
from worker.core.alerts import Alert, AlertKind


@dataclass(frozen=True, slots=True)
class Places:
    """The dashboard at ``base``, its URL without a slash at the end; None where people know how to get there."""

    base: str | None

    def of(self, alert: Alert) -> str:
        """The page about an alert's subject."""
        if alert.tenant:
            return self._page(
                f"/tenants/{quote(alert.tenant, safe='')}", f"the page of tenant {harmless(one_line(alert.tenant))}"
            )
        if alert.kind is AlertKind.DEAD_LETTER:
            return self._page("/dead-letters", "the page of dead letters")
        if alert.kind is AlertKind.UNMATCHED_PAYMENT:
            return self._page("/payments", "the page of unmatched payments")
        return self.all_alerts()

    def all_alerts(self) -> str:
        """The page of all alerts."""
        return self._page("/alerts", "the page of alerts")

    def _page(self, path: str, words: str) -> str:
        return f"{self.base}{path}" if self.base else f"{words} on the dashboard"
