"""Which channel hears of what, under which name."""

from tests.alerts.samples import CRITICAL, INFO, WARNING
from worker.alerts.routing import LINK_URLS, URLS, routes_of

SLACK = "slack://T0001/B0002/hunter2hunter2"


def test_a_channels_name_is_the_same_everywhere_and_holds_nothing_of_its_url() -> None:
    (route,) = routes_of([(SLACK, WARNING)], [])
    assert route.name.startswith("slack-")
    assert len(route.name) == len("slack-") + 4
    assert routes_of([("json://h", INFO), (SLACK, INFO)], [])[1].name == route.name
    assert "hunter2" not in repr(route)
    assert (route.least, route.links, route.setting) == (WARNING, False, URLS)


def test_a_channel_given_twice_is_one_that_hears_of_all_that_either_says() -> None:
    (both,) = routes_of([(SLACK, INFO), (SLACK, CRITICAL)], [(SLACK, WARNING)])
    assert (both.least, both.links, both.setting) == (INFO, True, LINK_URLS)
    links, plain = routes_of([("json://h", CRITICAL)], [(SLACK, INFO)])
    assert (links.links, plain.links) == (True, False)


def test_no_two_channels_share_a_name() -> None:
    routes = routes_of([(f"json://host/{number}", INFO) for number in range(2000)], [])
    assert len({route.name for route in routes}) == 2000
    assert len(routes[0].name) > len("json-") + 4


def test_an_odd_scheme_does_not_get_into_a_name() -> None:
    (route,) = routes_of([("1{evil}://x", INFO)], [])
    assert route.name.startswith("channel-")
