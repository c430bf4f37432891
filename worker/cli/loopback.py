"""HTTP to this machine's own processes, for the demo and `seats up`: JSON in, JSON out, no proxies, loopback only."""

import json
import random
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

HOST = "127.0.0.1"
# Below the range that outgoing connections take their ports from, and apart from the embedded server's.
_PORTS = range(22_000, 32_000)
_TIMEOUT = 10.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unanswered(Exception):
    """Nobody answered, or not in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON that came with it (None where there was none)."""

    status: int
    body: Any


def call(
    method: str, url: str, body: object = None, *, token: str | None = None, content_type: str = "application/json"
) -> Answer:
    """Make one call to a loopback address.

    Raises:
        Unanswered: no answer.
    """
    assert urlsplit(url).hostname in (HOST, "localhost", "::1")
    headers: dict[str, str] = {"Accept": "application/json"}
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), content_type
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with _OPENER.open(request, timeout=_TIMEOUT) as answer:
            return Answer(answer.status, _json(answer.read()))
    except urllib.error.HTTPError as error:
        return Answer(error.code, _json(error.read()))
    except OSError as error:
        raise Unanswered(str(error)) from error


def member(body: object, name: str) -> Any:  # noqa: ANN401 (JSON may hold anything)
    """A member of a JSON object, None where there is none."""
    return body.get(name) if isinstance(body, Mapping) else None


def answers(url: str) -> bool:
    """Whether a process answers 200 there."""
    try:
        return call("GET", url).status == 200
    except Unanswered:
        return False


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a port can be listened on just now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that is free just now."""
    return next(port for port in random.sample(_PORTS, 200) if is_free(port))


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except ValueError:
        return None
