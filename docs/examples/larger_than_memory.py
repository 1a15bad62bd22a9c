"""Fit a model to ratings that take more memory than there is: a limit that the script sets for itself.

python docs/examples/larger_than_memory.py                            # 20 million ratings, 200 MB
python docs/examples/larger_than_memory.py --ratings 1000000 --megabytes 100
"""

import argparse
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import open_ratings

try:
    import resource
except ImportError:  # on Windows
    resource = None

BATCH = 2**18
N_USERS, N_ITEMS, RANK, NOISE = 50_000, 5_000, 4, 0.5


def batches_of_ratings(n_ratings):
    """Make tables of ratings: users and items with factors, and noise."""
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, RANK)) / RANK**0.25 for n in (N_USERS, N_ITEMS))
    for start in range(0, n_ratings, BATCH):
        n = min(BATCH, n_ratings - start)
        user = rng.integers(0, N_USERS, n)
        item = (N_ITEMS * rng.random(n) ** 2).astype(np.int64)  # some are rated more often
        rating = 3.5 + 0.7 * np.sum(users[user] * items[item], axis=1) + NOISE * rng.standard_normal(n)
        yield pa.table({"user": user, "item": item, "rating": rating})


def write_ratings(path, n_ratings):
    """Write a Parquet file, a table at a time."""
    writer = None
    for table in batches_of_ratings(n_ratings):
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def memory_of_data():
    """Bytes that the process has taken for its data so far, or None where the system does not say."""
    status = Path("/proc/self/status")
    if resource is None or not status.exists():
        return None
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmData:"))
    return 1024 * int(line.split()[1])


@contextmanager
def limited_memory(n_bytes):
    """Let the process take that many bytes more than it has, and none beyond; files that are mapped do not count."""
    now = memory_of_data()
    if now is None:
        print("This system has no limit of memory that a script can set: the fit runs without one.")
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (now + n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=20_000_000, help="how many ratings to make")
    parser.add_argument("--megabytes", type=int, default=200, help="how much memory the fit may take")
    parser.add_argument("--folder", help="where files go; by default a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "ratings.parquet"
        write_ratings(path, arguments.ratings)
        n_megabytes = 24 * arguments.ratings / 1e6  # two ids and a rating, of 8 bytes each
        print(f"{arguments.ratings:,} ratings, as a table {n_megabytes:,.0f} MB; limit {arguments.megabytes} MB")

        model = MatrixFactorizationRegressor(rank=8, max_iter=5, memory_map=folder, random_state=0)
        start = time.perf_counter()
        with limited_memory(arguments.megabytes * 10**6):
            model.fit(open_ratings(path))
        print(f"Fitted in {time.perf_counter() - start:.0f} s")

        test = next(batches_of_ratings(min(arguments.ratings, BATCH)))
        errors = model.predict(test.select(["user", "item"])) - test["rating"].to_numpy()
        print(f"RMSE {np.mean(errors**2) ** 0.5:.3f} where the noise is {NOISE}")


if __name__ == "__main__":
    main()
