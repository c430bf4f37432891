"""Alerts in the log: one line each, whether or not there are channels."""

from collections.abc import Iterable

import structlog

from worker.core.alerts import Alert, Phase, Severity

log = structlog.get_logger(__name__)


def log_alerts(alerts: Iterable[Alert]) -> None:
    """Write each alert at its severity; that one is over is for information."""
    for alert in alerts:
        over = alert.phase is Phase.RESOLVED
        tell = log.info if over or alert.severity is Severity.INFO else log.warning
        if alert.severity is Severity.CRITICAL and not over:
            tell = log.critical
        tell(
            "alert", alert=alert.kind.value, phase=alert.phase.value, severity=alert.severity.value,
            tenant=alert.tenant or None, key=alert.key or None, data=dict(alert.data),
        )  # fmt: skip
