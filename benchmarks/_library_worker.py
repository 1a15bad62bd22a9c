"""Fit one library once and write what it took as JSON; libraries.py runs it in the library's environment.

    python _library_worker.py LIBRARY SPLIT_FOLDER RANK EPOCHS THREADS RESULT

Seconds and memory are those of building the library's own data set and of the fit. Loading the arrays, imports and
predictions are not in them.
"""

import importlib
import importlib.metadata
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from _library_adapters import ADAPTERS, Settings


def peak_memory():
    """Measure the peak resident memory of this process so far, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def load(folder, part):
    return (np.load(folder / f"{name}_{part}.npy") for name in ("X", "y"))


def measure(library, folder, settings):
    adapter = ADAPTERS[library]
    for module in adapter.imports:
        importlib.import_module(module)
    X, y = load(folder, "train")
    before = peak_memory()
    start = time.perf_counter()
    data = adapter.build(X, y)
    built = time.perf_counter()
    model, loop = adapter.fit(data, settings)
    done = time.perf_counter()
    peak = peak_memory()
    X_test, y_test = load(folder, "test")
    predicted = np.clip(adapter.predict(model, X_test), y.min(), y.max())
    return {
        "version": importlib.metadata.version(adapter.distribution),
        "n_train": len(y),
        "build": built - start,
        "fit": done - built,
        "loop": loop,
        "memory": peak - before,
        "memory_total": peak,
        "rmse": float(np.sqrt(np.mean((predicted - y_test) ** 2))),
    }


def main():
    library, folder, rank, epochs, threads, result = sys.argv[1:]
    figures = measure(library, Path(folder), Settings(int(rank), int(epochs), int(threads)))
    Path(result).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
