"""Alerts to write about, and a place to write them."""

from worker.alerts.digest import Writer
from worker.alerts.places import Places
from worker.alerts.texts import read_texts
from worker.core.alerts import Alert, AlertKind, Datum, Phase, Severity
from worker.core.times import parse_instant
from worker.settings import shipped_config

AT = parse_instant("2026-05-01T10:00:00Z")
TEXTS = read_texts(shipped_config("alerts.toml"))
WRITER = Writer(TEXTS, Places("https://seats.example"))

NEAR, PAID = AlertKind.NEAR_CAPACITY, AlertKind.PAID_NOT_APPLIED
STARTED, FOREIGN = AlertKind.UPGRADE_STARTED, AlertKind.FOREIGN_PAYMENT
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL

_EIGHT: dict[str, Datum] = {"needed": 8, "used": 8, "capacity": 10, "threshold": 80}


def raised(
    tenant: str = "acme",
    kind: AlertKind = NEAR,
    severity: Severity = WARNING,
    at: int = AT,
    key: str = "",
    **data: Datum,
) -> Alert:
    return Alert(at, tenant, kind, severity, Phase.RAISED, at, key, data or (_EIGHT if kind is NEAR else {}))


def resolved(
    tenant: str = "acme",
    kind: AlertKind = NEAR,
    severity: Severity = WARNING,
    *,
    since: int,
    at: int = AT,
    key: str = "",
) -> Alert:
    return Alert(at, tenant, kind, severity, Phase.RESOLVED, at, key, {**_EIGHT, "since_at": since})
