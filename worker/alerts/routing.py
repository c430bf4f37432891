"""Routes: which channel hears of what, and by what name it may be called where others can read along."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from worker.core.alerts import Severity

URLS = "SEATS_ALERT_URLS"
LINK_URLS = "SEATS_ALERT_LINK_URLS"

_SHORTEST = 4
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,19}")


@dataclass(frozen=True, slots=True)
class Route:
    """A configured channel. ``links``: it is also given payable checkout links. ``setting`` names where it is set."""

    name: str
    url: str = field(repr=False)
    least: Severity
    links: bool
    setting: str


def routes_of(urls: Sequence[tuple[str, Severity]], link_urls: Sequence[tuple[str, Severity]]) -> tuple[Route, ...]:
    """The channels of both settings, in their order. One that is given twice hears of what either entry says.

    A channel's name is its scheme and the beginning of its URL's digest (``slack-3fa1``): the same in every process,
    and no help to anyone who wants to know the URL.
    """
    found: dict[str, Route] = {}
    for setting, entries in ((LINK_URLS, link_urls), (URLS, urls)):
        for url, least in entries:
            known = found.get(url)
            if known is None:
                found[url] = Route("", url, least, setting == LINK_URLS, setting)
            elif least.rank < known.least.rank:
                found[url] = replace(known, least=least)
    length = _SHORTEST
    while len({_name(url, length) for url in found}) < len(found):
        length += 1
    return tuple(replace(route, name=_name(url, length)) for url, route in found.items())


def _name(url: str, length: int) -> str:
    scheme = _SCHEME.match(url.partition("://")[0].lower())
    return f"{scheme[0] if scheme else 'channel'}-{hashlib.sha256(url.encode()).hexdigest()[:length]}"
