"""Something writes over a key of ours: what needs it waits and says so, others go on, and all does once it is gone."""

import functools
import json
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.e2e.deployment import event, eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer
from worker.store.keys import Keys

KEYS = Keys("seats")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture(scope="module")
def crovver() -> Iterator[StormCrovver]:
    server = StormCrovver()
    yield server
    server.close()


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory, server: EmbeddedServer, crovver: StormCrovver) -> Iterator[Storm]:
    """One deployment for all rows of this file: none of them may end a process."""
    with Storm(tmp_path_factory.mktemp("wrong"), server.url, crovver) as storm:
        yield storm.start().ready()


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def row(storm: Storm, make_row: Callable[..., Row]) -> Iterator[Row]:
    """Tenants that go on, whatever happens to others; nobody had to be started anew in the end."""
    yield make_row(storm, tenants=2, publishers=1)
    assert storm.ended == [], "a process ended by itself"


def says(storm: Storm, *words: str) -> bool:
    """Whether the worker has logged an error with these words."""
    errors = [
        line for line in storm.log("worker").splitlines() if json.loads(line).get("level") in ("error", "critical")
    ]
    return any(all(word in line for word in words) for line in errors)


def doctor(storm: Storm) -> str:
    done = storm.deployment.seats("doctor", "--json")
    assert done.returncode == 1, done.stderr
    return done.stdout


def test_of_single_tenants(storm: Storm, row: Row, make_row: Callable[..., Row], client: "redis.Redis") -> None:
    """Five tenants, each with another key written over, and one with a record that nobody can read."""
    deployment = storm.deployment
    names = ["inbox", "record", "roster", "missing", "journal", "document"]
    victims = make_row(storm, tenants=len(names), publishers=0, capacity=9)
    broken = dict(zip(names, victims.tenants, strict=True))
    for tenant in victims.tenants:
        victims.join(tenant, "new_1")

    def unlisted() -> set[str]:
        found = {one["tenantId"] for one in deployment.get("/v1/tenants?limit=100")["tenants"]}
        return set(victims.tenants) - found

    eventually(lambda: not victims.behind() and not unlisted(), 60, "everything to be as it should be")
    document = client.hget(KEYS.record(broken["document"]), "document")
    assert document is not None
    client.hset(KEYS.record(broken["document"]), "document", b"\xff\x00{")
    keys = {name: KEYS.tenant(tenant) + name for name, tenant in broken.items() if name != "document"}
    for name, key in keys.items():
        if client.exists(key):
            client.rename(key, f"{name} aside")
        client.set(key, "a string")
    row.begin()
    for name, tenant in broken.items():
        if name != "inbox":
            victims.join(tenant, "new_2")
    answer = deployment.publish(event(broken["inbox"], "new_2"))
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:seat-reconciler:problem:tenant-broken")
    assert broken["inbox"] in answer.json()["detail"]
    words = {"journal": "WRONGTYPE", "document": "not readable"}
    for name, tenant in broken.items():
        if name != "inbox":
            found = functools.partial(says, storm, tenant, words.get(name, f"{name} is a string"))
            eventually(found, 60, f"a word about {name}")
    row.accept(10)
    assert not unlisted(), "one that can't be read keeps no other from being listed"
    status = deployment.seats("status")
    assert (status.returncode, broken["record"] in status.stderr) == (0, True), status
    told = doctor(storm)
    assert broken["document"] in told
    assert f"{keys['roster']} is a string, not a hash" in told
    row.weathered()
    for name, key in keys.items():
        client.delete(key)
        if client.exists(f"{name} aside"):
            client.rename(f"{name} aside", key)
    client.hset(KEYS.record(broken["document"]), "document", document)
    victims.join(broken["inbox"], "new_2")
    victims.weathered(90)


@pytest.mark.parametrize("names", [("due",), ("tokens", "tenants")])
def test_of_the_index(storm: Storm, row: Row, client: "redis.Redis", names: tuple[str, ...]) -> None:
    """Nobody is woken then. Who was due is found again in the directory; who is listed, when it is next looked at."""
    row.begin()
    row.accept(10)
    for name in names:
        client.delete(KEYS.index(name))
        client.set(KEYS.index(name), "a string")
    told = doctor(storm)
    assert all(f"{KEYS.index(name)} is a string, not a" in told for name in names)
    assert storm.deployment.answers("/healthz") == 200
    for name in names:
        client.delete(KEYS.index(name))
    row.weathered(90)


def test_of_the_brokers_queues(storm: Storm, row: Row, client: "redis.Redis") -> None:
    row.begin()
    row.accept(5)
    client.set("seats:seat-events", "a string")
    eventually(lambda: says(storm, "queue can't be used"), 60, "an error in the log")
    eventually(lambda: not row.behind() or row.accepted() > 20, 60, "work that needs another queue to go on")
    client.delete("seats:reconcile")
    client.set("seats:reconcile", "a string")
    row.accept(5)
    told = doctor(storm)
    assert "seats:seat-events is a string, not a list" in told
    assert "seats:reconcile is a string, not a list" in told
    client.delete("seats:seat-events", "seats:reconcile")
    row.weathered(90)
