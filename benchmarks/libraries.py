"""Whole fits of this project and of other libraries on the same splits: seconds, memory, test RMSE.

    python benchmarks/libraries.py [--sets ml-100k ml-1m generated] [--libraries cornac libmf] [--threads 1 2]
    python benchmarks/libraries.py --target-rmse libmf

Each library has a virtual environment of its own, made when first needed (several GB for lenskit); this project is
installed anew from the repository. Libraries take turns, and each fit has a process of its own. Rank and epochs are the
same for all, other settings each library's defaults; an epoch of alternating least squares or of Gibbs sampling is more
work than one of gradient descent. "Data building" is what it takes to turn arrays of int codes and ratings into what
the library fits. Medians over the repeats and splits, the mean RMSE over the splits; predictions are clipped to the
range of the ratings for all alike. Memory is the growth of the peak from before data building to after fit, and the
whole peak of the process.

With --target-rmse: the time that this project needs for the RMSE that the named library ends with.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from _environments import LIBRARIES, OURS, add_options, ensure

HERE = Path(__file__).resolve().parent
SETS = ["ml-100k", "ml-1m", "generated"]
ONE_THREAD = {"surprise", "myfm"}  # no option for more
COLUMNS = [
    "data set",
    "library",
    "version",
    "threads",
    "data building, s",
    "fit, s",
    "total, s",
    "total / ours",
    "million ratings/s",
    "peak memory, MB (whole process)",
    "test RMSE",
]


def environment_variables(n_threads):
    names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
    return {**os.environ, **dict.fromkeys(names, str(n_threads))}


def write_data(python, folder, names):
    """Write splits of the sets into ``folder``; return the number of splits of each set that was found."""
    command = [str(python), str(HERE / "_library_data.py"), str(folder), *names]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def fit_once(python, library, split, rank, epochs, n_threads, timeout):
    """Give the figures of one fit in a process of its own, or a sentence that says why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        worker = str(HERE / "_library_worker.py")
        command = [str(python), worker, library, str(split), str(rank), str(epochs), str(n_threads), str(result)]
        try:
            done = subprocess.run(
                command, timeout=timeout, capture_output=True, text=True, env=environment_variables(n_threads)
            )
        except subprocess.TimeoutExpired:
            return f"over {timeout:g} s"
        if done.returncode:
            return f"failed: {(done.stderr.strip() or str(done.returncode)).splitlines()[-1][:100]}"
        return json.loads(result.read_text())


def measure(tasks, n_rounds):
    """Run each task (name: function without arguments), in turn. A task that gave a sentence is not run again.

    A function gives the figures of all splits, a list, or a sentence.
    """
    runs = {name: [] for name in tasks}
    for _ in range(n_rounds):
        for name, run in tasks.items():
            if not isinstance(runs[name], str):
                figures = run()
                runs[name] = figures if isinstance(figures, str) else [*runs[name], *figures]
    return runs


def over_splits(python, library, splits, rank, epochs, n_threads, timeout):
    """Give the figures of one fit on each split, or a sentence."""
    runs = []
    for split in splits:
        figures = fit_once(python, library, split, rank, epochs, n_threads, timeout)
        if isinstance(figures, str):
            return figures
        runs.append(figures)
    return runs


def summary(runs):
    """Give the medians of all figures, and the mean of the RMSE."""
    numbers = {name: [run[name] for run in runs] for name in runs[0] if name not in ("version", "loop")}
    middle = {name: statistics.median(values) for name, values in numbers.items()}
    middle["total"] = statistics.median([run["build"] + run["fit"] for run in runs])
    middle["loop"] = statistics.median([run["loop"] for run in runs]) if runs[0]["loop"] is not None else None
    return {**middle, "version": runs[0]["version"], "rmse": statistics.fmean(numbers["rmse"])}


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def rows(name, library, n_threads, runs, ours, epochs):
    """Write the table's lines for one library: the fit, and the training loop alone where it can be seen."""
    if isinstance(runs, str):
        return [row(name, library, "", str(n_threads), *[""] * 2, runs, *[""] * 4)]
    figures = summary(runs)
    million = figures["n_train"] * epochs / 1e6
    lines = [
        row(
            name,
            library,
            figures["version"],
            str(n_threads),
            f"{figures['build']:.2f}",
            f"{figures['fit']:.3f}",
            f"{figures['total']:.3f}",
            f"{figures['total'] / ours['total']:.2f}" if ours else "",
            f"{million / figures['fit']:.2f}",
            f"{figures['memory']:.0f} ({figures['memory_total']:.0f})",
            f"{figures['rmse']:.4f}",
        )
    ]
    if figures["loop"]:
        ratio = f"{figures['loop'] / ours['loop']:.2f}" if ours and ours["loop"] else ""
        speed = f"{million / figures['loop']:.2f}"
        loop = f"{library}, training loop alone"
        lines.append(row(name, loop, "", str(n_threads), "", f"{figures['loop']:.3f}", "", ratio, speed, "", ""))
    return lines


