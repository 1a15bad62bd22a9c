"""Alternations of the ranker against those of implicit's alternating least squares, in turn in one process.

    python benchmarks/ranking_speed.py [--sets ml-1m made] [--ranks 32 64 128 256] [--threads 1 2] [--repeats 3]

Both solve a row by three steps of conjugate gradients, at the same rank. An alternation is the difference of two fits
of different numbers of alternations, divided by the difference of these; medians. A fit is the shorter of the two and
as many alternations as 16 want more: from ids and ratings for this project, from a csr matrix for implicit. Where
others use the machine, compare the seconds on processors (CPU): those that passed are then of chance.

Memory is what a fit in a process of its own adds to its largest resident size (ru_maxrss), after imports and the input.
The last table has NDCG@10 of both on ml-1m in the protocol of rankings.py, implicit with its best form of the ratings.

With --results, figures are kept in a file, and what is there is not measured again.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from _environments import add_options
from recommend import environment

HERE = Path(__file__).resolve().parent
SIZES = {"ml-1m": (0, 0, 0), "made": (100_000, 20_000, 10_000_000)}
ALTERNATIONS = (2, 10)
FORMS = ["pairs", "ratings", "relevant", "strengths"]


def run(python, *arguments):
    command = [str(python), str(HERE / "_ranking_speed_worker.py"), *map(str, arguments)]
    one = {"OPENBLAS_NUM_THREADS": "1"}  # implicit asks for it: its threads are those of the rows
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **one})
    return json.loads(done.stdout.strip().splitlines()[-1])


class Results:
    """Keep what is measured, in a file if one is given."""

    def __init__(self, path):
        self._path = path
        self._found = json.loads(path.read_text()) if path and path.exists() else {}

    def get(self, python, *arguments, key):
        if key not in self._found:
            self._found[key] = run(python, *arguments)
            if self._path:
                self._path.write_text(json.dumps(self._found, indent=1))
        return self._found[key]


def speed_row(seconds, memory):
    """Make the cells of a row: both libraries and the ratio, theirs to ours, of each figure."""
    pairs = [
        [seconds[f"{library} {clock}"][figure] for library in ("ours", "implicit")]
        for figure, clock in [("alternation", "wall"), ("alternation", "cpu"), ("fit", "wall"), ("fit", "cpu")]
    ]
    cells = [f"{ours:.3g} : {theirs:.3g} ({theirs / ours:.2f})" for ours, theirs in pairs]
    return [*cells, f"{memory[0]:.0f} : {memory[1]:.0f} ({memory[1] / memory[0]:.2f})"]


def print_speed(python, name, folder, arguments, results):
    size = results.get(python, "make", folder, name, *SIZES[name], key=f"{name} size")
    if not (Path(folder) / "X.npy").exists():
        run(python, "make", folder, name, *SIZES[name])
    n1, n2 = ALTERNATIONS
    print(f"\n{name}: {size['n_pairs']} pairs of {size['shape'][0]} users and {size['shape'][1]} items")
    print(f"ours : implicit (ratio); fits of {n1} and {n2} alternations, {arguments.repeats} times\n")
    print("| rank | threads | alternation, s | alternation, CPU s | fit, s | fit, CPU s | memory, MB |")
    print("|---" * 7 + "|")
    for rank in arguments.ranks:
        for threads in arguments.threads:
            what = ["seconds", folder, rank, threads, n1, n2, arguments.repeats]
            seconds = results.get(python, *what, key=f"{name} {rank} {threads} seconds")
            memory = [
                results.get(python, "memory", folder, rank, threads, library, key=f"{name} {rank} {threads} {library}")
                for library in ("ours", "implicit")
            ]
            cells = speed_row(seconds, [figure["memory"] for figure in memory])
            print(f"| {rank} | {threads} | " + " | ".join(cells) + " |", flush=True)


def print_lists(python, arguments, results):
    print("\nNDCG@10 on ml-1m\n\n| rank | ours | implicit, best form | its form |\n|---|---|---|---|")
    for rank in arguments.ranks:
        found = dict(results.get(python, "lists", rank, max(arguments.threads), *arguments.forms, key=f"{rank} lists"))
        ours = found.pop("ours")
        form = max(found, key=found.get)
        print(f"| {rank} | {ours:.4f} | {found[form]:.4f} | {form} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", choices=list(SIZES), nargs="*", default=list(SIZES))
    parser.add_argument("--ranks", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--forms", choices=FORMS, nargs="*", default=FORMS, help="what implicit is given for lists")
    parser.add_argument("--results", type=Path)
    add_options(parser)
    arguments = parser.parse_args()
    python, results = environment(arguments.environments, arguments.keep), Results(arguments.results)
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as folder:
            print_speed(python, name, folder, arguments, results)
    if arguments.forms:
        print_lists(python, arguments, results)


if __name__ == "__main__":
    main()
