"""The web app on one Valkey for all of these tests, and every store there is."""

from tests.store.conftest import Play, play, single_servers
from tests.web.conftest import Open, open_site, site, state_url

__all__ = ["Open", "Play", "open_site", "play", "single_servers", "site", "state_url"]
