"""`seats doctor` against real servers, a real sandbox and real sockets."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from tests.canaries import CROVVER_KEY, CROVVER_SECRET, INGEST, OPERATOR, SERVICE_KEY
from tests.cli.conftest import Deployment, Outcome, Run, with_state
from tests.conftest import server_binary
from tests.processes import eventually
from worker.cli.loopback import call, free_port
from worker.core.facts import HintFact
from worker.embedded import EmbeddedServer
from worker.sandbox.config import SandboxConfig
from worker.sandbox.server import SandboxServer
from worker.store.redis_store import RedisStore

KEY = CROVVER_KEY
REMEDY = " → "


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    """A Crovver that knows one key, and a Stripe."""
    bound = threading.Event()
    config = SandboxConfig(api_keys=frozenset({KEY}), service_key=SERVICE_KEY, org_id="org_1")
    server = SandboxServer("127.0.0.1", 0, config, lambda _: bound.set())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert bound.wait(10)
    yield server.url
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedServer]:
    """The server that `seats up` and `seats demo` start."""
    with EmbeddedServer() as running:
        yield running


@pytest.fixture
def sound(sandbox: str, embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything set, and set right."""
    with redis.Redis.from_url(embedded.url) as client:
        client.flushall()
    for name, value in {
        "SEATS_REDIS_URL": embedded.url,
        "SEATS_CROVVER_BASE_URL": sandbox,
        "SEATS_CROVVER_API_KEY": KEY,
        "SEATS_CROVVER_WEBHOOK_SECRET": CROVVER_SECRET,
        "SEATS_STRIPE_API_KEY": "sk_test_stripe",
        "SEATS_STRIPE_BASE_URL": f"{sandbox}/stripe",
        "SEATS_STRIPE_WEBHOOK_SECRETS": "whsec_0123456789abcdef0123456789abcdef",
        "SEATS_INGEST_TOKENS": INGEST,
        "SEATS_OPERATOR_TOKEN": OPERATOR,
    }.items():
        monkeypatch.setenv(name, value)
    return embedded.url


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def lines(outcome: Outcome, subject: str) -> list[str]:
    """What was said of a subject, with the verdict in front."""
    assert outcome.err == ""
    found = [line.split(": ", 2) for line in outcome.out.splitlines()]
    return [f"{words[0]}: {words[2]}" for words in found if len(words) == 3 and words[1] == subject]


def only(outcome: Outcome, subject: str) -> str:
    (line,) = lines(outcome, subject)
    return line


def fixes(outcome: Outcome) -> list[str]:
    """The subjects that must be fixed."""
    return [line.split(": ")[1] for line in outcome.out.splitlines() if line.startswith("must be fixed: ")]


def test_a_sound_set_up_passes_and_every_line_has_a_verdict_and_what_is_not_good_a_remedy(run: Run, sound: str) -> None:
    outcome = run("doctor")
    assert (outcome.code, fixes(outcome)) == (0, [])
    *findings, counts = outcome.out.splitlines()
    assert all(line.startswith(("good: ", "could be better: ")) for line in findings)
    assert all((REMEDY in line) is line.startswith("could be better: ") for line in findings)
    assert counts.startswith("0 must be fixed, ")


