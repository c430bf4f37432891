"""How far a file has been published, in a small file beside it that is removed at the end.

It is a convenience, never needed for correctness: events that are published twice are one event.
"""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_SAMPLE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Progress:
    """Lines and bytes of a file that have been published."""

    lines: int = 0
    offset: int = 0
    events: int = 0


class ProgressFile:
    """The progress of one file's publishing. Where it can't be written, publishing starts over the next time."""

    def __init__(self, path: Path) -> None:
        self._file = path
        self.path = path.with_name(path.name + ".progress")

    def load(self) -> Progress:
        """Where to go on; the beginning where nothing fits the file as it is now."""
        try:
            kept = json.loads(self.path.read_text())
            progress = Progress(int(kept["lines"]), int(kept["offset"]), int(kept["events"]))
            fits = progress.offset <= self._file.stat().st_size and kept["digest"] == self._digest(progress.offset)
        except (OSError, ValueError, KeyError, TypeError):
            return Progress()
        return progress if fits else Progress()

    def save(self, progress: Progress) -> None:
        temporary = self.path.with_name(self.path.name + ".new")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps({**asdict(progress), "digest": self._digest(progress.offset)}))
            os.replace(temporary, self.path)

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _digest(self, offset: int) -> str:
        """Of the first and the last bytes that were published: a file that was only appended to still fits."""
        digest = hashlib.sha256()
        with self._file.open("rb") as file:
            digest.update(file.read(min(offset, _SAMPLE)))
            file.seek(max(0, offset - _SAMPLE))
            digest.update(file.read(min(offset, _SAMPLE)))
        return digest.hexdigest()
