"""Compare two commits of this project: medians of alternating runs, with the test RMSE beside each.

    python benchmarks/commits.py BASE HEAD [--large]

Each commit is taken from git and installed in a virtual environment of its own, in a temporary folder; the same
benchmarks time both, in turn, each run in a process of its own. Ends with 1 when a median of HEAD is slower than that
of BASE both by --ratio and by --seconds. A benchmark that a commit cannot run is named and not compared.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from _environments import ROOT, create

WORKER = Path(__file__).resolve().with_name("_commit_worker.py")
LARGE = "10,000,000"


def git(*arguments):
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
    return done.stdout


def install(commit, folder):
    """Source and environment of a commit in ``folder``; its interpreter."""
    source = folder / "source"
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
        archive.extractall(source)
    print(f"installing {commit}", file=sys.stderr, flush=True)
    return create(folder / "environment", [str(source)])


def work(python, *arguments):
    """What the worker prints last, or the last line of its error."""
    done = subprocess.run([str(python), "-W", "ignore", str(WORKER), *arguments], capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_in_turn(name, pythons, repeats):
    """Figures of one benchmark for each commit: a list of runs, or the sentence of a failure."""
    runs = {side: [] for side in pythons}
    for i in range(repeats):
        for side in list(pythons)[:: 1 if i % 2 else -1]:
            figures = runs[side] if isinstance(runs[side], str) else work(pythons[side], name)
            runs[side] = figures if isinstance(figures, str) else [*runs[side], figures]
    return runs


def cell(runs):
    """(what to print, median seconds or None)"""
    if isinstance(runs, str):
        return f"cannot run: {runs}", None
    seconds, error = (statistics.median(run[key] for run in runs) for key in ("seconds", "rmse"))
    return f"{seconds:.4f} ({error:.4f})", seconds


def is_slower(base, head, ratio, seconds):
    return base is not None and head is not None and head > base * ratio and head - base > seconds


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", metavar="BASE")
    parser.add_argument("head", metavar="HEAD")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ratio", type=float, default=1.15)
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--large", action="store_true", help="10,000,000 ratings too")
    parser.add_argument("--only", metavar="TEXT", default="", help="benchmarks with TEXT in their name")
    return parser.parse_args()


def main():
    arguments = parse()
    commits = {side: git("rev-parse", "--short", f"{getattr(arguments, side)}^{{commit}}") for side in ("base", "head")}
    commits = {side: name.decode().strip() for side, name in commits.items()}
    slower = []
    with tempfile.TemporaryDirectory() as folder:
        pythons = {side: install(commit, Path(folder) / side) for side, commit in commits.items()}
        print("seconds (test RMSE), medians\n")
        print(f"| benchmark | base {commits['base']} | head {commits['head']} | head / base | |\n" + "|---" * 5 + "|")
        names = work(pythons["head"])
        if isinstance(names, str):
            raise SystemExit(f"head cannot be imported: {names}")
        for name in names:
            if arguments.only not in name or (LARGE in name and not arguments.large):
                continue
            runs = run_in_turn(name, pythons, arguments.repeats)
            (base_cell, base), (head_cell, head) = cell(runs["base"]), cell(runs["head"])
            ratio = f"{head / base:.2f}" if base and head else ""
            verdict = "slower" if is_slower(base, head, arguments.ratio, arguments.seconds) else ""
            slower += [name] if verdict else []
            print(f"| {name} | {base_cell} | {head_cell} | {ratio} | {verdict} |", flush=True)
    if slower:
        limits = f"by more than {arguments.ratio:g} times and {arguments.seconds:g} s"
        raise SystemExit(f"\nslower {limits}: {'; '.join(slower)}")


if __name__ == "__main__":
    main()
