"""A Valkey (or Redis) server that belongs to this process: for the demo, for local work and for tests."""

from worker.embedded.binary import EmbeddedError, find_binary
from worker.embedded.server import EmbeddedServer

__all__ = ["EmbeddedError", "EmbeddedServer", "find_binary"]
