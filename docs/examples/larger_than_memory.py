"""
Ratings larger than memory
==========================

Fit a model to a file of ratings. The script limits its own memory to less than the
ratings would take. Parquet needs ``pip install "sklearn-mf[parquet]"``. With more
ratings:

.. code-block:: sh

   python docs/examples/larger_than_memory.py --ratings 20000000 --megabytes 200
"""

# %%
# Write a file of ratings
# -----------------------
# The ratings come from factors of users and items, plus noise. They are made and
# written in batches, so that this step needs little memory, too.

import argparse
import importlib.util
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import open_ratings

parser = argparse.ArgumentParser(description="Fit ratings larger than memory.")
parser.add_argument("--ratings", type=int, default=4_000_000)
parser.add_argument("--megabytes", type=int, default=80, help="memory for the fit")
parser.add_argument("--users", type=int, default=50_000)
parser.add_argument("--folder", help="for files; by default a temporary folder")
arguments = parser.parse_args()

BATCH = 2**16
N_ITEMS, RANK, NOISE = 5_000, 4, 0.5


def batches_of_ratings(n_ratings):
    rng = np.random.default_rng(0)
    sizes = (arguments.users, N_ITEMS)
    users, items = (rng.standard_normal((n, RANK)) / RANK**0.25 for n in sizes)
    for start in range(0, n_ratings, BATCH):
        n = min(BATCH, n_ratings - start)
        user = rng.integers(0, arguments.users, n)
        item = (N_ITEMS * rng.random(n) ** 2).astype(np.int64)  # some are popular
        rating = 3.5 + 0.7 * np.sum(users[user] * items[item], axis=1)
        rating += NOISE * rng.standard_normal(n)
        yield pa.table({"user": user, "item": item, "rating": rating})


temporary = tempfile.TemporaryDirectory(dir=arguments.folder)
path = Path(temporary.name) / "ratings.parquet"
test = next(batches_of_ratings(arguments.ratings))
with pq.ParquetWriter(path, test.schema) as writer:
    for batch in batches_of_ratings(arguments.ratings):
        writer.write_table(batch)
n_megabytes = 24 * arguments.ratings / 1e6  # two ids and a rating, of 8 bytes each
print(f"{arguments.ratings:,} ratings take {n_megabytes:,.0f} MB as a table")

# %%
# Limit the memory
# ----------------
# On Linux, a process can limit the memory that it may take for data. Mapped files do
# not count. On other systems the example runs without a limit.


@contextmanager
def limited_memory(n_bytes):
    """Let the process take that many bytes more than it has now."""
    status = Path("/proc/self/status")
    if not status.exists():
        print("no limit: this system does not say how much memory a process has")
        yield
        return
    import resource

    (line,) = (s for s in status.read_text().splitlines() if s.startswith("VmData:"))
    now = 1024 * int(line.split()[1])
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (now + n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


# %%
# Fit from the file
# -----------------
# ``open_ratings`` reads the file in batches. ``memory_map`` keeps the arrays of the fit
# in files of a folder.

model = MatrixFactorizationRegressor(
    rank=8, max_iter=5, memory_map=temporary.name, random_state=0
)
start = time.perf_counter()
with limited_memory(arguments.megabytes * 10**6):
    model.fit(open_ratings(path))
seconds = time.perf_counter() - start
print(f"fitted with {arguments.megabytes} MB of memory in {seconds:.1f} s")

# %%
# Check the predictions
# ---------------------
# The model was fitted on these ratings, too. The error is close to the noise that was
# added.

y_true = test["rating"].to_numpy()
y_pred = model.predict(test.select(["user", "item"]))
rmse = np.mean((y_true - y_pred) ** 2) ** 0.5
print(f"RMSE {rmse:.3f}; standard deviation of the noise {NOISE}")

# %%

if importlib.util.find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    from sklearn_mf.plotting import PredictedRatingsDisplay

    PredictedRatingsDisplay.from_predictions(y_true, y_pred)
    plt.show()

temporary.cleanup()
