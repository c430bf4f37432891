"""Failed sign-ins are limited, for each address and in total, so that no token can be searched for.

Kept in the memory of one web process: with several of them, or after a restart, more guesses are possible, by a small
factor. Behind a proxy all browsers have the proxy's address and share one limit.
"""

import ipaddress
from collections import OrderedDict, deque
from typing import Final

WINDOW_SECONDS: Final = 60.0
EACH: Final = 5
"""Failures of one address within the window."""

ALL: Final = 100
"""Failures of all addresses within the window."""

ADDRESSES: Final = 10_000
"""Addresses that are remembered; the one that failed longest ago is forgotten first."""


class FailedSignIns:
    """Counts failures. ``now`` is in seconds, of a clock that never goes back."""

    def __init__(self) -> None:
        self._each: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque(maxlen=ALL)

    def wait(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 where it may now."""
        own = self._each.get(_network(address), deque())
        return max(_wait(own, EACH, now), _wait(self._all, ALL, now))

    def failed(self, address: str, now: float) -> None:
        """A wrong token came from this address."""
        network = _network(address)
        self._each.setdefault(network, deque(maxlen=EACH)).append(now)
        self._each.move_to_end(network)
        self._all.append(now)
        while len(self._each) > ADDRESSES:
            self._each.popitem(last=False)


def _wait(failures: deque[float], most: int, now: float) -> float:
    return max(0.0, failures[0] + WINDOW_SECONDS - now) if len(failures) >= most else 0.0


def _network(address: str) -> str:
    """The address, or for IPv6 the network that one customer is given."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
