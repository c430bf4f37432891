"""The watch over the canaries finds what it is told to look for, however it is written, and fails the run for it."""

import base64
import html
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.canaries import ALLOWED, CANARIES, EMAIL, LINK_MARK, OPERATOR, Canary, Kind, Where
from tests.watch import Watch, found_in

WAYS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "among others": lambda text: f"a token: {text}!",
    "in capitals": str.upper,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded throughout": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "as JSON": lambda text: json.dumps({"deep": json.dumps({"text": text})}),
    "as JSON with slashes escaped": lambda text: text.replace("/", "\\/"),
    "as JSON escapes throughout": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "as JSON escapes, written twice": lambda text: "".join(f"\\\\u{ord(char):04X}" for char in text),
    "as a repr of bytes": lambda text: "".join(f"\\x{ord(char):02x}" for char in text),
    "as HTML": html.escape,
    "as HTML references": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "as HTML references, hexadecimal": lambda text: "".join(f"&#x{ord(char):x};" for char in text),
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in base64, one later": lambda text: base64.b64encode(f"x{text}y".encode()).decode(),
    "in base64, two later": lambda text: base64.b64encode(f"xx{text}yy".encode()).decode(),
    "in base64 for URLs": lambda text: base64.urlsafe_b64encode(f"user:{text}".encode()).decode(),
    "in hex": lambda text: text.encode().hex(),
}


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
@pytest.mark.parametrize("way", WAYS)
def test_a_canary_is_found_however_it_is_written(canary: Canary, way: str) -> None:
    written = WAYS[way](canary.text)
    assert canary in found_in(b"before \xff\x00 " + written.encode() + b" after")


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_less_than_all_of_it_is_none_and_so_is_a_mask(canary: Canary) -> None:
    assert canary not in found_in(canary.text[:-2].encode())
    assert canary not in found_in(base64.b64encode(canary.text[: len(canary.text) // 2].encode()))
    assert found_in(b"token: ***, user ***@***, [checkout url], canary, https://example.com/") == []


@pytest.mark.parametrize("where", Where)
@pytest.mark.parametrize("text", [OPERATOR, LINK_MARK, EMAIL], ids=["token", "link", "address"])
def test_a_find_is_told_without_the_secret_wherever_it_is_not_allowed(where: Where, text: str) -> None:
    watch, canary = Watch(), next(one for one in CANARIES if one.text == text)
    watch.saw(where, "some file", f"x {text} x")
    assert (watch.sources, watch.size) == (1, len(text) + 4)
    if (where, canary.kind) in ALLOWED:
        assert watch.finds == []
    else:
        (find,) = watch.finds
        assert text not in find
        assert find.startswith(f"{canary.name} ({canary.kind}) in {where}: some file, during tests/unit/test_watch.py")


def test_no_secret_is_allowed_anywhere() -> None:
    assert not [where for where, what in ALLOWED if what is Kind.SECRET]
    assert [where for where, what in ALLOWED if what not in set(Kind)] == [Where.SENTRY]
    assert all(ALLOWED.values())


def test_what_other_processes_have_seen_is_added() -> None:
    whole, part = Watch(), Watch()
    for watch in (whole, part):
        watch.saw(Where.LOG, "a log", f"{OPERATOR}\n")
        watch.saw(Where.ALERT, "nothing", "")
    whole.add(part.told())
    assert (whole.sources, whole.size, len(whole.finds), whole.by_place) == (2, 2 * len(OPERATOR) + 2, 2, {"log": 2})


PLANTED = """
import pytest
from tests import watch
from tests.canaries import OPERATOR, Where

def pytest_configure(config):
    config.pluginmanager.register(watch, "canaries")
"""
TESTS = """
from tests.canaries import OPERATOR, Where
from tests.watch import saw

def test_that_is_well():
    saw(Where.LOG, "a log", "nothing to see")

def test_that_leaks():
    {leak}
"""


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize(
    ("leak", "told"),
    [
        ("pass", ""),
        ("print('token', OPERATOR)", "in output of a test: Captured stdout call of test_planted.py::test_that_leaks"),
        ("saw(Where.METRICS, '/metrics', OPERATOR)", "in metrics: /metrics, during test_planted.py::test_that_leaks"),
    ],
)
def test_a_planted_canary_fails_a_run_whose_tests_all_pass(
    tmp_path: Path, processes: str, leak: str, told: str
) -> None:
    (tmp_path / "conftest.py").write_text(PLANTED)
    (tmp_path / "test_planted.py").write_text(TESTS.format(leak=leak))
    arguments = ["-q", "-p", "no:cacheprovider", f"-n{processes}", f"--rootdir={tmp_path}", "."]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == (1 if told else 0)
    assert f"{len(CANARIES)} markers, {1 if told else 0} found" in done.stdout
    assert told in done.stdout
    assert OPERATOR not in done.stdout


@pytest.mark.parametrize(
    ("path", "headers", "status", "looked"),
    [
        ("/", {}, 200, Where.STRANGER),
        ("/v1/tenants", {"authorization": f"Bearer {OPERATOR}"}, 200, None),
        ("/", {"cookie": "seats_session=x"}, 200, None),
        ("/", {"cookie": "seats_session=x"}, 500, Where.REFUSAL),
        ("/v1/tenants", {"authorization": f"Bearer {OPERATOR}"}, 404, Where.REFUSAL),
        ("/v1/events", {}, 401, Where.REFUSAL),
        ("/metrics", {"authorization": f"Bearer {OPERATOR}"}, 200, Where.METRICS),
    ],
)
def test_only_what_an_operator_has_signed_in_for_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str], status: int, looked: Where | None
) -> None:
    from tests import watch

    seen: list[Where] = []
    monkeypatch.setattr(watch, "saw", lambda where, name, data: seen.append(where))
    request = httpx.Request("GET", f"http://seats.test{path}", headers=headers)
    watch.saw_answer(httpx.Response(status, request=request, text="…"))
    assert seen == ([looked] if looked else [])
