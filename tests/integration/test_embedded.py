"""The embedded server: its data survives a kill, and it never outlives its owner."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.conftest import server_binary
from tests.processes import alive, eventually
from worker.embedded import EmbeddedError, EmbeddedServer, find_binary
from worker.settings import shipped_config


@pytest.fixture(params=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> Path:
    return server_binary(request.param)


def client(server: EmbeddedServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=5)


def config_of(server: EmbeddedServer, name: str) -> str:
    with client(server) as connection:
        return str(connection.config_get(name)[name])


def test_it_answers_as_soon_as_it_is_started_and_is_gone_once_stopped(binary: Path) -> None:
    with EmbeddedServer(binary=binary) as server:
        with client(server) as connection:
            assert connection.ping()
        pid, home = server.pid, server.data_dir.parent
        assert home.exists()
    assert not alive(pid)
    assert not home.exists()
    server.stop()


def test_it_is_set_up_to_keep_what_it_accepted_and_to_drop_nothing(binary: Path) -> None:
    with EmbeddedServer(binary=binary, appendfsync="always") as server:
        assert config_of(server, "appendonly") == "yes"
        assert config_of(server, "appendfsync") == "always"
        assert config_of(server, "maxmemory-policy") == "noeviction"
        assert config_of(server, "save") == ""


def test_what_it_accepted_survives_a_kill_and_a_restart_on_the_same_port(binary: Path) -> None:
    with EmbeddedServer(binary=binary) as server:
        url, pid = server.url, server.pid
        with client(server) as connection:
            connection.set("seats", "15")
        server.kill()
        assert not server.running
        assert not alive(pid)
        server.restart()
        assert server.url == url
        assert server.pid != pid
        with client(server) as connection:
            assert connection.get("seats") == b"15"


def test_restarting_a_running_server_ends_it_first(valkey: EmbeddedServer) -> None:
    pid = valkey.pid
    valkey.restart()
    assert valkey.pid != pid
    assert not alive(pid)


def test_after_a_crash_it_is_started_again_with_its_data_by_whoever_notices(binary: Path) -> None:
    with EmbeddedServer(binary=binary) as server:
        url = server.url
        with client(server) as connection:
            connection.set("seats", "15")
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.running)
        with pytest.raises(EmbeddedError, match="not running"):
            assert server.pid
        server.start()
        assert server.url == url
        with client(server) as connection:
            assert connection.get("seats") == b"15"


def test_a_given_data_directory_is_kept_and_found_again(tmp_path: Path) -> None:
    data_dir = tmp_path / 'a "quoted" \\ name'
    with EmbeddedServer(data_dir=data_dir) as server, client(server) as connection:
        connection.set("seats", "15")
    with EmbeddedServer(data_dir=data_dir) as server, client(server) as connection:
        assert connection.get("seats") == b"15"


def test_two_servers_never_write_to_one_data_directory(tmp_path: Path) -> None:
    with EmbeddedServer(data_dir=tmp_path):
        second = EmbeddedServer(data_dir=tmp_path, start_seconds=0.1)
        with pytest.raises(EmbeddedError, match="another server is using"):
            second.start()


def test_with_a_password_it_lets_nobody_in_without_it(binary: Path) -> None:
    with EmbeddedServer(binary=binary, password='a"b\\c:/@%é') as server:
        home = server.data_dir.parent
        assert home.stat().st_mode & 0o077 == 0
        with (
            redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        with client(server) as connection:
            assert connection.ping()


def test_it_listens_on_the_loopback_interface_alone(valkey: EmbeddedServer) -> None:
    assert config_of(valkey, "bind") == "127.0.0.1"


def test_extra_lines_win_over_its_own(binary: Path) -> None:
    with EmbeddedServer(binary=binary, extra=["cluster-enabled yes", "appendfsync no"]) as server:
        assert config_of(server, "appendfsync") == "no"
        with client(server) as connection:
            assert connection.info("cluster")["cluster_enabled"] == 1


def test_the_shipped_configuration_is_one_that_servers_accept(binary: Path) -> None:
    with EmbeddedServer(binary=binary, include=shipped_config("valkey.conf")) as server:
        assert config_of(server, "appendonly") == "yes"
        assert config_of(server, "maxmemory-policy") == "noeviction"
        assert config_of(server, "timeout") == "0"


def test_a_stopped_process_is_ended_all_the_same(valkey: EmbeddedServer) -> None:
    pid = valkey.pid
    os.kill(pid, signal.SIGSTOP)
    valkey.stop()
    assert not alive(pid)


def test_a_server_that_answers_on_its_port_but_is_another_is_not_taken_for_it(valkey: EmbeddedServer) -> None:
    with pytest.raises(EmbeddedError, match="in use"):
        EmbeddedServer(port=valkey.port).start()


def test_a_port_that_is_snatched_at_the_last_moment_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]

        def ports(self: EmbeddedServer) -> Iterator[int]:
            yield from (taken.getsockname()[1], free)

        monkeypatch.setattr(EmbeddedServer, "_ports", ports)
        with EmbeddedServer() as server:
            assert server.port == free


def test_a_setting_it_does_not_know_is_told_with_the_servers_own_words(binary: Path) -> None:
    server = EmbeddedServer(binary=binary, extra=["no-such-setting 1"])
    with pytest.raises(EmbeddedError, match="no-such-setting"):
        server.start()
    assert not server.running


def test_a_program_that_is_no_server_is_told(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="cannot be started"):
        EmbeddedServer(binary=tmp_path / "missing").start()


def test_without_any_server_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedError, match=r"seat-reconciler\[embedded\]"):
        find_binary()


def test_without_the_extra_a_server_on_the_path_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() == program


OWNER = """
import os, sys, threading, time
from worker.embedded import EmbeddedServer
server = EmbeddedServer()
if "thread" in sys.argv:
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
else:
    server.start()
