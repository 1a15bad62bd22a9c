"""A fit from a Parquet file under a limit of memory, against the fit of the same ratings in memory.

    python benchmarks/out_of_core.py --ratings 50e6 --folder /some/disk

Each fit runs in a process of its own. Peaks are of anonymous memory (RssAnon of /proc/self/status, looked at every 20
ms). The limit is RLIMIT_DATA: it counts private memory that can be written to, used or not, and no shared mappings of
files. Linux only; pyarrow is needed.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

N_USERS, N_ITEMS = 200_000, 20_000
SHARE_ALLOWED = 0.45  # of what the fit in memory needs
ROWS_OF_A_PART = 2**21


def write_file(path, n):
    """Ratings in half stars of a model of rank 4, in row groups; users and items have long tails."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((N_USERS, 4)), rng.standard_normal((N_ITEMS, 4))
    schema = pa.schema([("user", pa.int32()), ("item", pa.int32()), ("rating", pa.float32())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n, ROWS_OF_A_PART):
            size = min(ROWS_OF_A_PART, n - start)
            users = (N_USERS * rng.random(size) ** 1.5).astype(np.int32)
            items = (N_ITEMS * rng.random(size) ** 2).astype(np.int32)
            y = 3.5 + 0.4 * np.einsum("ij,ij->i", U[users], V[items]) + 0.7 * rng.standard_normal(size)
            y = (np.round(np.clip(y, 0.5, 5) * 2) / 2).astype(np.float32)
            writer.write_table(pa.table([users, items, y], schema=schema))


class Peaks(threading.Thread):
    """Look at the memory of this process from time to time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.anonymous = self.data = 0.0
        self.start()

    def look(self):
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return [int(status[name].split()[0]) / 1024 for name in ("RssAnon", "VmData")]

    def run(self):
        while True:
            anonymous, data = self.look()
            self.anonymous, self.data = max(self.anonymous, anonymous), max(self.data, data)
            time.sleep(0.02)


def run_fit(path, folder, options):
    """One fit, in this process; prints what it took."""
    import pyarrow  # noqa: F401, before the limit

    from sklearn_mf import MatrixFactorizationRegressor
    from sklearn_mf.datasets import open_ratings

    if options["limit"] is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (int(options["limit"] * 2**20), resource.RLIM_INFINITY))
    if options["drop"]:
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    peaks, start = Peaks(), time.perf_counter()
    at_start = peaks.look()[0]
    model = MatrixFactorizationRegressor(
        max_iter=options["max_iter"],
        early_stopping=options["early_stopping"],
        random_state=0,
        n_jobs=2,
        memory_map=folder,
    )
    if folder is None:
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        X, y = np.column_stack([table["user"].to_numpy(), table["item"].to_numpy()]), table["rating"].to_numpy()
        del table
        read = time.perf_counter() - start
        model.fit(X, y)
    else:
        read = 0.0
        model.fit(open_ratings(path))
    seconds = time.perf_counter() - start
    bits = hashlib.sha256(b"".join(array.tobytes() for array in [*model.factors_, *model.biases_])).hexdigest()
    factors = sum(array.nbytes for array in [*model.factors_, *model.biases_]) / 2**20
    found = {"seconds": seconds, "read": read, "bits": bits[:16], "factors": factors, "start": at_start}
    found |= {"anonymous": peaks.anonymous, "data": peaks.data, "loss": model.loss_curve_[-1]}
    print(json.dumps(found))


def measure(path, folder=None, limit=None, drop=False, **options):
    """Run one fit in another process; give what it printed."""
    given = json.dumps({"limit": limit, "drop": drop, **options})
    command = [sys.executable, __file__, "--fit", str(path), str(folder or ""), given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=float, default=50e6)
    parser.add_argument("--folder", default=None, help="of all files; default: a temporary one")
    parser.add_argument("--max-iter", type=int, default=5)
    parser.add_argument("--early-stopping", action="store_true")
    parser.add_argument("--fit", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        path, folder, options = arguments.fit
        run_fit(path, folder or None, json.loads(options))
        return
    options = {"max_iter": arguments.max_iter, "early_stopping": arguments.early_stopping}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "ratings.parquet"
        write_file(path, int(arguments.ratings))
        print(f"{arguments.ratings:,.0f} ratings, a file of {path.stat().st_size / 2**20:,.0f} MB; {options}")
        whole = measure(path, **options)
        limit = SHARE_ALLOWED * whole["data"]
        rows = {
            "in memory": whole,
            f"from the file, RLIMIT_DATA {limit:,.0f} MB": measure(path, folder, limit, **options),
            "the same, its pages dropped before": measure(path, folder, limit, drop=True, **options),
        }
        print(f"factors {whole['factors']:,.0f} MB; anonymous memory before the fit {whole['start']:,.0f} MB")
        print(f"{'':45}{'seconds':>9}{'peak anonymous MB':>19}{'peak VmData MB':>16}  bits")
        for name, found in rows.items():
            is_same = "" if found is whole else "the same" if found["bits"] == whole["bits"] else "DIFFERENT"
            print(f"{name:45}{found['seconds']:9.1f}{found['anonymous']:19,.0f}{found['data']:16,.0f}  {is_same}")


if __name__ == "__main__":
    main()
