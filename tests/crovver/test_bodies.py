"""Bodies are counted by what they unpack to, and cut ones are not taken for whole."""

import gzip
import tracemalloc

import pytest

from worker.crovver.bodies import BodyFlaw, Inflater

KIB = 1024


def unpack(encoding: str, *pieces: bytes, limit: int = 100 * KIB) -> bytes:
    inflater = Inflater(encoding, limit=limit)
    body = b"".join([inflater.feed(piece) for piece in pieces])
    inflater.finish()
    return body


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_plain_bytes_pass_up_to_the_limit(encoding: str) -> None:
    assert unpack(encoding, b"ab", b"c") == b"abc"
    assert len(unpack(encoding, b"x" * 100 * KIB)) == 100 * KIB
    with pytest.raises(BodyFlaw, match="larger"):
        unpack(encoding, b"x" * 100 * KIB, b"x")


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_gzip_is_unpacked_in_any_pieces(encoding: str) -> None:
    packed = gzip.compress(b"hello" * 1000)
    assert unpack(encoding, packed) == b"hello" * 1000
    assert unpack(encoding, *(packed[at : at + 1] for at in range(len(packed)))) == b"hello" * 1000
    assert len(unpack(encoding, gzip.compress(b"x" * 100 * KIB))) == 100 * KIB


def test_a_bomb_is_never_unpacked_beyond_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 20_000 * KIB)
    tracemalloc.start()
    with pytest.raises(BodyFlaw, match="larger"):
        unpack("gzip", bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1000 * KIB


@pytest.mark.parametrize("lost", [1, 8, 12])
def test_cut_gzip_is_a_flaw_even_where_all_its_data_came(lost: int) -> None:
    with pytest.raises(BodyFlaw, match="cut"):
        unpack("gzip", gzip.compress(b'{"success": true}')[:-lost])


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "nonsense"])
def test_what_was_not_asked_for_is_a_flaw(encoding: str) -> None:
    with pytest.raises(BodyFlaw, match="not asked for"):
        unpack(encoding, b"")


def test_broken_gzip_is_a_flaw_and_an_empty_body_none() -> None:
    with pytest.raises(BodyFlaw, match="broken"):
        unpack("gzip", b"not gzip at all")
    assert unpack("gzip") == b""
