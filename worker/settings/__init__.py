"""What an operator can set, read from the environment, a TOML file and the defaults, in that order."""

from worker.settings.errors import ConfigError
from worker.settings.model import CrovverKey, Settings
from worker.settings.shipped import shipped_config
from worker.settings.values import AlertSeverity, AlertUrl, Rate

__all__ = ["AlertSeverity", "AlertUrl", "ConfigError", "CrovverKey", "Rate", "Settings", "shipped_config"]
