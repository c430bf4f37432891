"""When a message goes out."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from worker.alerts.timing import LAST_RETRY, Waiting, due_at, retry_after
from worker.core.times import HOUR, MINUTE, SECOND

NOW = 1_700_000_000 * SECOND


def test_warnings_gather_from_the_first_of_them() -> None:
    assert due_at(Waiting(NOW), MINUTE) == NOW + MINUTE


def test_a_critical_alert_waits_two_seconds_for_others_and_never_longer_than_warnings_do() -> None:
    assert due_at(Waiting(NOW, critical_at=NOW + 10 * SECOND), MINUTE) == NOW + 12 * SECOND
    assert due_at(Waiting(NOW, critical_at=NOW + 59 * SECOND), MINUTE) == NOW + MINUTE
    assert due_at(Waiting(NOW, critical_at=NOW), SECOND) == NOW + SECOND


def test_after_a_message_even_a_critical_alert_waits_a_little() -> None:
    sent = Waiting(NOW, critical_at=NOW, sent_at=NOW - SECOND)
    assert due_at(sent, MINUTE) == NOW + 14 * SECOND
    assert due_at(sent, 3 * SECOND) == NOW + 2 * SECOND
    assert due_at(sent, 0) == NOW


def test_what_is_too_much_for_one_message_goes_out_message_after_message() -> None:
    assert due_at(Waiting(NOW, full=True), HOUR) == NOW
    assert due_at(Waiting(NOW, full=True, sent_at=NOW), HOUR) == NOW
    assert due_at(Waiting(NOW, full=True, sent_at=NOW, retry_at=NOW + MINUTE), HOUR) == NOW + MINUTE


def test_nothing_goes_out_before_a_retry_is_due_or_while_somebody_sends() -> None:
    assert due_at(Waiting(NOW, critical_at=NOW, retry_at=NOW + HOUR), MINUTE) == NOW + HOUR
    assert due_at(Waiting(NOW, critical_at=NOW, leased_until=NOW + HOUR), MINUTE) == NOW + HOUR


def test_retries_come_less_and_less_often_and_never_stop() -> None:
    waits = [retry_after(attempts) for attempts in range(200)]
    assert waits[:4] == [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert waits[-1] == LAST_RETRY == 5 * MINUTE
    assert all(later >= earlier for earlier, later in itertools.pairwise(waits))


@given(st.integers(0, 90), st.lists(st.tuples(st.integers(0, 300), st.booleans()), min_size=1, max_size=40))
def test_however_alerts_come_messages_keep_their_distance_and_nothing_waits_too_long(
    gather: int, posted: list[tuple[int, bool]]
) -> None:
    """A channel that always works, looked at every second; all times in seconds from now."""
    waiting, sent = sorted(posted), [-1000]
    for second in range(500):
        here = [one for one in waiting if one[0] <= second]
        if not here:
            continue
        critical = next((NOW + at * SECOND for at, is_critical in here if is_critical), None)
        state = Waiting(NOW + here[0][0] * SECOND, critical, sent_at=NOW + sent[-1] * SECOND)
        if due_at(state, gather * SECOND) <= NOW + second * SECOND:
            for at, is_critical in here:
                longest = max(min(gather, 2) if is_critical else gather, sent[-1] + min(gather, 15) - at)
                assert second - at <= longest
            sent.append(second)
            waiting = [one for one in waiting if one[0] > second]
    assert not waiting
    assert all(later - earlier >= min(gather, 15) for earlier, later in itertools.pairwise(sent))
