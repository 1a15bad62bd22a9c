"""The bounds of this machine for the loop over ratings, measured by _machine.c on one thread.

A visit of a rating with m = 2 rows of k factors, without centers:

- multiplies 7 k times: k multiply-adds each for p q, p p and q q; 2 k multiplications and 2 k multiply-adds to update
- reads 2 k floats, and writes 2 k

Units of the processor work at the same time, so a visit takes at least the longest of these, each by itself. That is
the bound of multiplications and stores, with everything else of a rating free and all rows in the first cache. The
rows of a block are larger than that: at wide ranks moving them from the second cache and back is what limits, which
the bare loop on rows of that size shows.
"""

import ctypes
import functools
import tempfile
import time
from collections import namedtuple

import numpy as np
from _compiled import compiled

WIDTHS = 32, 64  # bytes of a vector; the better one counts
SIZES = {"16 KB": 2**14, "256 KB": 2**18, "8 MB": 2**23, "256 MB": 2**28}
FIRST_CACHE, SECOND_CACHE = 24_576, 262_144  # bytes of the rows of a bare loop that fit in these
MULTIPLICATIONS, FLOATS_READ, FLOATS_WRITTEN = 7, 2, 2  # of a rating, for each factor
N_CHAINS = 12  # as in _machine.c

# Cycles a second; floats a second that are multiplied and added, read and written in the first cache.
Rates = namedtuple("Rates", "cycles multiplied read written")


@functools.cache
def libraries():
    """Compile for each width."""
    with tempfile.TemporaryDirectory() as folder:
        return [compiled("_machine", folder, "-march=native", f"-DVECTOR_BYTES={width}") for width in WIDTHS]


def best_seconds(function, repeats=7):
    """Give the processor seconds of the fastest of some calls, since a bound knows no other programs."""
    seconds = []
    for _ in range(repeats):
        start = time.thread_time()
        function()
        seconds.append(time.thread_time() - start)
    return min(seconds)


def floats(n):
    """Give an array of n zeros that begins at a line of the cache."""
    x = np.zeros(n + 16, dtype=np.float32)
    return x[-x.ctypes.data // 4 % 16 :][:n]


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def over_array(name, n_bytes, work=2**29):
    """Give floats a second of ``read_all`` or ``write_all`` over an array of ``n_bytes``."""
    x, rounds = floats(n_bytes // 4), max(1, work // n_bytes)
    x[:] = 0.0
    arguments = pointer(x), ctypes.c_ssize_t(len(x)), ctypes.c_ssize_t(rounds)
    return max(len(x) * rounds / best_seconds(lambda c=c: getattr(c, name)(*arguments)) for c in libraries())


@functools.cache
def rates():
    n = 20_000_000
    one, half = ctypes.c_uint64(1), ctypes.c_float(0.5)
    cycles = n / best_seconds(lambda: libraries()[0].add_in_a_chain(ctypes.c_ssize_t(n), one))
    rounds = ctypes.c_ssize_t(n // 10)
    seconds = [best_seconds(lambda c=c: c.multiply_add(rounds, half)) for c in libraries()]
    multiplied = max(rounds.value * N_CHAINS * width / 4 / s for width, s in zip(WIDTHS, seconds, strict=True))
    first_cache = SIZES["16 KB"]
    return Rates(cycles, multiplied, over_array("read_all", first_cache), over_array("write_all", first_cache))


def bandwidths():
    """Give GB/s that are read and that are written, by the size of the array."""
    return {name: tuple(over_array(way, n) * 4e-9 for way in ("read_all", "write_all")) for name, n in SIZES.items()}


def bound(rank, machine):
    """Give the ratings a second that no loop over two columns can exceed."""
    whole = MULTIPLICATIONS / machine.multiplied, FLOATS_READ / machine.read, FLOATS_WRITTEN / machine.written
    return 1 / (rank * max(whole))


def bare_speed(rank, n=2_000_000, n_bytes=FIRST_CACHE):
    """Give the ratings a second of the bare loop at a rank that is a multiple of 16, on rows of ``n_bytes``."""
    n_rows = n_bytes // (2 * 4 * rank)
    p, q = floats(n_rows * rank), floats(n_rows * rank)
    for table in p, q:
        table[:] = np.linspace(0.1, 0.5, len(table))
    arguments = ctypes.c_ssize_t(n), rank, n_rows, pointer(p), pointer(q), ctypes.c_float(0.01)
    return n / min(best_seconds(lambda c=c: c.bare_loop(*arguments), 3) for c in libraries())
