"""What every command shares: the global options, the settings, the logging."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Common:
    """The global options as given."""

    config: Path | None = None
    debug: bool = False

    @classmethod
    def of(cls, context: typer.Context) -> Common:
        """Those of the command that is running."""
        found = context.find_object(cls)
        return found if found is not None else cls()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The same options for another process."""
        config = ("--config", str(self.config)) if self.config is not None else ()
        return (*config, *(("--debug",) if self.debug else ()))

    def settings(self) -> Settings:
        """The settings; what is doubtful in them is said once, on standard error, by whoever serves with them.

        Raises:
            ConfigError: a setting is wrong.
        """
        from worker.settings import Settings

        return Settings.load(self.config)

    def log_as(self, process: str, settings: Settings) -> None:
        """Set up the log of a serving process, and begin it with what is doubtful in its settings."""
        import structlog

        from worker import logs

        logs.setup(settings.log_format, "debug" if self.debug else settings.log_level, process)
        for warning in settings.warnings():
            structlog.get_logger("worker.settings").warning(warning)
