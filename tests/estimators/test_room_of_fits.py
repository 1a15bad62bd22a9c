"""Check how much memory and how much of the disk a fit takes whose ratings and arrays are in files."""

import os
import subprocess
import sys
import textwrap
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.batches import make_batches_small

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._utils.storage import MappedStorage
from sklearn_mf.datasets import open_ratings


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    make_batches_small(monkeypatch, 400)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"early_stopping": True},
        {"early_stopping": True, "loss": "absolute_error"},
        {"loss": "huber"},
        {"loss": "poisson"},
    ],
    ids=lambda parameters: " ".join(map(str, parameters.values())) or "defaults",
)
@pytest.mark.parametrize("weight", [None, "n"])
def test_a_fit_holds_no_array_of_all_ratings(tmp_path, monkeypatch, parameters, weight):
    """Allocated memory, without mapped files: ten times as many ratings take less than a byte more for each of them."""
    make_batches_small(monkeypatch, 2**12)
    for module in ("ratings", "grid", "losses", "penalty_scale"):
        monkeypatch.setattr(f"sklearn_mf._training.{module}._MAX_CHUNK", 2**12)
    monkeypatch.setattr("sklearn_mf._prediction.own_contexts._CHUNK", 2**12)

    def peak_of(n_rows):
        rng = np.random.default_rng(0)
        table = pd.DataFrame({name: rng.integers(0, 300, n_rows) for name in ("user", "item")})
        table = table.assign(
            rating=rng.integers(0, 5, n_rows), week=rng.integers(0, 5, n_rows), n=1 + rng.random(n_rows)
        )
        table.to_parquet(tmp_path / "ratings.parquet")
        opened = open_ratings(tmp_path / "ratings.parquet", columns=["user", "item", "week", "rating"], weight=weight)
        tracemalloc.start()
        try:
            given = {"rank": 2, "max_iter": 2, "random_state": 0, **parameters}
            MatrixFactorizationRegressor(memory_map=tmp_path, **given).fit(opened)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = 30_000, 300_000
    peak_of(10_000)  # imports what is imported late
    least = peak_of(few)
    # Again if need be: other threads of this process, of a Dask cluster for one, allocate too.
    assert any(peak_of(many) - least < many - few for _ in range(3))


@pytest.fixture
def room(monkeypatch):
    """What files of a fit take at most, and what the disk was asked for; bytes."""
    room, n_bytes = {"most": 0, "asked": 0}, [0]
    make, ask = MappedStorage.empty, MappedStorage.require

    def let_go(size):
        n_bytes[0] -= size

    def empty(self, shape, dtype):
        array = make(self, shape, dtype)
        n_bytes[0] += array.nbytes
        room["most"] = max(room["most"], n_bytes[0])
        weakref.finalize(array, let_go, array.nbytes)
        return array

    def require(self, n):
        room["asked"] = n
        ask(self, n)

    monkeypatch.setattr(MappedStorage, "empty", empty)
    monkeypatch.setattr(MappedStorage, "require", require)
    return room


@pytest.mark.parametrize("loss", ["squared_error", "quantile", "poisson"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("weight", [None, "n"])
@pytest.mark.parametrize("implicit_features", [None, "both"])
@pytest.mark.filterwarnings("ignore:Training ended")
def test_files_take_no_more_than_the_disk_was_asked_for(room, loss, early_stopping, weight, implicit_features):
    rng = np.random.default_rng(0)
    for n_rows, n_users, columns in [(30_000, 300, ["user", "item"]), (9_000, 9_000, ["user", "item", "week"])]:
        table = pd.DataFrame({"user": rng.integers(0, n_users, n_rows), "item": rng.integers(0, 200, n_rows)})
        table["week"], y = rng.integers(0, 9, n_rows), rng.integers(1, 6, n_rows)
        table.loc[n_rows // 2 :, columns] = table.loc[: n_rows // 2 - 1, columns].to_numpy()  # repeats
        given = {} if weight is None else {"sample_weight": rng.random(n_rows)}
        model = MatrixFactorizationRegressor(
            12,
            max_iter=2,
            loss=loss,
            early_stopping=early_stopping,
            implicit_features=implicit_features,
            memory_map=True,
            random_state=0,
        )
        room["most"] = 0
        model.fit(table[columns], y, **given)
        assert 0 < room["most"] <= room["asked"] < 2.5 * room["most"]


SCRIPT = """
    import re, sys, threading, time
    import pytest
    from helpers.batches import make_batches_small
    from sklearn_mf import MatrixFactorizationRegressor
    from sklearn_mf._regressor import hyperparameters_of
    from sklearn_mf._streaming import StreamedInput
    from sklearn_mf._training.shard import Shard
    from sklearn_mf._utils.storage import storage_of
    from sklearn_mf._utils.threads import Threads
    from sklearn_mf.datasets import open_ratings

    def watch():
        global peak
        while not done.is_set():
            peak = max(peak, int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]))
            time.sleep(0.005)

    make_batches_small(pytest.MonkeyPatch(), 2**13)
    hyper = hyperparameters_of(MatrixFactorizationRegressor())
    for path in sys.argv[2:]:
        peak, done = 0, threading.Event()
        watcher = threading.Thread(target=watch)
        watcher.start()
        with storage_of(sys.argv[1]) as storage, Threads(1) as threads:
            StreamedInput(open_ratings(path), hyper, early_stopping=False).fit_levels(Shard(threads, storage))
        done.set()
        watcher.join()
        print(peak)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what is anonymous memory")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Anonymous memory, while ratings are read and encoded: ten times as many rows take hardly more."""
    paths = []
    for suffix in ("csv", "parquet"):
        for n_rows in (30_000, 300_000):
            rng, path = np.random.default_rng(0), tmp_path / f"{n_rows}.{suffix}"
            table = pd.DataFrame({name: rng.integers(0, 500, n_rows) for name in ("user", "item", "rating")})
            table["user"] = "u" + table["user"].astype(str)
            table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
            paths.append(str(path))
    script = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), *paths]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run(script, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    csv, larger_csv, parquet, larger_parquet = map(int, run.stdout.split())
    assert larger_csv - csv < 3000  # kB; codes and ratings of the rows alone take 4300
    assert larger_parquet - parquet < 3000
