"""Hosts of their own on this machine: network namespaces, each with a cable to it that can be pulled."""

import itertools
import os
import subprocess
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import pytest

NETWORK = "10.77"
"""The addresses that hosts are given, of this machine alone."""

_numbers = itertools.count()


class Hosts:
    """So many hosts, which reach this machine at ``address`` and nothing else. They are gone when it ends."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._stack = ExitStack()
        self._part = os.getpid() % 200 + 1
        self._name = f"seats{os.getpid()}n{next(_numbers)}"
        self.address = f"{NETWORK}.{self._part}.1"

    def __enter__(self) -> Self:
        try:
            _do("ip", "address", "add", f"{self.address}/32", "dev", "lo")
            self._stack.callback(_try, "ip", "address", "del", f"{self.address}/32", "dev", "lo")
            for host in range(self._count):
                self._lay_cable(host)
        except (OSError, subprocess.CalledProcessError) as error:
            self._stack.close()
            said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
            pytest.skip(f"network namespaces can't be made here, which takes root and iproute2: {said}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def run_on(self, host: int) -> list[str]:
        """The words before a command that is to run on a host."""
        return ["ip", "netns", "exec", self._space(host)]

    def cut(self, host: int) -> None:
        """Pull a host's cable: whatever is on its way is lost, and no end is told."""
        _do("ip", "link", "set", self._cable(host), "down")

    def mend(self, host: int) -> None:
        """Plug it in again."""
        _do("ip", "link", "set", self._cable(host), "up")

    def _lay_cable(self, host: int) -> None:
        space, here = self._space(host), self._cable(host)
        theirs = here + "p"
        near, far = (f"{NETWORK}.{self._part}.{4 * (host + 1) + end}" for end in (1, 2))
        _do("ip", "netns", "add", space)
        self._stack.callback(_try, "ip", "netns", "del", space)
        _do("ip", "link", "add", here, "type", "veth", "peer", "name", theirs)
        self._stack.callback(_try, "ip", "link", "del", here)
        _do("ip", "link", "set", theirs, "netns", space)
        _do("ip", "address", "add", f"{near}/30", "dev", here)
        _do("ip", "link", "set", here, "up")
        _do("ip", "-n", space, "address", "add", f"{far}/30", "dev", theirs)
        _do("ip", "-n", space, "link", "set", "lo", "up")
        _do("ip", "-n", space, "link", "set", theirs, "up")
        _do("ip", "-n", space, "route", "add", "default", "via", near)

    def _space(self, host: int) -> str:
        return f"{self._name}h{host}"

    def _cable(self, host: int) -> str:
        # At most 15 characters, two of which are for its other end.
        return f"s{os.getpid() % 10**7}c{host}"


def _do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=10)


def _try(*words: str) -> None:
    subprocess.run(words, check=False, capture_output=True, timeout=10)
