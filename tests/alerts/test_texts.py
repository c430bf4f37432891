"""The texts of alerts: all there, checked at the start, and an operator's own over them."""

import re
from pathlib import Path

import pytest

from tests.alerts.samples import TEXTS, raised
from worker.alerts.texts import CASES, MOMENTS, fields_of, read_texts, text_of
from worker.cli import app
from worker.core.alert_rules import DATA_FIELDS
from worker.core.alerts import AlertKind
from worker.settings import ConfigError, Settings, shipped_config

SHIPPED = shipped_config("alerts.toml")


def own(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text)
    return path


def test_every_kind_says_what_happened_what_it_means_what_to_do_and_when_it_is_over() -> None:
    assert TEXTS.keys() == set(AlertKind) == DATA_FIELDS.keys()
    for kind, text in TEXTS.items():
        for said in (text.line, text.happened, text.means, text.todo, *([] if kind in MOMENTS else [text.resolved])):
            assert said.strip() == said != ""
        assert bool(text.resolved) is (kind not in MOMENTS)
        assert "{" not in text.title
        assert text.happened.endswith(".")


def test_an_operators_own_texts_lie_over_the_shipped_ones(tmp_path: Path) -> None:
    path = own(tmp_path, '[near_capacity]\ntitle = "nearly full"\nhappened = "{used}/{capacity} at {tenant}"\n')
    texts = read_texts(SHIPPED, path)
    changed = texts[AlertKind.NEAR_CAPACITY]
    assert (changed.title, changed.happened) == ("nearly full", "{used}/{capacity} at {tenant}")
    assert changed.todo == TEXTS[AlertKind.NEAR_CAPACITY].todo
    assert texts[AlertKind.DRIFT] == TEXTS[AlertKind.DRIFT]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[near_capcity]\ntitle = 'x'",
            "has near_capcity, which is no kind of alert's table: did you mean [near_capacity]?",
        ),
        ("near_capacity = 'x'", "no kind of alert"),
        ("[surprise]\nmeans = 'x'", "use one of near_capacity, capacity_exceeded"),
        ("[drift]\ntitel = 'x'", "[drift] titel is no text of this kind: use title, line, happened"),
        ("[drift]\nmeans = 5", "[drift] means must be a text of 1 to 1,000 characters"),
        ("[drift]\nmeans = ' '", "[drift] means must be a text"),
        ("[drift]\nmeans = '" + "x" * 1001 + "'", "[drift] means must be a text"),
        ("[drift]\nmeans = '{capacity}'", "has {capacity}, which is no field of it: use {tenant}, {at}, {missing}"),
        ("[drift]\ntitle = '{tenant}'", "has {tenant}, which is no field of it: it takes no fields"),
        ("[drift]\nmeans = '{tenant.__class__}'", "which is no field of it"),
        ("[drift]\nmeans = '{tenant!r}'", "which is no field of it"),
        ("[drift]\nmeans = '{missing:>9999999}'", "which is no field of it"),
        ("[drift]\nmeans = '{}'", "which is no field of it"),
        ("[drift]\nmeans = '{'", "has a brace too many"),
        ("[drift]\nhappened = '{lasted}'", "which is no field of it"),
        ("[payment_confirmed]\nresolved = 'x'", "is no text of this kind"),
        ("[drift.hard]\nmeans = 'x'", "[drift] hard is no text of this kind"),
        (
            "[credits_low.hard]\nmeans = '{capacity}'",
            "[credits_low.hard] means has {capacity}, which is no field of it",
        ),
        ("[credits_low.hard.hard]\nmeans = 'x'", "[credits_low.hard] hard is no text of this kind"),
        ("[credits_low]\nhard = 'x'", "[credits_low] hard is no text of this kind"),
        ("[drift", "is not valid TOML"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_by_file_and_table(tmp_path: Path, text: str, said: str) -> None:
    path = own(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        read_texts(SHIPPED, path)
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"SEATS_ALERT_TEXTS: {path}")
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_texts(SHIPPED, tmp_path / "nothing.toml")
    (tmp_path / "own.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_texts(SHIPPED, tmp_path / "own.toml")


def test_a_shipped_file_that_lacks_a_text_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "alerts.toml"
    broken.write_text(SHIPPED.read_text().replace('[drift]\ntitle = "Crovver\'s list of users is not ours"', "[drift]"))
    with pytest.raises(ConfigError, match=r"has no title in \[drift\]"):
        read_texts(broken)


def test_a_special_case_has_its_own_texts_and_the_kinds_where_it_has_none(tmp_path: Path) -> None:
    for kind in CASES:
        assert TEXTS[kind].case is not None
    path = own(tmp_path, '[credits_low]\ntodo = "all"\n[credits_low.hard]\nline = "hard"\n')
    texts = read_texts(SHIPPED, path)
    soft = texts[AlertKind.CREDITS_LOW]
    assert soft.case is not None
    assert (soft.todo, soft.case.todo, soft.case.line) == ("all", "all", "hard")
    assert soft.case.means == getattr(TEXTS[AlertKind.CREDITS_LOW].case, "means", None) != soft.means
    assert soft.line == TEXTS[AlertKind.CREDITS_LOW].line


def test_a_field_decides_on_a_special_case_where_the_kind_has_it() -> None:
    assert all(CASES[kind] in DATA_FIELDS[kind] for kind in CASES)
    low = raised("acme", AlertKind.CREDITS_LOW, hard=True)
    assert text_of(TEXTS, low) is TEXTS[AlertKind.CREDITS_LOW].case
    assert text_of(TEXTS, raised("acme", AlertKind.CREDITS_LOW)) is TEXTS[AlertKind.CREDITS_LOW]


def test_commands_take_the_tenants_id_as_a_shell_does() -> None:
    for text in TEXTS.values():
        for one in (text, text.case or text):
            for said in (one.happened, one.means, one.todo, one.resolved):
                assert "{tenant}" not in "".join(re.findall(r"`[^`]*`", said))
                assert not re.search(r"(?<!`)\bseats [a-z-]+ \{", said)


def test_what_ends_with_a_subscription_does_not_claim_that_all_is_well() -> None:
    for kind in (
        "near_capacity",
        "capacity_exceeded",
        "full_soon",
        "credits_low",
        "credits_exhausted",
        "credits_expiring",
    ):
        text = TEXTS[AlertKind(kind)]
        for one in (text, text.case or text):
            assert "the subscription has ended" in one.resolved


def test_a_resolved_text_may_also_say_how_long_it_lasted() -> None:
    assert {"since_at", "lasted", "missing"} <= set(fields_of(AlertKind.DRIFT, "resolved"))
    assert "percent" in fields_of(AlertKind.NEAR_CAPACITY, "line")
    assert "percent" not in fields_of(AlertKind.DRIFT, "line")


def test_every_command_that_a_text_names_exists() -> None:
    known = set(re.findall(r'^    \("([a-z-]+)", ', Path(app.__file__).read_text(), re.MULTILINE))
    words = " ".join(f"{text.happened} {text.todo}" for text in TEXTS.values())
    named = set(re.findall(r"(?<![\w-])seats ([a-z-]+) (?:[{]|FILE|ID|list|show)", words))
    assert {"why", "status", "approve", "cancel", "retry", "import", "credits", "dead-letters", "forget"} <= named
    assert named <= known
    settings = set(re.findall(r"SEATS_([A-Z_]+)", words))
    assert {name.lower() for name in settings} <= set(Settings.model_fields)
