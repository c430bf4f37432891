"""From settings to what every process of the fleet needs: the store, and where alerts go.

Apart from the ports of a reconcile, so that a scheduler does without Crovver's client, which is slow to import.
"""

from worker.alerts.routing import Route, routes_of
from worker.core.alerts import Severity
from worker.settings import AlertUrl, Settings
from worker.store.redis_store import RedisStore


def store_of(settings: Settings) -> RedisStore:
    """The store that the settings name; it belongs to the event loop it is first used in.

    Raises:
        ConfigError: none is set.
    """
    return RedisStore.from_url(
        settings.require_state(), settings.namespace, journal_length=settings.journal_length,
        min_replicas=settings.min_replicas,
    )  # fmt: skip


def routes_of_settings(settings: Settings) -> tuple[Route, ...]:
    """The alert channels that are set."""

    def entries(urls: tuple[AlertUrl, ...]) -> list[tuple[str, Severity]]:
        return [(entry.url.get_secret_value(), Severity(entry.least.value)) for entry in urls]

    return routes_of(entries(settings.alert_urls), entries(settings.alert_link_urls))
