"""Compressed bodies: what kombu writes is read, within bounds."""

from __future__ import annotations

import bz2
import lzma
import tracemalloc
import zlib

import pytest
from kombu import compression as kombus

from modelane.errors import TooLarge, Undecodable
from modelane.protocol.compression import decompress

BODY = b"[1, 2, 3]" * 1000
FORMS = ["zlib", "bzip2", "lzma"]


@pytest.mark.parametrize("form", FORMS)
def test_what_kombu_compresses_is_read(form):
    compressed, name = kombus.compress(BODY, form)

    assert decompress(compressed, name, len(BODY)) == BODY


@pytest.mark.parametrize("form", FORMS)
def test_more_than_is_allowed_is_refused(form):
    compressed, name = kombus.compress(BODY, form)

    with pytest.raises(TooLarge, match="8999 bytes"):
        decompress(compressed, name, len(BODY) - 1)


@pytest.mark.parametrize(
    ("compress", "name"),
    [
        (zlib.compress, "application/x-gzip"),
        (bz2.compress, "application/x-bz2"),
        (lzma.compress, "application/x-lzma"),
    ],
)
def test_a_bomb_is_refused_before_it_grows(compress, name):
    bomb = compress(bytes(100 * 2**20))
    tracemalloc.start()

    with pytest.raises(TooLarge):
        decompress(bomb, name, 1000)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30 * 2**20


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-6], lambda data: b"nonsense" + data, lambda data: b""]
)
def test_what_is_damaged_or_cut_short_is_undecodable(form, damage):
    compressed, name = kombus.compress(BODY, form)

    with pytest.raises(Undecodable):
        decompress(damage(compressed), name, 10**6)


def test_a_body_may_not_ask_for_memory_beyond_any_preset():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    greedy = lzma.compress(BODY, filters=filters)

    with pytest.raises(Undecodable, match="emory"):
        decompress(greedy, "application/x-lzma", 10**6)


@pytest.mark.parametrize("name", ["application/zstd", "application/x-brotli", "pickle"])
def test_what_the_standard_library_does_not_have_is_refused_in_words(name):
    with pytest.raises(Undecodable, match=f"{name}.*is not supported: expected application/x-gzip, "):
        decompress(b"", name, 10)
