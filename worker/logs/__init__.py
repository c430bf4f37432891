"""One log for all that runs in a process, without secrets in it: `setup` once, then ``structlog.get_logger()``."""

from worker.logs.redaction import redacted
from worker.logs.setup import setup

__all__ = ["redacted", "setup"]
