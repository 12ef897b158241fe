"""The model card's format, version ids, and old cards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from modelane.data.features import ColumnType
from modelane.errors import IncompatibleModel, StoreError
from modelane_worker.registry.card import FORMAT, Card, decode
from modelane_worker.registry.version_id import check_version, is_version, new_version
from support.cards import a_card

SAMPLES = sorted((Path(__file__).parent / "samples").glob("card-*.json"))


def test_a_card_survives_a_round_trip_through_its_file():
    card = a_card()

    assert decode(card.encode()) == card


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_all_earlier_formats_can_still_be_read(sample):
    assert isinstance(decode(sample.read_bytes()), Card)


def test_columns_of_earlier_cards_keep_their_types():
    card = decode((Path(__file__).parent / "samples/card-1-mixed.json").read_bytes())

    number, string, date = ColumnType.NUMBER, ColumnType.STRING, ColumnType.DATE
    assert [feature.type for feature in card.features] == [number, number, string, date]
    assert decode(card.encode()) == card


def test_the_current_format_has_a_sample():
    assert f"card-{FORMAT}.json" in {sample.name for sample in SAMPLES}


def test_a_field_of_a_later_release_is_ignored():
    raw = a_card().encode().replace(b'"format"', b'"licence": "MIT", "format"', 1)

    assert decode(raw) == a_card()


def test_a_card_of_a_later_format_says_what_to_upgrade():
    raw = a_card(format=2).encode()

    with pytest.raises(IncompatibleModel, match=r"format 2.* reads format 1: upgrade"):
        decode(raw)


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"{}", b'{"format": 1}', b'{"format": "1"}'])
def test_an_invalid_card_is_refused_with_the_reason(raw):
    with pytest.raises(IncompatibleModel, match="not a model card that Modelane can read"):
        decode(raw)


def test_versions_sort_by_creation_time():
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    early = new_version(noon, b"\xff\xff\xff\xff")
    late = new_version(noon + timedelta(seconds=1), b"\0\0\0\0")

    assert early == "20261122T120000-ffffffff"
    assert early < late


def test_version_ids_are_in_utc():
    in_berlin = datetime(2026, 11, 22, 13, tzinfo=timezone(timedelta(hours=1)))

    assert new_version(in_berlin, bytes(4)) == "20261122T120000-00000000"


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "champion", "20261122T120000", "20261122T120000-0000000g"),
        *("20261122T120000-00000000/..", "20261122T120000-00000000\n"),
        "../20261122T120000-00000000",
    ],
)
def test_a_path_out_of_the_store_is_not_a_version(name):
    assert not is_version(name)
    with pytest.raises(StoreError, match="is not a version id"):
        check_version(name)
