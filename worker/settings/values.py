"""How the text of a setting becomes a value: durations, rates, lists, thresholds, URLs, secrets.

Every reader takes what an environment variable or a TOML file can hold, or the finished value, and raises `Problem`.
Only short numbers and words are repeated in a problem's text; URLs and secrets never are.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr

from worker.settings.errors import Problem

SECRET = object()
"""Marks, in a field's annotation, a setting whose value must not be shown and may come from a file."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_RATE = re.compile(r"(\d{1,9})\s*/\s*(s|m|min|h)")
_RATE_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::\d{1,5})?"
_ONE = rf"(?:[^@/?#\s]*@)?(?P<hosts>{_HOST})"
_MANY = rf"(?:[^@/?#\s]*@)?(?P<hosts>{_HOST}(?:,{_HOST})*)"
# What follows the scheme, per scheme, and an example of the whole.
_REDIS_SHAPES = {
    "redis": (rf"{_ONE}(?:/\d*)?(?:\?\S*)?", "redis://user:password@host:6379/0"),
    "rediss": (rf"{_ONE}(?:/\d*)?(?:\?\S*)?", "rediss://user:password@host:6379/0"),
    "unix": (r"(?:[^@/?#\s]*@)?(?P<hosts>)/[^?#\s]+(?:\?\S*)?", "unix:///run/valkey/valkey.sock"),
    "redis+sentinel": (
        rf"{_MANY}/[A-Za-z0-9_.-]+(?:/\d+)?(?:\?\S*)?",
        "redis+sentinel://host1:26379,host2:26379/service",
    ),
    "redis+cluster": (rf"{_MANY}/?(?:\?\S*)?", "redis+cluster://host1:6379,host2:6379"),
}
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PRINTABLE = re.compile(r"[!-~]{1,2048}")
_SECRET_LIMIT = 512
_ALERT_URL = re.compile(r"(?:(warning|critical)=)?([A-Za-z][A-Za-z0-9+.-]*://[!-~]+)")
# An Apprise URL may hold commas itself, so only a comma before another URL divides two of them.
_BETWEEN_ALERT_URLS = re.compile(r"\s*[,\n]\s*(?=(?:[a-z]+=)?[A-Za-z][A-Za-z0-9+.-]*://)")


def _given(value: object) -> str:
    """What was given, where that is short and harmless enough to repeat."""
    text = str(value)
    return f", not {text!r}" if len(text) <= 20 and text.isprintable() else ""


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if not isinstance(value, str):
        raise Problem("must be text", "put it in quotes")
    return value.strip()


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so many seconds, as in ``50/s`` or ``3000/min``."""

    calls: int
    seconds: int

    @property
    def per_second(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


class AlertSeverity(StrEnum):
    """The least severity a channel is sent."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class AlertUrl:
    """A channel for alerts: an Apprise URL (a secret) and the least severity it gets."""

    least: AlertSeverity
    url: SecretStr


def whole(least: int, most: int) -> BeforeValidator:
    """A whole number from ``least`` to ``most``."""

    def read(value: object) -> int | None:
        if value is None:
            return None
        number = int(value) if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value) else value
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise Problem(f"must be a whole number from {least:,} to {most:,}{_given(value)}", "give such a number")
        return number

    return BeforeValidator(read)


def choice(*names: str) -> BeforeValidator:
    """One of a few words."""

    def read(value: object) -> str:
        if value not in names:
            raise Problem(f"must be one of {', '.join(names)}{_given(value)}", f"choose one, such as {names[0]}")
        return str(value)

    return BeforeValidator(read)


def duration(least: timedelta, most: timedelta) -> BeforeValidator:
    """A length of time from ``least`` to ``most``: ``15m``, ``1h30m``, ``500ms``, or a number of seconds."""

    def read(value: object) -> timedelta:
        length = value if isinstance(value, timedelta) else _duration(value)
        if not least <= length <= most:
            raise Problem(f"must be {_length(least)} to {_length(most)} long{_given(value)}", "give such a duration")
        return length

    return BeforeValidator(read)


def _length(duration: timedelta) -> str:
    days, seconds = duration.days, duration.total_seconds()
    if days > 1 and duration == timedelta(days=days):
        return f"{days:,} days"
    return f"{seconds:,g} second{'' if seconds == 1 else 's'}"


