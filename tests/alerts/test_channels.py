"""Channels, against a real receiver."""

import builtins
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.alerts.receiver import TOKEN, Receiver
from tests.alerts.samples import CRITICAL, INFO, WARNING
from worker.alerts.channels import Channel, ChannelError, open_channel, open_channels
from worker.alerts.digest import ROOM, Message
from worker.alerts.routing import routes_of
from worker.settings import ConfigError


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def root_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """All that reaches the root logger, at any level; urllib3, which names paths, tamed as worker.logs does."""
    stream, root, chatty = io.StringIO(), logging.getLogger(), logging.getLogger("urllib3")
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(stream)])
    levels = root.level, chatty.level
    root.setLevel(logging.DEBUG)
    chatty.setLevel(logging.WARNING)
    yield stream
    root.setLevel(levels[0])
    chatty.setLevel(levels[1])


def channel_of(url: str) -> Channel:
    return open_channel(routes_of([(url, INFO)], [])[0])


def refusal(url: str) -> str:
    with pytest.raises(ConfigError) as refused:
        channel_of(url)
    return str(refused.value)


def test_a_message_arrives_as_it_is_with_its_severity(receiver: Receiver) -> None:
    channel = channel_of(receiver.url)
    for severity in (INFO, WARNING, CRITICAL, None):
        channel.send(Message("a title", "first <b> & *line*\n\nsecond {x} \\n", severity))
    assert [message.type for message in receiver.messages] == ["info", "warning", "failure", "success"]
    assert receiver.messages[0].title == "a title"
    assert receiver.messages[0].message == "first <b> & *line*\n\nsecond {x} \\n"


def test_why_a_message_did_not_arrive_is_said_without_the_url(receiver: Receiver) -> None:
    channel = channel_of(receiver.url)
    receiver.status = 503
    with pytest.raises(ChannelError) as refused:
        channel.send(Message("t", "b", INFO))
    assert str(refused.value) == "the service answered with HTTP 503"
    receiver.down()
    with pytest.raises(ChannelError) as gone:
        channel.send(Message("t", "b", INFO))
    assert "no connection" in str(gone.value)
    assert TOKEN not in f"{refused.value!r} {gone.value!r} {gone.value.__cause__!r} {gone.value.__context__!r}"


def test_a_plugin_that_breaks_is_a_failure_like_any_other(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = channel_of(receiver.url)

    def broken(**words: object) -> None:
        raise RuntimeError(f"at {TOKEN}")

    monkeypatch.setattr(channel._service, "notify", broken)
    with pytest.raises(ChannelError) as failed:
        channel.send(Message("t", "b", INFO))
    assert str(failed.value) == "the service's plugin failed (RuntimeError)"


def test_nothing_of_a_channel_gets_into_the_log(receiver: Receiver, root_log: io.StringIO) -> None:
    channel = channel_of(receiver.url)
    channel.send(Message("a title", "a body", INFO))
    receiver.status = 404
    with pytest.raises(ChannelError):
        channel.send(Message("a title", "a body", INFO))
    refusal("slack://nonsense")
    logging.getLogger("canary").debug("written")
    assert root_log.getvalue() == "written\n"


def test_a_url_that_apprise_does_not_take_is_refused_by_setting_and_name() -> None:
    said = refusal(f"nonsense://user:{TOKEN}@host")
    assert said.startswith("SEATS_ALERT_URLS holds a URL that Apprise does not take (nonsense-")
    assert TOKEN not in said
    with pytest.raises(ConfigError, match="SEATS_ALERT_LINK_URLS"):
        open_channels(routes_of([], [(f"slack://{TOKEN}", INFO)]))


def test_without_apprise_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "apprise":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "pip install 'seat-reconciler[alerts]'" in refusal("json://host")


def test_a_channel_knows_how_much_it_takes() -> None:
    assert channel_of("json://host").room == ROOM
    assert channel_of("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js").room <= 2000
    hook = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert channel_of(hook).name.startswith("https-")


def test_a_channel_without_titles_has_room_for_one_in_its_body() -> None:
    telegram = channel_of("tgram://123456789:alphanumeric/12315544/")
    assert telegram.room <= ROOM
    sms = channel_of("twilio://AC01234567890123456789012345678901:token01234567890123456789012@12345678901/")
    assert sms.room <= 140
