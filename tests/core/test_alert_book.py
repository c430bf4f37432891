"""The book: told once, told again when worse, told when over."""

from hypothesis import given
from hypothesis import strategies as st

from worker.core.alert_book import Advanced, Book, Condition, Moment, advance
from worker.core.alerts import AlertKind, Phase, Severity
from worker.core.times import MINUTE

NEAR, LOST = AlertKind.NEAR_CAPACITY, AlertKind.PAID_NOT_APPLIED
RAISED, RESOLVED = Phase.RAISED, Phase.RESOLVED


def condition(level: int = 0, *, stamp: str = "", calm: int = 0, severity: Severity = Severity.WARNING) -> Condition:
    return Condition(NEAR, severity, {"level": level}, stamp=stamp, level=level, calm=calm)


class Teller:
    """Keeps a book and what was told."""

    def __init__(self) -> None:
        self.book: Book = ()
        self.serial = 0
        self.told: list[tuple[AlertKind, Phase, Severity]] = []

    def at(self, now: int, *conditions: Condition, moments: tuple[Moment, ...] = (), surely: bool = False) -> Advanced:
        names = [(NEAR, "")] if surely else []
        done = advance(self.book, conditions, moments, tenant="t", serial=self.serial, now=now, surely=names)
        self.book = done.book
        assert all(alert.serial > self.serial for alert in done.alerts)
        serials = [self.serial, *(alert.serial for alert in done.alerts)]
        assert serials == sorted(set(serials))
        self.serial = serials[-1]
        self.told += [(alert.kind, alert.phase, alert.severity) for alert in done.alerts]
        return done

    def phases(self) -> list[Phase]:
        return [phase for _, phase, _ in self.told]


def test_a_condition_is_told_when_it_begins_and_when_it_ends() -> None:
    teller = Teller()
    for now in (10, 20, 30):
        teller.at(now, condition())
    done = teller.at(40)
    assert teller.phases() == [RAISED, RESOLVED]
    assert done.alerts[0].data["since_at"] == 10
    assert teller.book == ()


def test_what_comes_and_goes_within_its_calm_is_told_once() -> None:
    teller = Teller()
    for minute in range(0, 60, 2):
        teller.at(minute * MINUTE, *([condition(calm=5 * MINUTE)] if minute % 4 else []))
    assert teller.phases() == [RAISED]


def test_the_end_comes_by_time_alone_and_is_announced() -> None:
    teller = Teller()
    teller.at(MINUTE, condition(calm=5 * MINUTE))
    assert teller.at(2 * MINUTE).look_at == 7 * MINUTE
    assert teller.at(7 * MINUTE - 1).look_at == 7 * MINUTE
    assert teller.at(7 * MINUTE).look_at is None
    assert teller.phases() == [RAISED, RESOLVED]


def test_what_is_surely_over_needs_no_calm() -> None:
    teller = Teller()
    teller.at(1, condition(calm=5 * MINUTE))
    teller.at(2, surely=True)
    assert teller.phases() == [RAISED, RESOLVED]


def test_a_higher_level_is_news_and_a_lower_one_is_not() -> None:
    teller = Teller()
    for now, level in enumerate([80, 90, 80, 80, 80]):
        teller.at(now * MINUTE, condition(level, calm=2 * MINUTE))
    assert teller.phases() == [RAISED, RAISED]
    teller.at(5 * MINUTE, condition(90, calm=2 * MINUTE))  # it had been lower for long enough
    assert teller.phases() == [RAISED, RAISED, RAISED]


def test_a_level_that_wobbles_is_told_once() -> None:
    teller = Teller()
    for now in range(20):
        teller.at(now * MINUTE, condition(100 if now % 2 else 90, calm=5 * MINUTE))
    assert teller.phases() == [RAISED, RAISED]


def test_another_case_of_the_same_is_news() -> None:
    teller = Teller()
    for now, stamp in enumerate(["upg_1", "upg_1", "upg_2"]):
        teller.at(now, condition(stamp=stamp))
    assert teller.phases() == [RAISED, RAISED]


def test_the_end_goes_where_the_worst_of_it_went() -> None:
    teller = Teller()
    for now, severity in enumerate([Severity.WARNING, Severity.CRITICAL, Severity.WARNING]):
        teller.at(now, condition(severity=severity))
    teller.at(9)
    assert [severity for _, _, severity in teller.told] == [Severity.WARNING, Severity.CRITICAL, Severity.CRITICAL]


def test_a_quiet_condition_is_never_told() -> None:
    teller = Teller()
    for now in range(3):
        teller.at(now, Condition(NEAR, Severity.WARNING, quiet=True))
    teller.at(4, Condition(NEAR, Severity.WARNING))
    teller.at(9)
    assert teller.told == []


def test_moments_are_told_once_each() -> None:
    teller = Teller()
    moment = Moment(AlertKind.PAYMENT_CONFIRMED, Severity.INFO)
    teller.at(1, moments=(moment, moment))
    teller.at(2)
    assert teller.phases() == [RAISED, RAISED]


@given(st.lists(st.tuples(st.integers(0, 10), st.none() | st.integers(1, 3)), max_size=40), st.integers(0, 20))
def test_every_end_follows_a_beginning_and_numbers_only_grow(steps: list[tuple[int, int | None]], calm: int) -> None:
    teller, now = Teller(), 0
    for wait, level in steps:
        now += wait
        teller.at(now, *([condition(level, calm=calm)] if level else []))
    active = False
    for phase in teller.phases():
        assert active or phase is RAISED
        active = phase is RAISED
    assert active == bool(teller.book)
