"""Secrets are compared in one way: in the same time whatever they are, and without raising whatever is sent."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.core.secret import same

WORKER = Path(__file__).parents[2] / "worker"
ONE_WAY = "core/secret.py"
SECRET = re.compile(r"token|secret|signature|password|cookie|credential|(api|service)_?keys?|bearer", re.IGNORECASE)

ALLOWED = {
    ("settings/sources.py", "entry in secret_files"): "the names of settings",
    ("settings/model.py", "self.operator_token in self.ingest_tokens"): "two settings, at start, nobody guesses",
    ("store/memory.py", "held[1] != wake.token"): "a lease's number, no secret",
    ("store/memory.py", "(held[1] if held is not None else '') != wake.token"): "a lease's number, no secret",
    ("store/memory_alerts.py", "channel.token != delivery.token"): "a lease's number, no secret",
    ("sandbox/keys.py", "service_key != config.service_key"): "a stand-in for tests; its keys are printed at its start",
    ("sandbox/keys.py", "key in config.api_keys"): "a stand-in for tests; its keys are printed at its start",
}
"""Comparisons of what is called like a secret and is none, or nobody's to guess."""


def comparisons(source: str) -> Iterator[str]:
    """Comparisons by value in which a side is named like a secret, as they are written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            by_value = any(isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in node.ops)
            sides = (node.left, *node.comparators)
            known = any(isinstance(side, ast.Constant) and side.value != "" for side in sides)
            if by_value and not known and any(SECRET.search(_name(side)) for side in sides):
                yield ast.unparse(node)


def _name(side: ast.expr) -> str:
    """What a side of a comparison is called; a call, as the text it is."""
    match side:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return "" if name.isupper() else name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call():
            return ast.unparse(side.func) + " ".join(map(_name, side.args))
        case ast.IfExp():
            return _name(side.body) + _name(side.orelse)
    return ""


def test_nothing_called_like_a_secret_is_compared_in_another_way() -> None:
    found = {
        (path.relative_to(WORKER).as_posix(), text)
        for path in WORKER.rglob("*.py")
        for text in comparisons(path.read_text())
    }
    assert found - ALLOWED.keys() == set()
    assert ALLOWED.keys() - found == set(), "what is allowed is not there any more"


def test_the_one_way_stands_in_one_place() -> None:
    users = [path for path in WORKER.rglob("*.py") if "compare_digest" in path.read_text()]
    assert [path.relative_to(WORKER).as_posix() for path in users] == [ONE_WAY]


@pytest.mark.parametrize(
    "line",
    ["given == token", "token in tokens", "x.signature != expected", "header['cookie'] == y", "y == token.encode()"],
)
def test_the_check_sees_a_plain_comparison(line: str) -> None:
    assert list(comparisons(line)) == [line]


@pytest.mark.parametrize("secret", ["a-secret", "ключ", "a\udcff", b"a-secret", b"\xff"])
def test_only_the_same_is_the_same(secret: str | bytes) -> None:
    assert same(secret, secret)
    for other in ("", "x", "ё", "\ud800", b"", b"\xff\xfe", "a-secre", "a-secret "):
        assert not same(other, secret)
    assert same("ключ", "ключ".encode())


def test_the_empty_secret_is_nobodys() -> None:
    assert not same("", "")
    assert not same(b"", "")
