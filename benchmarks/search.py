"""A grid search of 60 fits on ml-1m: scikit-learn's GridSearchCV with this project, scikit-surprise's with its SVD.

    python benchmarks/search.py [--surprise-fits 20]

Ranks 8, 16, 32, 64, three learning rates, five folds of the training part, 20 epochs, --jobs processes of one thread
each. With --surprise-fits 20 or 40 scikit-surprise runs that many of the 60 (one or two learning rates, with all
ranks), and its seconds are extrapolated, which the table says.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from _environments import OURS, add_options, ensure
from _library_search import FITS_PER_RATE
from libraries import HERE, environment_variables, write_data

ALL_FITS = 3 * FITS_PER_RATE
COLUMNS = ["library", "fits run", "seconds", "seconds for 60 fits", "ratio to ours", "best RMSE in cross-validation"]


def search(python, library, folder, n_fits, n_jobs, parameters=None):
    """Search in a process of its own; ``parameters`` are further ones of this project."""
    command = [str(python), str(HERE / "_library_search.py"), library, str(folder), str(n_fits), str(n_jobs)]
    environment = {**environment_variables(1), "SKLEARN_MF_PARAMETERS": json.dumps(parameters or {})}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    fits = [i * FITS_PER_RATE for i in range(4)]
    parser.add_argument("--surprise-fits", type=int, choices=fits, default=ALL_FITS)
    parser.add_argument("--set", choices=["ml-100k", "ml-1m"], default="ml-1m")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data", help="folder with ml-1m/ratings.dat.gz and the like, as SKLEARN_MF_DATA")
    add_options(parser)
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.data:
        os.environ["SKLEARN_MF_DATA"] = str(Path(arguments.data).resolve())
    fits = {OURS: ALL_FITS, "surprise": arguments.surprise_fits}
    fits = {library: n for library, n in fits.items() if n}
    pythons = {library: ensure(library, arguments.environments, arguments.keep) for library in fits}
    with tempfile.TemporaryDirectory() as folder:
        if not write_data(pythons[OURS], folder, [arguments.set]):
            raise SystemExit(f"{arguments.set} is not there; name its folder with --data")
        print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
        ours = None
        for library, n_fits in fits.items():
            split = Path(folder) / f"{arguments.set}-0"
            figures = search(pythons[library], library, split, n_fits, arguments.jobs)
            whole = figures["seconds"] * ALL_FITS / figures["fits"]
            ours = ours or whole
            note = "" if figures["fits"] == ALL_FITS else f" (extrapolated from {figures['fits']} fits)"
            print(
                f"| {library} | {figures['fits']} | {figures['seconds']:.1f} | {whole:.1f}{note} | {whole / ours:.1f} "
                f"| {figures['rmse']:.4f}, {figures['best']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
