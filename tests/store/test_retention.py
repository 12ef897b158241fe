"""Old versions and abandoned files are removed, never a version that is needed or is being written."""

from __future__ import annotations

import os
import time

import pytest

from modelane_worker.registry.retention import STALE_S, prune, remove, sweep
from support.cards import a_version


@pytest.fixture
def five(store, publish):
    """Publish five versions, oldest first."""
    return [publish(number) for number in range(1, 6)]


def test_the_newest_are_kept(store, five):
    assert prune(store, "churn", keep=2, held=()) == five[:3]
    assert store.versions("churn") == five[3:]
    assert sorted(path.name for path in (store.root / "churn").iterdir()) == [".lock", *five[3:]]


def test_all_versions_are_kept_if_there_are_fewer_than_the_limit(store, five):
    assert prune(store, "churn", keep=5, held=()) == []
    assert prune(store, "never-trained", keep=1, held=()) == []


def test_an_old_version_is_kept_while_an_alias_names_it_or_a_worker_holds_it(store, five):
    store.promote("churn", five[0])
    store.promote("churn", five[1])

    assert prune(store, "churn", keep=1, held={five[2]}) == [five[3]]
    assert store.rollback("churn").champion == five[0]


def test_a_version_that_is_promoted_at_the_same_time_is_kept(store, five, trusted):
    store.promote("churn", five[0])

    assert not remove(store, "churn", five[0])
    assert not remove(store, "churn", a_version(99))
    store.read("churn", five[0], trusted)


def left(store, version: str, kind: str, age_s: float = 0.0):
    folder = store.root / "churn" / f".{version}.0a1b2c3d.{kind}"
    folder.mkdir(parents=True)
    (folder / "model.joblib").write_bytes(b"half")
    for path in (folder / "model.joblib", folder):
        os.utime(path, (time.time() - age_s,) * 2)
    return folder


def test_files_of_a_crash_are_removed_once_their_writer_is_certainly_dead(store, five):
    # Given abandoned files, files that are being written now, and files of the caller's own run
    old = left(store, a_version(7), "partial", age_s=STALE_S + 60)
    fresh = left(store, a_version(8), "partial")
    own = left(store, a_version(9), "partial")
    gone = left(store, five[0], "gone")

    swept = sweep(store, "churn", now_s=time.time(), of_run=a_version(9))

    assert sorted(swept) == sorted([old.name, own.name, gone.name])
    assert fresh.exists()
    assert store.versions("churn") == five


def test_a_large_file_that_is_written_for_hours_is_not_removed(store):
    folder = left(store, a_version(7), "partial", age_s=STALE_S + 60)
    os.utime(folder / "model.joblib")

    assert sweep(store, "churn", now_s=time.time()) == []


def test_a_symbolic_link_is_not_touched(store, tmp_path, publish):
    publish(1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.root / "churn" / f".{a_version(7)}.0a1b2c3d.gone").symlink_to(outside)

    assert sweep(store, "churn", now_s=time.time() + 2 * STALE_S) == []
    assert outside.exists()
