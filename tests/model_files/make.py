"""Write models of the installed release to files, for later releases to load: pickles and files of plain arrays.

    python tests/model_files/make.py

Run it once for each release, with the oldest NumPy that the package supports: NumPy 1.24 cannot open
pickles that NumPy 2 has made. The files go to a folder with the name of the release. ``expected.npz`` has what each
model answers to the questions of ``tests/helpers/stored_models.py``. Files of earlier releases are never made again.
"""

import pickle
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from helpers.stored_models import MODELS, answers, make_model  # noqa: E402

from sklearn_mf import save_model  # noqa: E402


def main():
    if int(np.__version__.split(".")[0]) >= 2:
        return f"Run this with NumPy 1.24, so that every NumPy can open the pickles. This is NumPy {np.__version__}."
    folder = HERE / version("sklearn-mf")
    folder.mkdir()
    expected = {}
    for name in MODELS:
        model, X = make_model(name)
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(model, protocol=4))
        save_model(model, folder / f"{name}.npz")
        expected |= {f"{name}.{question}": values for question, values in answers(model, X).items()}
    np.savez_compressed(folder / "expected.npz", **expected)
    return 0


if __name__ == "__main__":
    sys.exit(main())
