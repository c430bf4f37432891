"""What is the case with the fleet as a whole."""

from worker.alerts.fleet import fleet_conditions
from worker.core.alert_book import Book, advance
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.times import HOUR, MINUTE

NOW = HOUR


def test_a_payment_is_unmatched_once_it_has_waited_for_a_quarter_of_an_hour() -> None:
    assert fleet_conditions([NOW - 14 * MINUTE], {}, NOW) == []
    (condition,) = fleet_conditions([NOW - 15 * MINUTE, NOW - 50 * MINUTE, NOW], {}, NOW)
    assert condition.kind is AlertKind.UNMATCHED_PAYMENT
    assert condition.data == {"count": 2, "from_at": NOW - 50 * MINUTE}


def test_more_payments_are_news_once_a_day_and_fewer_or_the_same_never() -> None:
    book: Book = ()
    told: list[tuple[int, object]] = []
    hours = {0: 1, 1: 2, 5: 9, 24: 9, 30: 8, 47: 12, 48: 13, 90: 13, 100: 0}
    count = 0
    kept: list[int] = []
    for hour in range(103):
        now = NOW + hour * HOUR
        count = hours.get(hour, count)
        kept = [*kept, *[now - HOUR] * (count - len(kept))][-count:] if count else []
        advanced = advance(book, fleet_conditions(kept, {}, now), tenant="", serial=0, now=now)
        book = advanced.book
        told += [(hour, alert.data["count"] if alert.phase is Phase.RAISED else None) for alert in advanced.alerts]
    assert told == [(0, 1), (24, 9), (48, 13), (101, None)]


def test_dead_letters_are_counted_by_queue() -> None:
    (condition,) = fleet_conditions([], {"seat-events": 2, "reconcile": 0, "alerts": 1}, NOW)
    assert condition.data == {"count": 3, "queues": "alerts: 1, seat-events: 2"}
    assert fleet_conditions([], {"seat-events": 0}, NOW) == []


def test_one_more_is_news_fewer_are_not_and_none_is_the_end() -> None:
    book: Book = ()
    told: list[Alert] = []
    for minute, count in enumerate([0, 1, 1, 2, 1, 1, 3, 0, 0, 0]):
        now = NOW + minute * MINUTE
        advanced = advance(book, fleet_conditions([], {"alerts": count}, now), tenant="", serial=0, now=now)
        book = advanced.book
        told += advanced.alerts
    assert [(alert.phase, alert.data["count"]) for alert in told] == [
        (Phase.RAISED, 1),
        (Phase.RAISED, 2),
        (Phase.RAISED, 3),
        (Phase.RESOLVED, 3),
    ]
    assert {alert.tenant for alert in told} == {""}


def test_a_loss_of_the_state_is_critical_until_it_is_over_and_another_one_is_news() -> None:
    book: Book = ()
    told: list[Alert] = []
    for minute, lost_at in enumerate([None, NOW, NOW, NOW + 3, None, None]):
        now = NOW + minute * MINUTE
        advanced = advance(book, fleet_conditions([], {}, now, lost_at=lost_at), tenant="", serial=0, now=now)
        book = advanced.book
        told += advanced.alerts
    assert [(alert.kind, alert.severity, alert.phase, alert.data["from_at"]) for alert in told] == [
        (AlertKind.STATE_LOST, Severity.CRITICAL, Phase.RAISED, NOW),
        (AlertKind.STATE_LOST, Severity.CRITICAL, Phase.RAISED, NOW + 3),
        (AlertKind.STATE_LOST, Severity.CRITICAL, Phase.RESOLVED, NOW + 3),
    ]
