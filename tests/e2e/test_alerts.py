"""Alerts with real processes: what a receiver on loopback gets."""

import os
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.alerts.receiver import TOKEN, Receiver
from tests.e2e.crovver import MARK, Crovver
from tests.e2e.deployment import Deployment, event, eventually

OUTAGE = float(os.environ.get("ALERT_OUTAGE_SECONDS", "5"))
"""How long a receiver stays away."""

NEW = [f"new_{number}" for number in range(5)]

Start = Callable[..., Deployment]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def start(deployment: Deployment, receiver: Receiver) -> Iterator[Start]:
    """Starts all processes with alerts going to the receiver, and looks through their logs for its URL at the end."""

    def started(**settings: str) -> Deployment:
        deployment.settings |= {"SEATS_ALERT_URLS": receiver.url, "SEATS_ALERT_GATHER": "0.5", **settings}
        return deployment.start_all()

    yield started
    for path in deployment.folder.glob("*.log"):
        assert TOKEN not in path.read_text(errors="replace"), f"{path.name} holds a channel's secret"


def leave(deployment: Deployment, tenant: str, user: str) -> None:
    assert deployment.publish(event(tenant, user, "user.removed")).status_code == 202


def test_a_tenant_that_wobbles_around_80_percent_is_told_of_once_and_of_its_end_once(
    start: Start, receiver: Receiver, crovver: Crovver
) -> None:
    crovver.add("acme", 10, 7)
    running = start(SEATS_PUBLIC_URL="https://seats.example/", SEATS_TRUST_LOOK_FOR="0s")
    for _ in range(6):
        running.join("acme", "eighth")
        eventually(lambda: running.tenant("acme").get("seatsNeeded") == 8, what="80 %")
        leave(running, "acme", "eighth")
        eventually(lambda: running.tenant("acme")["seatsNeeded"] == 7, what="70 %")
    running.join("acme", "eighth")
    eventually(lambda: receiver.messages, what="the warning")
    time.sleep(2)
    (warning,) = receiver.messages
    assert (warning.title, warning.type) == ("Warning: acme: seats nearly used up", "warning")
    assert "8 users need a seat and 10 seats are paid for: 80 %" in warning.message
    assert "What it means: " in warning.message
    assert "What to do: " in warning.message
    assert warning.message.endswith("https://seats.example/tenants/acme")
    with crovver.lock:
        crovver.workspaces["acme"].capacity = 40
    running.join("acme", "ninth")
    eventually(lambda: len(receiver.messages) == 2, what="the resolved note")
    assert (receiver.titles()[1], receiver.messages[1].type) == ("Resolved: acme: seats nearly used up", "success")


def test_paid_and_not_applied_is_critical_after_its_deadline_and_resolved_after(
    start: Start, receiver: Receiver, crovver: Crovver
) -> None:
    crovver.add("acme", 10, 8)
    running = start(SEATS_ALERT_URLS=f"critical={receiver.url}", SEATS_PAID_DEADLINE="3s")
    running.join("acme", *NEW)
    running.wait_for_state("acme", "awaiting_payment")
    (checkout,) = crovver.checkouts
    assert running.webhook(checkout).status_code == 200
    running.wait_for_state("acme", "paid")
    paid = time.monotonic()
    eventually(lambda: receiver.messages, what="the critical alert")
    assert 2 < receiver.messages[0].at - paid < 10
    crovver.grant(checkout)
    running.wait_for_state("acme", "confirmed")
    eventually(lambda: len(receiver.messages) == 2, what="the resolved note")
    time.sleep(1)
    title = "acme: paid, but the seats have not arrived"
    assert receiver.titles() == [f"Critical: {title}", f"Resolved: {title}"]
    assert [message.type for message in receiver.messages] == ["failure", "success"]


@pytest.mark.slow
def test_500_tenants_that_cross_a_threshold_at_once_are_one_message(
    start: Start, receiver: Receiver, crovver: Crovver
) -> None:
    names = [f"tenant_{number:03}" for number in range(500)]
    for name in names:
        crovver.add(name, 10, 7)
    # As long as a busy machine needs for all of them.
    running = start(SEATS_ALERT_GATHER="40s", SEATS_CREDITS_EVERY="0", SEATS_LOG_LEVEL="info")
    assert running.publish(*(event(name, "eighth") for name in names)).status_code == 202
    eventually(lambda: receiver.messages, 90, "the digest")
    time.sleep(3)
    (digest,) = receiver.messages
    assert digest.title == "Warning: seats nearly used up (500 tenants)"
    assert "- and 490 more" in digest.message
    assert digest.message.count("- tenant_") == 10
    assert len(digest.message) < 4000


