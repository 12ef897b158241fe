"""Compressed bodies are decompressed, up to a limit."""

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
def test_a_body_beyond_the_limit_is_refused(form):
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
def test_a_decompression_bomb_is_refused_before_it_is_expanded(compress, name):
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
def test_a_damaged_or_truncated_body_is_undecodable(form, damage):
    compressed, name = kombus.compress(BODY, form)

    with pytest.raises(Undecodable):
        decompress(damage(compressed), name, 10**6)


def test_lzma_may_not_allocate_more_than_its_highest_preset():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    greedy = lzma.compress(BODY, filters=filters)

    with pytest.raises(Undecodable, match="emory"):
        decompress(greedy, "application/x-lzma", 10**6)


@pytest.mark.parametrize("name", ["application/zstd", "application/x-brotli", "pickle"])
def test_an_unsupported_compression_is_refused_with_the_supported_ones(name):
    with pytest.raises(Undecodable, match=f"{name}.*is not supported: expected application/x-gzip, "):
        decompress(b"", name, 10)