def _duration(value: object) -> timedelta:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = repr(value)
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        return timedelta(seconds=float(text))
    parts = _DURATION_PART.findall(text) if len(text) <= 40 else []
    units = [list(_UNITS).index(unit) for _, unit in parts]
    # Largest unit first and each once: "5m1h" and "1m1m" are more likely slips than wishes.
    if parts and "".join(map("".join, parts)) == text and units == sorted(set(units), reverse=True):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        if seconds <= 1e9:
            return timedelta(seconds=seconds)
    raise Problem(f"must be a duration{_given(value)}", "write it like 30s, 15m or 1h30m, or as a number of seconds")


def _read_rate(value: object) -> Rate:
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[1]) <= 1_000_000:
        raise Problem(f"must be a rate of 1 to 1,000,000 calls{_given(value)}", "write it like 50/s or 3000/min")
    return Rate(int(match[1]), _RATE_SECONDS[match[2]])


def _items(value: object) -> list[object]:
    if isinstance(value, str):
        return [item.strip() for item in re.split(r"[,\n]", value)]
    if isinstance(value, list | tuple):
        return list(value)
    raise Problem("must be a list", "separate its items by commas")


def _read_thresholds(value: object) -> tuple[int, ...]:
    items = [value] if isinstance(value, int) and not isinstance(value, bool) else _items(value)
    numbers = [int(item) if isinstance(item, str) and re.fullmatch(r"\d{1,4}", item) else item for item in items]
    whole_numbers = [number for number in numbers if isinstance(number, int) and not isinstance(number, bool)]
    if whole_numbers != numbers or not all(1 <= number <= 1000 for number in whole_numbers):
        raise Problem(f"must be percentages from 1 to 1000{_given(value)}", "write them like 80,90,100")
    if whole_numbers != sorted(set(whole_numbers)):
        raise Problem(f"must rise from each percentage to the next{_given(value)}", "write them like 80,90,100")
    return tuple(whole_numbers)


def _read_http_url(value: object) -> str | None:
    if value is None:
        return None
    text = _text(value)
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good or not _PRINTABLE.fullmatch(text):
        raise Problem("must be an https:// or http:// URL", "write it like https://app.example.com")
    if "@" in parts.netloc:
        raise Problem("must not carry a user name or password", "leave the part before the @ out")
    return text


def _read_base_url(value: object) -> str:
    text = _read_http_url(value)
    if text is None or "?" in text or "#" in text:
        raise Problem("must be a URL with no query and no fragment", "write it like https://app.example.com")
    return text.rstrip("/")


def _read_path(value: object) -> Path | None:
    if value is None or isinstance(value, Path):
        return value
    text = _text(value)
    if not text.isprintable() or len(text) > 4096:
        raise Problem("must be the path of a file", "give one without control characters")
    return Path(text)


def redis_server(*schemes: str) -> BeforeValidator:
    """The URL of a Redis or Valkey server, by one of some schemes. A secret, as it may hold a password."""

    def read(value: object) -> SecretStr | None:
        if value is None:
            return None
        text = _text(value)
        scheme, _, rest = text.partition("://")
        if scheme == "redis+cluster" and scheme not in schemes:
            raise Problem("must not be a cluster, which the broker cannot use", "give a cluster as SEATS_STATE_URL")
        if scheme not in schemes:
            raise Problem(f"must begin with {', '.join(f'{name}://' for name in schemes)}", "correct the URL's scheme")
        shape, example = _REDIS_SHAPES[scheme]
        match = re.fullmatch(shape, rest)
        if match is None or not all(0 < int(port) < 65536 for port in re.findall(r":(\d+)(?:,|$)", match["hosts"])):
            raise Problem(f"is not a whole {scheme}:// URL", f"write it like {example}, a password percent-encoded")
        return SecretStr(text)

    return BeforeValidator(read)


def _read_namespace(value: object) -> str:
    text = _text(value)
    if not _NAMESPACE.fullmatch(text):
        raise Problem("must be 1 to 64 letters, digits, dots, dashes and underscores", "choose a name like seats-live")
    return text


def _read_word(value: object) -> str | None:
    if value is None:
        return None
    text = _text(value)
    if not _PRINTABLE.fullmatch(text) or len(text) > 255:
        raise Problem("must be 1 to 255 printable ASCII characters without spaces", "copy it again")
    return text


def _read_host(value: object) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,253}", text):
        raise Problem("must be an address or a host name without a port", "write it like 127.0.0.1 or 0.0.0.0")
    return text


