"""Answer bodies, bounded by what they unpack to."""

import zlib
from typing import Final

MAX_BODY: Final = 2 * 1024 * 1024


class BodyFlaw(Exception):
    """The body can't be used. ``reason`` quotes nothing of it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Inflater:
    """Takes a body in pieces and gives it back unpacked, never more than ``limit`` bytes in all.

    httpx unpacks a whole piece before anyone can count: 64 KiB of gzip become 64 MiB. zlib can be told where to stop.

    Raises:
        BodyFlaw: an encoding that was not asked for, broken or cut gzip, or too much of it.
    """

    def __init__(self, encoding: str, *, limit: int) -> None:
        named = encoding.strip().lower()
        if named not in ("", "identity", "gzip", "x-gzip"):
            raise BodyFlaw("the answer came in an encoding that was not asked for")
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in named else None
        self._left = limit
        self._limit = limit
        self._any = False

    def feed(self, raw: bytes) -> bytes:
        """The unpacked bytes of the next piece."""
        self._any = self._any or bool(raw)
        piece = raw if self._gzip is None else self._unpack(raw)
        self._left -= len(piece)
        if self._left < 0:
            raise BodyFlaw(f"the answer is larger than {self._limit // 1024} KiB")
        return piece

    def finish(self) -> None:
        """The body has ended."""
        if self._gzip is not None and self._any and not self._gzip.eof:
            raise BodyFlaw("the answer's gzip data was cut")

    def _unpack(self, raw: bytes) -> bytes:
        assert self._gzip is not None
        try:
            return self._gzip.decompress(raw, self._left + 1)
        except zlib.error:
            pass
        raise BodyFlaw("the answer's gzip data is broken")