def test_the_embedded_set_up_with_everything_at_work_passes(
    run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEATS_CROVVER_BASE_URL", deployment.stage.sandbox)
    monkeypatch.setenv("SEATS_CROVVER_API_KEY", KEY)
    assert eventually(lambda: lines(run("doctor"), "workers") == [])  # a worker that has just been started
    outcome = run("doctor")
    assert (outcome.code, fixes(outcome)) == (0, [])
    assert only(outcome, "redis durability").startswith("could be better: append-only file, on disk every second")


@pytest.mark.parametrize("implementation", ["valkey", "redis"])
def test_the_shipped_configuration_passes(
    run: Run, sound: str, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path(__file__).resolve().parents[2] / "config" / "valkey.conf"
    binary = server_binary(implementation)
    with EmbeddedServer(binary=binary, include=shipped, appendfsync="always", extra=("maxmemory 1gb",)) as server:
        monkeypatch.setenv("SEATS_REDIS_URL", server.url)
        outcome = run("doctor")
    assert (outcome.code, fixes(outcome)) == (0, [])
    assert [line for line in outcome.out.splitlines() if line.startswith("could be better: redis")] == []


@pytest.mark.parametrize("implementation", ["valkey", "redis"])
def test_a_server_without_an_append_only_file_fails_and_the_remedy_works(
    run: Run, sound: str, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServer(binary=server_binary(implementation), extra=("appendonly no",)) as server:
        monkeypatch.setenv("SEATS_REDIS_URL", server.url)
        outcome = run("doctor")
        assert (outcome.code, fixes(outcome)) == (1, ["redis durability"])
        assert "CONFIG SET appendonly yes" in only(outcome, "redis durability").split(REMEDY)[1]
        with redis.Redis.from_url(server.url) as client:
            client.config_set("appendonly", "yes")
        assert run("doctor").code == 0


@pytest.mark.parametrize(
    ("extra", "subject", "remedy"),
    [
        ("appendfsync no", "redis durability", "CONFIG SET appendfsync always"),
        ("maxmemory-policy allkeys-lru", "redis eviction", "CONFIG SET maxmemory-policy noeviction"),
        ("replicaof 127.0.0.1 1", "redis role", "name the primary"),
        ("maxmemory 2mb", "redis memory", "raise maxmemory"),
    ],
)
def test_a_server_that_would_lose_or_refuse_something_fails(
    run: Run, sound: str, extra: str, subject: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServer(extra=(extra,)) as server:
        if subject == "redis memory":
            with redis.Redis.from_url(server.url) as client:
                used = int(client.info("memory")["used_memory"])
                client.config_set("maxmemory", str(round(used * 1.05)))
        monkeypatch.setenv("SEATS_REDIS_URL", server.url)
        outcome = run("doctor")
    assert outcome.code == 1
    assert [line for line in lines(outcome, subject) if line.startswith("must be fixed") and remedy in line]


def test_what_a_user_may_not_see_is_said_and_fails_nothing(
    run: Run, sound: str, valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.execute_command(
            "ACL SETUSER worker on >hunter2 ~seats:* &* +@all -@dangerous -@admin"  # as the name says, without INFO
        )
        without_info = valkey.url.replace("redis://", "redis://worker:hunter2@")
        monkeypatch.setenv("SEATS_REDIS_URL", without_info)
        outcome = run("doctor")
        assert (outcome.code, fixes(outcome)) == (0, [])
        for subject in ("version", "durability", "eviction", "memory"):
            assert only(outcome, f"redis {subject}").startswith("could be better: ")
        assert "+info +config|get" in only(outcome, "redis durability")
        client.execute_command("ACL SETUSER worker +info")
        outcome = run("doctor")
        assert "how often it is forced to disk can't be seen" in only(outcome, "redis durability")
        assert only(outcome, "redis eviction").startswith("good: ")
        client.execute_command("ACL SETUSER worker +config|get")
        assert only(run("doctor"), "redis durability").startswith("good: ")
        client.execute_command("ACL SETUSER worker -@scripting")
        outcome = run("doctor")
    assert fixes(outcome) == ["redis"]
    assert "ACL SETUSER" in only(outcome, "redis").split(REMEDY)[1]
    assert "hunter2" not in outcome.out


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("redis://:hunter2@127.0.0.1:{closed}/0", "the connection was refused"),
        ("redis://:hunter2@nobody.invalid:6379/0", "the host name can't be resolved"),
        ("redis://:hunter2@127.0.0.1:{silent}/0", "it did not answer in time"),
        ("redis://:hunter2@127.0.0.1:{server}/0", "it does not accept the user or the password"),
        ("rediss://:hunter2@127.0.0.1:{http}/0", "the TLS handshake failed"),
        ("unix:///nowhere/valkey.sock", "can't be reached"),
        ("redis+sentinel://127.0.0.1:{closed}/mymaster", "must be fixed"),
    ],
)
def test_each_way_a_server_can_be_away_is_told_apart_and_stops_no_other_check(
    run: Run, sound: str, sandbox: str, monkeypatch: pytest.MonkeyPatch, url: str, seen: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = {"closed": free_port(), "silent": silent.getsockname()[1]}
        ports |= {"server": port_of(sound), "http": port_of(sandbox)}
        monkeypatch.setenv("SEATS_REDIS_URL", url.format(**ports))
        began = time.monotonic()
        outcome = run("doctor")
    assert time.monotonic() - began < 11
    assert (outcome.code, fixes(outcome)) == (1, ["redis"])
    said, remedy = only(outcome, "redis").split(REMEDY)
    assert seen in said
    assert "SEATS_REDIS_URL" in remedy
    assert only(outcome, "Crovver key").startswith("good: ")
    assert "hunter2" not in outcome.out


def test_queue_and_state_apart_are_looked_at_each(
    run: Run, sound: str, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEATS_STATE_URL", cluster)
    assert "SEATS_MIN_REPLICAS" in only(run("doctor"), "state replicas"), "a node of a cluster is to have a replica"
    monkeypatch.setenv("SEATS_MIN_REPLICAS", "0")
    outcome = run("doctor")
    assert outcome.code == 0
    assert only(outcome, "broker durability").startswith(("good: ", "could be better: "))
    assert only(outcome, "state durability").startswith(("good: ", "could be better: "))
    assert only(outcome, "state eviction").startswith("good: ")


def test_without_a_redis_it_says_which_setting(run: Run) -> None:
    outcome = run("doctor")
    assert outcome.code == 1
    assert only(outcome, "redis").startswith("must be fixed: SEATS_REDIS_URL is not set → set it like redis://")
    assert only(outcome, "Crovver key").startswith("must be fixed: SEATS_CROVVER_API_KEY is not set → ")


def test_a_wrong_setting_ends_it_like_any_other_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_SEAT_BLOK", "5")
    outcome = run("doctor")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("seats: SEATS_SEAT_BLOK is no setting")


@pytest.mark.parametrize(
    "settings",
    [
        {"SEATS_CROVVER_API_KEY": "sk_test_a_wrong_one"},
        {"SEATS_CROVVER_API_KEY": "", "SEATS_CROVVER_SERVICE_KEY": "service_wrong", "SEATS_CROVVER_ORG_ID": "org_1"},
    ],
)
def test_a_wrong_crovver_key_fails(
    run: Run, sound: str, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    outcome = run("doctor")
    assert (outcome.code, fixes(outcome)) == (1, ["Crovver key"])
    said, remedy = only(outcome, "Crovver key").split(REMEDY)
    assert "not accepted (401" in said
    assert "SEATS_CROVVER_API_KEY" in remedy
    assert "wrong" not in outcome.out


def test_a_service_key_is_good_and_cannot_read_credits(run: Run, sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_CROVVER_API_KEY", "")
    monkeypatch.setenv("SEATS_CROVVER_SERVICE_KEY", SERVICE_KEY)
    monkeypatch.setenv("SEATS_CROVVER_ORG_ID", "org_1")
    outcome = run("doctor")
    assert outcome.code == 0
    assert only(outcome, "Crovver key") == "good: accepted for reading; organization org_1"
    assert only(outcome, "Crovver credits").startswith("could be better: ")


def test_asking_crovver_changes_nothing_there(run: Run, sound: str, sandbox: str) -> None:
    call("POST", f"{sandbox}/sandbox/reset", {})
    assert run("doctor").code == 0
    made = call("GET", f"{sandbox}/sandbox/calls").body["history"]
    assert {(one["method"], one["endpoint"]) for one in made} == {
        ("GET", "allocations"), ("GET", "credits"), ("GET", "stripe"),
    }  # fmt: skip
    assert call("GET", f"{sandbox}/sandbox/checkouts").body["checkouts"] == []


@pytest.mark.parametrize(
    ("base", "seen"),
    [
        ("https://nobody.invalid", "the host name can't be resolved"),
        ("http://127.0.0.1:{closed}", "the connection was refused"),
        ("http://127.0.0.1:{silent}", "nothing more arrived in time"),
        ("https://127.0.0.1:{sandbox}", "the TLS handshake failed"),
        ("http://127.0.0.1:{sandbox}/elsewhere", "is not Crovver's API (404"),
    ],
)
def test_each_way_crovver_can_be_away_is_told_apart(
    run: Run, sound: str, sandbox: str, monkeypatch: pytest.MonkeyPatch, base: str, seen: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = {"closed": free_port(), "silent": silent.getsockname()[1], "sandbox": port_of(sandbox)}
        monkeypatch.setenv("SEATS_CROVVER_BASE_URL", base.format(**ports))
        outcome = run("doctor")
    assert (outcome.code, fixes(outcome)) == (1, ["Crovver"])
    said, remedy = only(outcome, "Crovver").split(REMEDY)
    assert seen in said
    assert "SEATS_CROVVER_BASE_URL" in remedy


def test_a_wrong_stripe_key_fails(run: Run, sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_STRIPE_API_KEY", "rk_live_wrong_one")
    outcome = run("doctor")
    assert (outcome.code, fixes(outcome)) == (1, ["Stripe key"])
    assert "not accepted (401" in only(outcome, "Stripe key")
    assert "different modes" in only(outcome, "settings")
    assert "wrong_one" not in outcome.out


def test_what_the_settings_leave_shut_or_doubtful_could_be_better(
    run: Run, sound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INGEST_TOKENS", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRETS", "CROVVER_WEBHOOK_SECRET"):
        monkeypatch.delenv(f"SEATS_{name}")
    monkeypatch.setenv("SEATS_OPERATOR_TOKEN", "short")
    outcome = run("doctor")
    assert outcome.code == 0
    for subject in ("settings", "events", "Stripe key", "Stripe webhook", "Crovver webhook", "alerts"):
        assert only(outcome, subject).startswith("could be better: ")
    monkeypatch.setenv("SEATS_STRIPE_WEBHOOK_SECRETS", "whsec_cut")
    outcome = run("doctor")
    assert "shorter" in only(outcome, "Stripe webhook")
    assert "whsec_cut" not in outcome.out


def test_work_that_nobody_does_fails(run: Run, sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(store: RedisStore) -> None:
        await store.append({"acme": [HintFact("operator", 1, "h1")]})

    with_state(sound, wait)
    outcome = run("doctor")
    assert only(outcome, "backlog").startswith("good: 1 tenants are due")
    assert only(outcome, "workers").startswith("could be better: ")
    with redis.Redis.from_url(sound) as client:
        client.zadd("seats:{index}:due", {"acme": time.time() * 1e6 - 61e6})
        client.zadd("seats:reconcile.XQ", {"message": 1})
    outcome = run("doctor")
    assert (outcome.code, fixes(outcome)) == (1, ["backlog"])
    assert "`seats worker`" in only(outcome, "backlog").split(REMEDY)[1]
    assert "1 message gave up → read them with `seats dead-letters list`" in only(outcome, "dead letters")


def test_as_json_it_is_a_list(run: Run, sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_CROVVER_API_KEY", "sk_test_a_wrong_one")
    outcome = run("doctor", "--json")
    findings = json.loads(outcome.out)
    assert outcome.code == 1
    assert {tuple(one) for one in findings} == {("subject", "verdict", "seen", "remedy")}
    assert {one["verdict"] for one in findings} == {"good", "could be better", "must be fixed"}
    assert all((one["remedy"] is None) is (one["verdict"] == "good") for one in findings)