def compare(name, splits, pythons, n_threads, arguments):
    """Print the lines of one set and number of threads."""
    tasks = {
        library: lambda library=library: over_splits(
            pythons[library], library, splits, arguments.rank, arguments.epochs, n_threads, arguments.timeout
        )
        for library in pythons
        if n_threads == 1 or library not in ONE_THREAD
    }
    runs = measure(tasks, arguments.repeats)
    ours = None if isinstance(runs[OURS], str) else summary(runs[OURS])
    for library, figures in runs.items():
        print("\n".join(rows(name, library, n_threads, figures, ours, arguments.epochs)), flush=True)


def mean_rmse(runs):
    return statistics.fmean(run["rmse"] for run in runs)


def fewest_epochs(run, target, most):
    """Find epochs and RMSE of the first whole fit that is as good as ``target``, or None and the best RMSE."""
    best = float("inf")
    for epochs in range(1, most + 1):
        figures = run(epochs)
        if isinstance(figures, str):
            return None, best
        best = min(best, mean_rmse(figures))
        if best <= target:
            return epochs, best
    return None, best


def time_to_rmse(name, splits, pythons, n_threads, arguments):
    """Print how long this project takes to the RMSE that the other library ends with."""
    other = arguments.target_rmse
    if n_threads > 1 and other in ONE_THREAD:
        return

    def run(library, epochs):
        return over_splits(pythons[library], library, splits, arguments.rank, epochs, n_threads, arguments.timeout)

    theirs = run(other, arguments.epochs)
    if isinstance(theirs, str):
        print(row(name, other, str(n_threads), theirs, *[""] * 5), flush=True)
        return
    epochs, best = fewest_epochs(lambda epochs: run(OURS, epochs), mean_rmse(theirs), arguments.epochs)
    if epochs is None:
        print(row(name, other, str(n_threads), "", f"{mean_rmse(theirs):.4f}", "not reached", "", f"{best:.4f}", ""))
        return
    runs = measure({other: lambda: run(other, arguments.epochs), OURS: lambda: run(OURS, epochs)}, arguments.repeats)
    failure = next((figures for figures in runs.values() if isinstance(figures, str)), None)
    if failure:
        print(row(name, other, str(n_threads), failure, *[""] * 5), flush=True)
        return
    theirs, ours = summary(runs[other]), summary(runs[OURS])
    cells = [f"{theirs['total']:.3f}", f"{theirs['rmse']:.4f}", str(epochs), f"{ours['total']:.3f}"]
    ratio = f"{theirs['total'] / ours['total']:.2f}"
    print(row(name, other, str(n_threads), *cells, f"{ours['rmse']:.4f}", ratio), flush=True)


def interpreters(libraries, arguments):
    """Give the interpreter of each environment; a library that cannot be installed is named and left out."""
    pythons = {OURS: ensure(OURS, arguments.environments, arguments.keep)}
    for library in libraries:
        try:
            pythons[library] = ensure(library, arguments.environments)
        except RuntimeError as error:
            print(f"{library} is left out: {error}\n", flush=True)
    return pythons


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    others = [library for library in LIBRARIES if library != OURS]
    parser.add_argument(
        "--libraries", nargs="*", choices=others, default=others, help="none after it: this project alone"
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--data", help="folder with ml-100k/u.data and the like, as SKLEARN_MF_DATA")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the process of one fit")
    add_options(parser)
    parser.add_argument("--parameters", metavar="JSON", help='further ones of this project, as {"alpha": 0.02}')
    parser.add_argument("--target-rmse", metavar="LIBRARY", choices=others)
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.data:
        os.environ["SKLEARN_MF_DATA"] = str(Path(arguments.data).resolve())
    if arguments.parameters:
        os.environ["SKLEARN_MF_PARAMETERS"] = arguments.parameters
    libraries = [arguments.target_rmse] if arguments.target_rmse else arguments.libraries
    pythons = interpreters(libraries, arguments)
    if arguments.target_rmse and arguments.target_rmse not in pythons:
        raise SystemExit(1)
    columns, line = COLUMNS, compare
    if arguments.target_rmse:
        columns, line = ["data set", "library", "threads", "its total, s", "its test RMSE"], time_to_rmse
        columns += ["our epochs", "our total, s", "our test RMSE", "its total / ours"]
    ours = f"; {OURS} with {arguments.parameters}" if arguments.parameters else ""
    print(f"rank {arguments.rank}, {arguments.epochs} epochs, median of {arguments.repeats}{ours}\n")
    print(row(*columns) + "\n" + "|---" * len(columns) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, n_splits in write_data(pythons[OURS], folder, arguments.sets).items():
            splits = [Path(folder) / f"{name}-{i}" for i in range(n_splits)]
            for n_threads in arguments.threads:
                line(name, splits, pythons, n_threads, arguments)


if __name__ == "__main__":
    main()
