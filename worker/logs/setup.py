"""Where log entries go and how they look.

Everything, this program's structlog entries and other libraries' stdlib records alike, passes one pipeline to one
handler on standard error: JSON for machines, lines for a person at a terminal.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.core.printable import printable
from worker.logs.redaction import redact

# They log whole URLs, or each request, at INFO.
_CHATTY = ("asyncio", "httpcore", "httpx", "stripe", "urllib3")
# They bring handlers of their own, which would write past the pipeline.
_SELF_WILLED = ("dramatiq", "uvicorn", "uvicorn.access", "uvicorn.error")


def setup(format: str, level: str, process: str, stream: TextIO | None = None) -> None:
    """Send all logging of this process to ``stream`` (default: standard error).

    ``format`` is ``console``, ``json``, or ``auto``: ``console`` at a terminal, else ``json``. ``level`` is a level's
    name in lower case. ``process`` names this process in every entry ("web", "worker", ...). Uncaught exceptions and
    warnings go there too. Called again, it replaces what it had set up.
    """
    out = stream or sys.stderr
    at_terminal = out.isatty()
    number = logging.getLevelNamesMapping()[level.upper()]

    def name_process(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        name_process,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if format == "console" or (format == "auto" and at_terminal):
        colors = at_terminal and not os.environ.get("NO_COLOR")
        plain = structlog.dev.plain_traceback
        last: list[Processor] = [one_line, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    else:
        last = [structlog.processors.JSONRenderer()]
    handler = _Handler(out)
    handler.setLevel(number)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                # After everything that adds to an entry, so that nothing passes by.
                redact,
                *last,
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    _tame(_SELF_WILLED, logging.NOTSET)
    _tame(_CHATTY, max(number, logging.WARNING))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def one_line(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Show control characters in values as escapes, and indent tracebacks, so that no value can look like an entry."""
    safe: EventDict = {}
    for key, value in event.items():
        if key in ("exception", "stack") and isinstance(value, str):
            safe[key] = "\n".join("    " + printable(line) for line in value.splitlines())
        else:
            safe[printable(key)] = printable(value) if isinstance(value, str) else value
    return safe


def _tame(names: Iterable[str], level: int) -> None:
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(level)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger("worker").critical("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        error = (args.exc_type, args.exc_value, args.exc_traceback)
        thread = args.thread.name if args.thread else None
        structlog.get_logger("worker").critical("uncaught exception", thread=thread, exc_info=error)


class _Handler(logging.StreamHandler[TextIO]):
    """Never shows a record that could not be written: the default prints its arguments as they are, secrets too."""

    def handleError(self, record: logging.LogRecord) -> None:
        kind = sys.exc_info()[0]
        try:
            where = f"{record.name}, {record.filename}:{record.lineno}"
            self.stream.write(f"a log entry could not be written: {kind.__name__ if kind else 'unknown'} ({where})\n")
        except Exception:
            # The stream itself is gone; there is nowhere left to say so.
            return
