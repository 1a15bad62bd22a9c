"""One table of speed: what is to be faster, each figure beside its goal and beside what this machine can do.

    python benchmarks/speed.py [--rows loop ranks ...] [--repeats 3] [--data FOLDER] [--libmf libmf.so] [--large]

The package that is installed is measured, as it is. What is compared takes turns; a figure is the median of the rounds,
with the lowest and the highest. Rows that need real ratings, LIBMF or much memory are left out where these are not
there, and say so. Goals in seconds are for the machine of docs/benchmarks/index.md. RMSEs stand beside times: one says
nothing without the other. Programs on the same machine make all figures worse but the bounds, which are the best of
some short runs. With --processor-time the rows on one thread are measured in processor time, and those on more are left
out: of use where other programs run.

defaults     whole default fits against fits without implicit features, real sets and 10 million made ratings
loop         the loop at rank 32 against a bare loop, and against LIBMF's build for AVX (_libmf.py says how it is made)
ranks        the loop at ranks 64, 128 and 256 against the bound of multiplications and stores (_machine.py derives it)
columns      3, 4 and 8 columns against two: 1 is the time that the number of rows implies
search       60 fits of ml-1m against scikit-surprise's search, in an environment of its own
ridge        a default fit of ml-100k against OneHotEncoder and Ridge in a pipeline
large        100 million ratings
recommend    lists against implicit's, which is installed in a folder of its own
partial_fit  calls of partial_fit with one row and with 10,000
start        import and first fit of a process
"""

import argparse
import os
import statistics
from pathlib import Path

import _machine
import threadpoolctl
from _clock import PROCESSOR_TIME
from _environments import CACHE
from _real import FOLDER
from _speed_rows import FITS, ROWS

from sklearn_mf._kernel.simd import SIMD

COLUMNS = ["what", "measured: median (lowest to highest)", "unit", "goal", "bound", "beside it"]


def cells(row):
    """Write the cells of a row."""
    measured = ""
    if row.measured:
        low, high = (f"{end(row.measured):.3g}" for end in (min, max))
        measured = f"{statistics.median(row.measured):.3g}" + (f" ({low} to {high})" if len(row.measured) > 1 else "")
    return [row.what, measured, row.unit, row.goal, row.bound, row.beside]


def print_machine():
    """Print what the machine can do, in the same run."""
    rates, load = _machine.rates(), os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{rates.cycles / 1e9:.2f} billion cycles/s. Floats a cycle, in the first cache: ", end="")
    parts = (f"{name} {getattr(rates, name) / rates.cycles:.1f}" for name in ("multiplied", "read", "written"))
    print(", ".join(parts) + f". Instruction set of the package: {SIMD}. Load when this began: {load:.1f}.")
    speeds = (f"{size} {read:.0f} and {written:.0f}" for size, (read, written) in _machine.bandwidths().items())
    print("GB/s read and written, one thread, by the size of an array: " + "; ".join(speeds) + ".\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder with ml-1m/ratings.dat.gz and the like")
    parser.add_argument("--libmf", type=Path, help="LIBMF, compiled as a shared library")
    parser.add_argument("--large", action="store_true", help="100 million ratings too")
    parser.add_argument("--surprise-fits", type=int, choices=FITS, default=FITS[0], help="of the 60 fits of its search")
    parser.add_argument("--processor-time", action="store_true", help="rows on one thread alone, without waits")
    parser.add_argument("--environments", type=Path, default=CACHE)
    return parser.parse_args()


def main():
    options = parse()
    options.data = options.data.resolve()
    os.environ["SKLEARN_MF_DATA"] = str(options.data)
    if options.processor_time:
        os.environ[PROCESSOR_TIME] = "1"
        options.threads = [1]
        threadpoolctl.threadpool_limits(1)  # threads of BLAS that wait take processor time
    print_machine()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    for name in options.rows:
        for row in ROWS[name](options):
            print("| " + " | ".join(cells(row)) + " |", flush=True)


if __name__ == "__main__":
    main()
