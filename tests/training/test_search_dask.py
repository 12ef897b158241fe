"""Fits on a Dask cluster, for data or fits that are too large for one machine; the search is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelane.errors import RecipeError
from modelane_training.recipe import Budget
from modelane_training.search.search import search
from training.mixed import decided, mixed

RECIPE = decided(mixed(), candidates=("linear",), budget=Budget(trials=3, minutes=30))


def find(recipe):
    return search(mixed(), recipe, seed=1, progress=lambda step, detail: None)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_search_on_a_dask_cluster_fits_there_and_finds_the_same():
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    elsewhere = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(host="127.0.0.1", **elsewhere) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = find(replace(RECIPE, joblib_backend="dask"))
        done = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.task_prefixes))

    here = find(RECIPE)
    assert any("_score" in name for name in done)
    assert [each.folds for each in found.trials] == [each.folds for each in here.trials]


@pytest.mark.parametrize("backend", ["dask", "no-such-one"])
def test_an_unavailable_backend_is_refused_with_the_reason(backend):
    with pytest.raises(RecipeError, match=f"joblib_backend '{backend}'"):
        find(replace(RECIPE, joblib_backend=backend))
