"""Guesses at the operator token are limited, for each address, whichever door they come to: sign-in form or API.

What counts is how many different wrong tokens an address has shown. An old token that a forgotten script keeps sending
tells nobody anything, and keeps nobody out.

An address that has used it up is refused until its minute is over, with the right token too: if that got through,
whoever guesses would only have to watch for it. Nobody else is: there is no limit for all addresses together, with
which a stranger could lock out everybody. And over the API an address where the right token has been used lately goes
on, whatever else comes from there.

Kept in the memory of one web process, on purpose. What nobody has signed for then costs no call to the store and leaves
nothing there; and against tokens of 16 characters a limit that is a few times higher, where several processes run, is
as good.
"""

import hashlib
import ipaddress
import secrets
from collections import OrderedDict
from typing import Final

WINDOW_SECONDS: Final = 60.0
EACH: Final = 5
"""Different wrong tokens of one address within the window."""

KNOWN_SECONDS: Final = 12 * 3600.0
"""For how long an address that has used the right token is known."""

ADDRESSES: Final = 10_000
"""Addresses that are remembered; the one that was heard of longest ago is forgotten first."""


class Guesses:
    """Counts wrong tokens. ``now`` is in seconds, of a clock that never goes back."""

    def __init__(self) -> None:
        # Not the tokens themselves: what is wrong here may be right elsewhere.
        self._salt = secrets.token_bytes(16)
        self._wrong: OrderedDict[str, OrderedDict[bytes, float]] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 where it may now."""
        tried = list(self._wrong.get(_network(address), OrderedDict()).values())
        return max(0.0, tried[0] + WINDOW_SECONDS - now) if len(tried) >= EACH else 0.0

    def wrong(self, address: str, token: bytes, now: float) -> None:
        """A wrong token came from this address."""
        network = _network(address)
        tried = self._wrong.setdefault(network, OrderedDict())
        mark = hashlib.blake2b(token, key=self._salt, digest_size=16).digest()
        tried[mark] = now
        tried.move_to_end(mark)
        if len(tried) > EACH:
            tried.popitem(last=False)
        _remember(self._wrong, network)

    def right(self, address: str, now: float) -> None:
        """The right token came from this address, over the API."""
        network = _network(address)
        self._known[network] = now
        _remember(self._known, network)

    def is_known(self, address: str, now: float) -> bool:
        """Whether the right token has lately been used from this address, over the API."""
        at = self._known.get(_network(address))
        return at is not None and now - at < KNOWN_SECONDS


def _remember(kept: OrderedDict[str, OrderedDict[bytes, float]] | OrderedDict[str, float], network: str) -> None:
    kept.move_to_end(network)
    while len(kept) > ADDRESSES:
        kept.popitem(last=False)


def _network(address: str) -> str:
    """The address, or for IPv6 the network that one customer is given."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
