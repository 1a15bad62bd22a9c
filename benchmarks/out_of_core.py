"""A fit of ratings that do not fit into memory, against the same fit in memory: bits, seconds, memory, disk.

    python benchmarks/out_of_core.py [--ratings 50000000] [--early-stopping] [--folder FOLDER]

Ratings of 200,000 users and 20,000 items, most of them of few, are written to a Parquet file. Each of three fits has a
process of its own:

memory       pandas reads the file; fit of the data frame
files        fit(open_ratings(file)), with memory_map, under a limit of memory
files, cold  the same, after the pages of the file were dropped from the cache of the system

The limit is RLIMIT_DATA, of Linux: 45 % of what the first fit took, 900 MB at least. It counts what a process may write
to and shares with nobody: allocated memory, whether it was touched or not, stacks of threads, data of libraries. It
does not count mapped files, so not the arrays of memory_map, nor the cache of the system. "Anonymous" is the part of
this memory that is really there. Both are looked at every 20 ms. "Mapped" is the room on the disk that arrays in files
take. "Read" and "written" are bytes that went through the disk. pyarrow allocates from the system: its own pool would
take 1 GB of the limit when it begins, most of it never touched.

The columns of seconds: loading by pandas; the first reading, for levels; the second, for codes; from there to the first
epoch (in memory with codes); epochs; the whole.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _clock import EpochClock

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._ids.batches import RatingBatches
from sklearn_mf.datasets import open_ratings

N_USERS, N_ITEMS, RANK, BATCH = 200_000, 20_000, 4, 2**20
SHARE_OF_MEMORY, LEAST_LIMIT = 0.45, 900 * 10**6  # libraries alone take a third of the latter
SECONDS_BETWEEN_LOOKS = 0.02
SECONDS = ["load", "levels", "codes", "dealing", "epochs", "all"]
MEGABYTES = ["anonymous", "counted", "peak RSS", "mapped", "read", "written"]


def write_ratings(path, n_ratings, dtype):
    """Write a Parquet file, a row group at a time."""
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, RANK)) / RANK**0.25 for n in (N_USERS, N_ITEMS))
    schema = pa.schema([("user", pa.int64()), ("item", pa.int64()), ("rating", pa.from_numpy_dtype(dtype))])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_ratings, BATCH):
            n = min(BATCH, n_ratings - start)
            user, item = ((size * rng.random(n) ** 2).astype(np.int64) for size in (N_USERS, N_ITEMS))
            rating = 3.5 + 0.7 * np.sum(users[user] * items[item], axis=1) + 0.5 * rng.standard_normal(n)
            writer.write_table(pa.table([user, item, rating.astype(dtype)], schema=schema))
    with path.open("rb") as file:
        os.fsync(file.fileno())


class Watch:
    """Note the largest numbers that the system has of this process."""

    def __init__(self, folder):
        self.peaks, self._folder = dict.fromkeys(["anonymous", "counted", "mapped"], 0), str(folder)
        self._done, self._thread = threading.Event(), threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self.peaks["peak RSS"] = kilobytes("VmHWM")
        for name, label in (("read_bytes", "read"), ("write_bytes", "written")):
            self.peaks[label] = int(re.search(rf"^{name}: (\d+)", Path("/proc/self/io").read_text(), re.M)[1]) / 1000

    def _look(self):
        while not self._done.wait(SECONDS_BETWEEN_LOOKS):
            now = {"anonymous": kilobytes("RssAnon"), "counted": kilobytes("VmData"), "mapped": self._mapped()}
            self.peaks = {name: max(peak, now[name]) for name, peak in self.peaks.items()}

    def _mapped(self):
        """Kilobytes of mapped files in the folder; they have no name there any more."""
        maps = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
        ends = [line[0].split("-") for line in maps if line[-1].startswith(self._folder)]
        return sum(int(end, 16) - int(start, 16) for start, end in ends) // 1024


def kilobytes(name):
    """Give a number of /proc/self/status."""
    return int(re.search(rf"^{name}:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)[1])


class ClockedBatches(RatingBatches):
    """Note when each reading begins and ends."""

    def __init__(self, opened):
        self.labels, self.feature_names, self.opened, self.times = opened.labels, opened.feature_names, opened, []

    def batches(self):
        self.times.append(time.perf_counter())
        yield from self.opened.batches()
        self.times.append(time.perf_counter())


def read_and_fit(model, path, is_mapped):
    """Fit; give the times between the steps named in SECONDS but the last."""
    clock, times = EpochClock(), [time.perf_counter()]
    with contextlib.redirect_stdout(clock):
        if is_mapped:
            batches = ClockedBatches(open_ratings(path))
            model.fit(batches)
            times += batches.times[:2] + batches.times[3:]
        else:
            import pandas as pd

            frame = pd.read_parquet(path)
            times += [time.perf_counter()] * 3
            model.fit(frame[["user", "item"]], frame["rating"])
    end = clock.times[-1]
    return [*np.diff([*times, end - clock.loop_seconds(), end]).tolist(), time.perf_counter() - times[0]]


def work(kind, path, limit, parameters):
    """Fit in this process; print what it took."""
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    parameters = {**parameters, "random_state": 0, "verbose": 1}
    if kind != "memory":
        parameters["memory_map"] = path.parent
    model = MatrixFactorizationRegressor(**parameters)
    with Watch(path.parent / "sklearn_mf_") as watch:
        seconds = read_and_fit(model, path, kind != "memory")
    digest = hashlib.sha256(np.float64(model.intercept_))
    for array in [*model.factors_, *model.biases_]:
        digest.update(np.ascontiguousarray(array))
    print(json.dumps({**watch.peaks, **dict(zip(SECONDS, seconds, strict=True)), "hash": digest.hexdigest()[:16]}))


def drop_pages(path):
    """Drop a file from the cache of the system."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(kind, path, limit, parameters):
    command = [sys.executable, __file__, "--work", kind, str(path), str(limit), json.dumps(parameters)]
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def row(kind, figures):
    numbers = [f"{figures[name]:.1f}" for name in SECONDS] + [f"{figures[name] / 1000:,.0f}" for name in MEGABYTES]
    return "| " + " | ".join([kind, *numbers, figures["hash"]]) + " |"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=50_000_000)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="of ratings in the file")
    parser.add_argument("--max-iter", type=int, default=5)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--early-stopping", action="store_true")
    parser.add_argument("--folder", help="where files go; by default a temporary folder")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.work:
        kind, path, limit, parameters = arguments.work
        work(kind, Path(path), int(limit), json.loads(parameters))
        return
    parameters = {"max_iter": arguments.max_iter, "rank": arguments.rank, "n_jobs": arguments.jobs}
    parameters["early_stopping"] = arguments.early_stopping
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder).resolve() / "ratings.parquet"
        write_ratings(path, arguments.ratings, np.dtype(arguments.dtype))
        print(f"{arguments.ratings:,} ratings, {path.stat().st_size / 1e6:,.0f} MB of Parquet; {parameters}\n")
        columns = ["", *[f"{name} s" for name in SECONDS], *[f"{name} MB" for name in MEGABYTES], "hash"]
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
        in_memory = run("memory", path, 0, parameters)
        print(row("memory", in_memory), flush=True)
        limit = max(int(SHARE_OF_MEMORY * 1024 * in_memory["anonymous"]), LEAST_LIMIT)
        for kind in ("files", "files, cold"):
            if kind == "files, cold":
                drop_pages(path)
            figures = run(kind, path, limit, parameters)
            print(row(kind, figures), flush=True)
            if figures["hash"] != in_memory["hash"]:
                raise SystemExit("The models differ.")
    print(f"\nThe same bits. Limit of the fits from files: {limit / 1e6:,.0f} MB.")


if __name__ == "__main__":
    main()
