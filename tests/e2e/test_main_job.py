"""The main job with real processes, over a Valkey and a server that speaks the seeds' API."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from tests.e2e.crovver import Checkout, Crovver, Fault
from tests.e2e.deployment import Deployment, event, eventually, signature, stripe_event
from worker.embedded import EmbeddedServer

NEW = [f"new_{number}" for number in range(5)]


@pytest.fixture
def short(deployment: Deployment, crovver: Crovver) -> Deployment:
    """All processes, and a tenant with ten seats of which eight are taken."""
    crovver.add("acme", 10, 8)
    return deployment.start_all()


def test_ten_seats_eight_taken_five_joining_is_one_checkout_for_thirteen_then_confirmed(
    short: Deployment, crovver: Crovver
) -> None:
    short.join("acme", *NEW)
    view = short.wait_for_state("acme", "awaiting_payment")
    assert (view["seatsNeeded"], view["activeCount"], view["capacityUnits"]) == (13, 8, 10)
    assert (view["exceeded"], view["status"]) == (True, "upgrading")
    assert view["drift"] == {"missing": NEW, "orphaned": []} | {
        name: view["drift"][name] for name in view["drift"] if name.endswith("Count")
    }
    assert view["upgrade"]["newCapacity"] == 13
    assert view["upgrade"]["prorationAmount"] == 1750
    assert view["upgrade"]["checkoutUrl"].startswith("https://checkout.stripe.com/pay/")
    (checkout,) = crovver.checkouts
    assert checkout.capacity == 13
    crovver.grant(checkout)
    assert short.webhook(checkout).status_code == 200
    view = short.wait_for_state("acme", "confirmed")
    assert view["upgrade"]["confirmedAt"] is not None
    assert view["capacityUnits"] == 13
    time.sleep(1)
    posts = [(path, body) for method, path, body in crovver.calls if method == "POST"]
    assert posts == [("/api/public/capacity/proration-checkout", {"externalTenantId": "acme", "newCapacity": 13})]
    reads = [path for method, path, _ in crovver.calls if method == "GET"]
    assert set(reads) == {"/api/public/capacity/allocations", "/api/public/credits/balance"}
    assert reads.count("/api/public/credits/balance") == 1
    why = short.seats("why", "acme")
    assert why.returncode == 0, why.stderr
    assert "13 users need a seat" in why.stdout
    assert "confirmed" in why.stdout


def test_4000_shuffled_duplicated_events_of_40_users_end_in_the_seats_a_simple_model_computes(
    short: Deployment, crovver: Crovver
) -> None:
    crovver.add("crowd", 100, 0)
    rng = random.Random(11)
    events = []
    for number in range(2000):
        at = f"2026-06-01T10:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(1000):03}Z"
        kind = rng.choice(["user.added", "user.removed"])
        events.append(event("crowd", f"u{rng.randrange(40)}", kind, ident=f"e{number:05}", time=at))
    told = events * 2
    rng.shuffle(told)
    for start in range(0, len(told), 250):
        assert short.publish(*told[start : start + 250]).status_code == 202
    newest = {}
    for one in sorted(events, key=lambda one: (str(one["time"]), str(one["id"]))):
        newest[one["data"]["userId"]] = one["type"]  # type: ignore[index]
    needed = sum(kind == "user.added" for kind in newest.values())
    eventually(lambda: short.tenant("crowd").get("seatsNeeded") == needed, what="the seats of the model")
    time.sleep(1)
    assert short.tenant("crowd")["seatsNeeded"] == needed


def test_50_publishers_racing_on_a_full_tenant_with_two_workers_never_have_two_open_checkouts(
    short: Deployment, crovver: Crovver
) -> None:
    short.start("worker2", "scheduler2")
    crovver.add("full", 10, 10)

    def publish(number: int) -> None:
        for round_ in range(4):
            short.join("full", f"racer_{number}_{round_}")

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(publish, range(50)))
    paid = 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and short.tenant("full").get("capacityUnits") != 210:
        made = crovver.checkouts_of("full")
        assert len(made) <= paid + 1, "a second checkout was opened while one was open"
        if len(made) > paid:
            short.wait_for_state("full", "awaiting_payment")
            crovver.grant(made[paid])
            paid += 1
            assert short.webhook(made[paid - 1]).status_code == 200
        time.sleep(0.05)
    view = short.wait_for_state("full", "confirmed")
    assert (view["seatsNeeded"], view["capacityUnits"]) == (210, 210)


@pytest.mark.parametrize("fault", ["lost", "cut", "500"])
def test_a_checkout_whose_answer_is_lost_is_unknown_and_then_confirmed_by_the_webhook(
    short: Deployment, crovver: Crovver, fault: Fault
) -> None:
    crovver.checkout_faults = [fault]
    short.join("acme", *NEW)
    short.wait_for_state("acme", "unknown")
    for number in range(10):
        short.join("acme", f"later_{number}")
        time.sleep(0.3)
    assert short.state("acme") == "unknown"
    assert len(crovver.checkouts) == 1
    (checkout,) = crovver.checkouts
    assert short.webhook(checkout, tenantId="acme").status_code == 200
    short.wait_for_state("acme", "paid")
    crovver.grant(checkout)
    view = eventually(lambda: [one for one in short.get("/v1/upgrades")["upgrades"] if one["state"] == "confirmed"])
    assert view[0]["newCapacity"] == 13


def test_a_lost_checkout_is_confirmed_by_a_webhook_that_names_nothing_we_know(
    short: Deployment, crovver: Crovver
) -> None:
    crovver.checkout_faults = ["lost"]
    short.join("acme", *NEW)
    short.wait_for_state("acme", "unknown")
    (checkout,) = crovver.checkouts
    crovver.grant(checkout)
    assert short.webhook(checkout).status_code == 200
    short.wait_for_state("acme", "confirmed", seconds=10)
    assert len(crovver.checkouts) == 1


def test_trouble_on_reads_is_retried_and_ends_in_one_checkout(short: Deployment, crovver: Crovver) -> None:
    crovver.read_faults = ["429", "500", "html", "cut", "lost", "500", "500", "html", "cut"]
    short.join("acme", *NEW)
    short.wait_for_state("acme", "awaiting_payment", seconds=60)
    assert [checkout.capacity for checkout in crovver.checkouts] == [13]


def test_a_checkout_that_was_turned_away_by_the_rate_limit_is_asked_again(short: Deployment, crovver: Crovver) -> None:
    crovver.checkout_faults = ["429", "429"]
    short.join("acme", *NEW)
    short.wait_for_state("acme", "awaiting_payment", seconds=60)
    assert len(crovver.checkouts) == 1


def test_a_webhook_that_comes_before_the_answer_confirms(short: Deployment, crovver: Crovver) -> None:
    def pay_first(checkout: Checkout) -> None:
        assert short.webhook(checkout).status_code == 200
        crovver.grant(checkout)
        time.sleep(0.5)

    crovver.before_answer = pay_first
    short.join("acme", *NEW)
    short.wait_for_state("acme", "confirmed")
    assert len(crovver.checkouts) == 1


def test_paid_without_capacity_stays_paid_and_a_late_expired_undoes_nothing(
    short: Deployment, crovver: Crovver
) -> None:
    short.join("acme", *NEW)
    short.wait_for_state("acme", "awaiting_payment")
    (checkout,) = crovver.checkouts
    short.webhook(checkout)
    short.wait_for_state("acme", "paid")
    short.webhook(checkout, "expired", status="unpaid")
    time.sleep(2)
    assert short.state("acme") == "paid"
    crovver.grant(checkout)
    short.wait_for_state("acme", "confirmed")
    short.webhook(checkout, "expired", status="unpaid", ident="evt_even_later")
    time.sleep(1)
    assert short.state("acme") == "confirmed"


def test_forged_old_future_and_broken_webhooks_are_refused_and_nothing_is_stored(
    short: Deployment, crovver: Crovver
) -> None:
    short.join("acme", *NEW)
    short.wait_for_state("acme", "awaiting_payment")
    eventually(lambda: short.tenant("acme")["credits"]["readAt"] is not None, 30, "the wake-up to end")
    before = short.get("/v1/tenants/acme/journal")
    body = stripe_event(crovver.checkouts[0])
    now = time.time()
    refused = {
        "forged": (body, signature(body, secret="whsec_other_secret_of_someone")),
        "unsigned": (body, None),
        "old": (body, signature(body, at=now - 3600)),
        "future": (body, signature(body, at=now + 3600)),
        "changed": (body.replace(b"paid", b"free"), signature(body)),
        "not utf-8": (b"\xff\xfe{}", signature(b"\xff\xfe{}")),
        "not json": (b"paid!", signature(b"paid!")),
        "empty": (b"", signature(b"")),
        "an array": (b"[]", signature(b"[]")),
    }
    for name, (content, header) in refused.items():
        assert short.post_webhook(content, header).status_code == 400, name
    huge = b"x" * (8 << 20)
    assert short.post_webhook(huge, signature(huge)).status_code == 413
    time.sleep(1)
    assert short.state("acme") == "awaiting_payment"
    assert short.get("/v1/tenants/acme/journal") == before


def test_a_host_app_sends_to_the_actors_by_name(short: Deployment, crovver: Crovver, valkey: EmbeddedServer) -> None:
    host = RedisBroker(url=valkey.url, namespace="seats")  # type: ignore[no-untyped-call]
    for user in NEW:
        host.enqueue(
            dramatiq.Message(
                queue_name="seat-events", actor_name="user_added", args=("acme", user), kwargs={}, options={}
            )
        )
    host.enqueue(
        dramatiq.Message(
            queue_name="seat-events", actor_name="user_removed", args=(),
            kwargs={"tenant": "acme", "user": "user_1", "id": "evt_x"}, options={},
        )
    )  # fmt: skip
    eventually(lambda: short.tenant("acme").get("seatsNeeded") == 12, what="5 joined and 1 left")
    short.wait_for_state("acme", "awaiting_payment")


def test_a_message_that_makes_no_sense_is_kept_as_a_dead_letter_and_holds_nobody_up(
    short: Deployment, valkey: EmbeddedServer
) -> None:
    host = RedisBroker(url=valkey.url, namespace="seats")  # type: ignore[no-untyped-call]
    for args in (("", "u"), ("acme",), ("acme", "u\x00"), ("acme", "new")):
        host.enqueue(
            dramatiq.Message(queue_name="seat-events", actor_name="user_added", args=args, kwargs={}, options={})
        )
    eventually(lambda: short.tenant("acme").get("seatsNeeded") == 9, what="the sound message")
    eventually(lambda: host.client.zcard("seats:seat-events.XQ") == 3, what="three dead letters")


def test_without_a_broker_the_door_says_503_and_ready_says_so(short: Deployment, valkey: EmbeddedServer) -> None:
    assert short.answers("/readyz") == 200
    valkey.kill()
    answer = short.publish(event("acme", "u"))
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert (short.answers("/healthz"), short.answers("/readyz")) == (200, 503)
    valkey.restart()
    eventually(lambda: short.answers("/readyz") == 200, what="ready again")
    short.join("acme", *NEW)
    short.wait_for_state("acme", "awaiting_payment", seconds=60)


def test_ready_is_denied_while_work_is_stuck(deployment: Deployment, crovver: Crovver) -> None:
    """No scheduler runs: what is due stays due."""
    crovver.add("acme", 10, 8)
    deployment.start("web", "worker")
    assert deployment.answers("/readyz") == 200
    from redis import Redis

    deployment.join("acme", "new")
    with Redis.from_url(deployment.settings["SEATS_REDIS_URL"]) as client:
        client.zincrby("seats:{index}:due", -90_000_000, "acme")
    assert deployment.answers("/readyz") == 503
    deployment.start("scheduler")
    eventually(lambda: deployment.answers("/readyz") == 200, what="the backlog to be worked off")


def test_approval_mode_from_the_command_line(short: Deployment, crovver: Crovver) -> None:
    short.stop("worker")
    short.settings["SEATS_UPGRADE_MODE"] = "approval"
    short.start("worker")
    short.join("acme", *NEW)
    view = short.wait_for_state("acme", "awaiting_approval")
    assert crovver.checkouts == []
    assert "approval" in short.seats("why", "acme").stdout
    approved = short.seats("approve", view["upgrade"]["id"])
    assert approved.returncode == 0, approved.stderr
    short.wait_for_state("acme", "awaiting_payment")
    assert [checkout.capacity for checkout in crovver.checkouts] == [13]
    again = short.seats("approve", view["upgrade"]["id"])
    assert again.returncode == 1
    assert "awaiting payment" in again.stderr


def test_stopping_a_worker_in_the_middle_of_a_call_finishes_the_call(short: Deployment, crovver: Crovver) -> None:
    crovver.checkout_faults = ["slow"]
    crovver.slow_seconds = 3.0
    short.join("acme", *NEW)
    eventually(lambda: crovver.checkouts, what="the call to begin")
    stopped = threading.Thread(target=short.stop, args=["worker"])
    stopped.start()
    stopped.join(30)
    assert not stopped.is_alive()
    short.start("worker")
    short.wait_for_state("acme", "awaiting_payment")
    assert len(crovver.checkouts) == 1