def _read_networks(value: object) -> tuple[str, ...]:
    networks = []
    for item in _items(value):
        try:
            network = ipaddress.ip_network(_text(item), strict=False)
        except ValueError:
            network = None
        # Where everybody is trusted, everybody can say to be anybody.
        if network is None or network.prefixlen == 0:
            raise Problem("must be addresses or networks of proxies", "write them like 10.0.0.7,192.168.0.0/16")
        networks.append(str(network))
    return tuple(dict.fromkeys(networks))


def _secret(value: object, check: Callable[[str], None]) -> SecretStr:
    text = _text(value)
    if not _PRINTABLE.fullmatch(text) or len(text) > _SECRET_LIMIT:
        problem = f"must be 1 to {_SECRET_LIMIT} printable ASCII characters without spaces"
        raise Problem(problem, "copy the secret again, in one piece")
    check(text)
    return SecretStr(text)


def secret(check: Callable[[str], None] = lambda text: None) -> BeforeValidator:
    """A single secret. ``check`` raises `Problem` for one that cannot be right."""
    return BeforeValidator(lambda value: None if value is None else _secret(value, check))


def secrets(check: Callable[[str], None] = lambda text: None) -> BeforeValidator:
    """A list of secrets, without repetitions."""

    def read(value: object) -> tuple[SecretStr, ...]:
        items = _items(value)
        if "" in items:
            raise Problem("has an empty item", "remove the comma too many")
        return tuple(dict.fromkeys(_secret(item, check) for item in items))

    return BeforeValidator(read)


def prefixed(*prefixes: str) -> Callable[[str], None]:
    """A check for `secret` and `secrets`: begins with one of some prefixes and goes on after it."""

    def check(text: str) -> None:
        if not any(text.startswith(prefix) and len(text) > len(prefix) for prefix in prefixes):
            raise Problem(f"must begin with {' or '.join(prefixes)}", "copy the secret again, from its beginning")

    return check


def not_public(text: str) -> None:
    """A check for `secret`: not a public key, which cannot do what is asked of it."""
    if text.startswith("pk_"):
        raise Problem("is a public key (pk_…)", "give the secret key (sk_…)")


def _read_alert_urls(value: object) -> tuple[AlertUrl, ...]:
    items = _BETWEEN_ALERT_URLS.split(value.strip()) if isinstance(value, str) else _items(value)
    urls = []
    for item in items:
        if isinstance(item, AlertUrl):
            urls.append(item)
            continue
        match = _ALERT_URL.fullmatch(_text(item))
        if match is None:
            raise Problem(
                "must be URLs, each with warning=, critical= or nothing before it",
                "write them like warning=slack://…,critical=mailto://…",
            )
        urls.append(AlertUrl(AlertSeverity(match[1] or "info"), SecretStr(match[2])))
    return tuple(urls)


def _read_link_urls(value: object) -> tuple[AlertUrl, ...]:
    urls = _read_alert_urls(value)
    if any(entry.least is not AlertSeverity.INFO for entry in urls):
        raise Problem(
            "must be URLs without warning= or critical= before them: payable links come with alerts for information",
            "remove the prefix, or give that URL in SEATS_ALERT_URLS",
        )
    return urls


RateValue = Annotated[Rate, BeforeValidator(_read_rate)]
Thresholds = Annotated[tuple[int, ...], BeforeValidator(_read_thresholds)]
HttpUrl = Annotated[str | None, BeforeValidator(_read_http_url)]
BaseUrl = Annotated[str, BeforeValidator(_read_base_url)]
OptionalBaseUrl = Annotated[str | None, BeforeValidator(lambda value: None if value is None else _read_base_url(value))]
OptionalPath = Annotated[Path | None, BeforeValidator(_read_path)]
Namespace = Annotated[str, BeforeValidator(_read_namespace)]
Host = Annotated[str, BeforeValidator(_read_host)]
Word = Annotated[str | None, BeforeValidator(_read_word)]
Networks = Annotated[tuple[str, ...], BeforeValidator(_read_networks)]
AlertUrls = Annotated[tuple[AlertUrl, ...], SECRET, BeforeValidator(_read_alert_urls)]
AlertLinkUrls = Annotated[tuple[AlertUrl, ...], SECRET, BeforeValidator(_read_link_urls)]
