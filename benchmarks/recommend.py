"""The ten best of all items for each user, against implicit's recommend on the same factors, in turn in one process.

    python benchmarks/recommend.py [--users 100000 --items 20000 --rank 64 --repeats 3]

implicit ranks by products in single precision; here candidates found so are ranked by what predict computes.
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

from _environments import ROOT, add_options, create, install, python_of

HERE = Path(__file__).resolve().parent
IMPLICIT = "implicit==0.7.3"


def environment(folder, keep):
    """Give an interpreter that has both libraries."""
    folder = folder.expanduser() / "recommend"
    if not python_of(folder).exists():
        return create(folder, [IMPLICIT, str(ROOT)])
    if not keep:
        install(python_of(folder), ["--force-reinstall", "--no-deps", str(ROOT)])
    return python_of(folder)


def run(python, threads, arguments, last, others=None):
    """Run the worker; ``others`` is a folder of packages beside those of the interpreter."""
    sizes = [arguments.users, arguments.items, arguments.rank]
    command = [str(python), str(HERE / "_recommend_worker.py"), *map(str, [threads, *sizes, last])]
    one = {"OPENBLAS_NUM_THREADS": "1"}  # implicit asks for it: its threads are those of the users
    path = {"PYTHONPATH": str(others)} if others else {}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **one, **path})
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    add_options(parser)
    arguments = parser.parse_args()
    python = environment(arguments.environments, arguments.keep)
    half = "| ours, s | implicit, s | ratio | our peak memory, MB "
    print(f"| threads {half}| seen left out: {half[2:]}|\n" + "|---" * 9 + "|")
    for threads in arguments.threads:
        found, memory = run(python, threads, arguments, arguments.repeats), run(python, threads, arguments, "memory")
        same, *rounds = found.values()
        seconds = list(map(statistics.median, rounds))
        ratios = [seconds[1] / seconds[0], seconds[3] / seconds[2]]
        cells = [
            [f"{seconds[2 * s]:.2f}", f"{seconds[2 * s + 1]:.2f}", f"{ratios[s]:.2f}", f"{memory[s]:.0f}"]
            for s in (0, 1)
        ]
        print(f"| {threads} | " + " | ".join(cells[0] + cells[1]) + " |", flush=True)
        print(f"(same items in the same places: {same:.6f})", flush=True)


if __name__ == "__main__":
    main()