def test_a_receiver_that_is_away_loses_nothing_and_delays_no_other(
    start: Start, receiver: Receiver, crovver: Crovver
) -> None:
    with Receiver() as other:
        crovver.add("acme", 10, 7)
        crovver.add("globex", 10, 7)
        running = start(SEATS_ALERT_URLS=f"{receiver.url},{other.url}")
        crovver.add("calm", 100, 7)
        running.join("calm", "eighth")
        eventually(lambda: running.tenant("calm"), what="the worker to be there")
        receiver.down()
        away = time.monotonic()
        running.join("acme", "eighth")
        eventually(lambda: "acme" in other.text(), 15, "the other channel to hear of acme")
        running.join("globex", "eighth")
        eventually(lambda: "globex" in other.text(), 15, "the other channel to hear of globex")
        assert max(message.at for message in other.messages) - away < 10
        time.sleep(max(0.0, OUTAGE - (time.monotonic() - away)))
        assert receiver.messages == []
        receiver.up()
        eventually(lambda: "globex" in receiver.text(), OUTAGE * 2 + 20, "the receiver to be told")
        assert "acme" in receiver.text()
        assert len(other.messages) == 2
        log = running.log("worker").read_text()
        assert "alerts could not be delivered" in log
        assert "no connection" in log


@pytest.mark.slow
def test_a_worker_killed_while_it_sends_costs_no_alert(start: Start, receiver: Receiver, crovver: Crovver) -> None:
    crovver.add("acme", 10, 7)
    running = start()
    receiver.status, receiver.slow_seconds = 500, 3.0
    running.join("acme", "eighth")
    eventually(lambda: receiver.attempts, what="the first attempt")
    running.kill("worker")
    receiver.status, receiver.slow_seconds = 200, 0.0
    killed = time.monotonic()
    running.start("worker2")
    eventually(lambda: receiver.messages, 60, "the next attempt")
    assert receiver.titles() == ["Warning: acme: seats nearly used up"]
    assert receiver.messages[0].at - killed < 60
    assert running.tenant("acme")["seatsNeeded"] == 8


def test_a_payable_link_goes_to_the_channels_it_is_meant_for_and_to_no_other(
    start: Start, receiver: Receiver, crovver: Crovver
) -> None:
    with Receiver(chosen=True) as payer:
        crovver.add("acme", 10, 8)
        running = start(SEATS_ALERT_LINK_URLS=payer.url)
        running.join("acme", *NEW)
        running.wait_for_state("acme", "awaiting_payment")
        eventually(lambda: "more seats were asked for" in payer.text() and receiver.messages, what="both channels")
        assert "Pay here: https://checkout.stripe.com/" in payer.text()
        assert MARK in payer.text()
        eventually(lambda: "more seats were asked for" in receiver.text(), what="the other channel")
        assert MARK not in receiver.text()


def test_dead_letters_are_told_of_by_queue(start: Start, receiver: Receiver) -> None:
    running = start()
    with redis.Redis.from_url(running.settings["SEATS_REDIS_URL"]) as client, client.pipeline() as pipe:
        pipe.hset("seats:seat-events.msgs", "poison", b"\x00not a message")
        pipe.rpush("seats:seat-events", "poison")
        pipe.execute()
    eventually(lambda: receiver.messages, 30, "the alert")
    assert receiver.titles() == ["Warning: messages that gave up"]
    assert "seat-events: 1" in receiver.messages[0].message


def test_without_channels_alerts_stand_in_the_log_once_each(deployment: Deployment, crovver: Crovver) -> None:
    crovver.add("acme", 10, 7)
    deployment.start_all()
    deployment.join("acme", "eighth")
    eventually(lambda: '"alert": "near_capacity"' in deployment.log("worker").read_text(), what="the log entry")
    deployment.join("acme", "ninth")
    eventually(lambda: '"threshold": 90' in deployment.log("worker").read_text(), what="the next threshold")
    lines = [line for line in deployment.log("worker").read_text().splitlines() if '"event": "alert"' in line]
    assert len(lines) == 2
    assert all('"level": "warning"' in line and '"tenant": "acme"' in line for line in lines)