forked = os.fork() if "fork" in sys.argv else 1
if not forked:
    server.stop()
    os.execvp("sleep", ["sleep", "60"]) if "exec" in sys.argv else time.sleep(60)
print(server.pid, server.data_dir.parent, server.port, forked, flush=True)
time.sleep(60)
"""


def test_it_dies_with_its_owner_however_that_one_ends() -> None:
    hows = ["alone", "thread", "fork", "fork exec"]
    with contextlib.ExitStack() as cleanup:
        owners = []
        for how, sent in itertools.product(hows, [signal.SIGKILL, signal.SIGTERM]):
            owner = subprocess.Popen([sys.executable, "-c", OWNER, *how.split()], stdout=subprocess.PIPE, text=True)
            cleanup.enter_context(owner)
            cleanup.callback(owner.kill)
            assert owner.stdout is not None
            pid, home, port, forked = owner.stdout.readline().split()
            if int(forked) > 1:
                cleanup.callback(os.kill, int(forked), signal.SIGKILL)
            # The thread that started it has ended, the forked child has called stop(): it runs on.
            with redis.Redis(port=int(port)) as connection:
                assert connection.ping()
            owners.append((owner, sent, int(pid), Path(home)))
        for owner, sent, _, _ in owners:
            owner.send_signal(sent)
        assert eventually(lambda: not any(alive(server) for _, _, server, _ in owners))
        assert eventually(lambda: not any(temporary.exists() for _, _, _, temporary in owners))


def test_ctrl_c_reaches_the_owner_and_not_the_server(valkey: EmbeddedServer) -> None:
    assert os.getpgid(valkey.pid) != os.getpgid(0)


def test_a_forked_child_leaves_its_parents_data_alone(valkey: EmbeddedServer) -> None:
    child = os.fork()
    if child == 0:
        valkey.kill()
        valkey.stop()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert valkey.running
    assert valkey.data_dir.is_dir()
    with client(valkey) as connection:
        assert connection.ping()
