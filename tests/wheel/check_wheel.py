"""Check an installed wheel: outside of the checkout and without a compiler, the main job of the README and some tests.

`python tests/wheel/check_wheel.py` uses the Python that runs it, where the wheel and pytest are installed. It copies
what it runs to a temporary folder, so that nothing of the source folder can be imported.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Tests that need pytest and the dependencies of the package alone.
TESTS = [
    "estimators/test_ranker_in_threads.py",
    "estimators/test_serving_in_threads.py",
    "estimators/test_stored_models.py",
    "kernel/test_instruction_sets.py",
    "kernel/test_predict_kernel.py",
    "training/test_fold_in.py",
    "training/test_sgd_solver.py",
]
SETTINGS = """[pytest]
pythonpath = tests
addopts = --import-mode=importlib --strict-markers -q -p no:cacheprovider
markers =
    drawing: draws
    slow: slow
filterwarnings =
    error
    ignore:Passing a non-Collection iterable to parametrize
"""
WHERE = """
import sys
from pathlib import Path
import sklearn_mf
place = Path(sklearn_mf.__file__).resolve()
assert Path(sys.argv[1]).resolve() not in place.parents or "site-packages" in place.parts, place
print("sklearn_mf", sklearn_mf.__version__, "on Python", sys.version)
if hasattr(sys, "_is_gil_enabled"):
    print("The GIL is on after the import:", sys._is_gil_enabled())
"""


def lay_out(folder):
    """Copy the example and the tests to a folder."""
    (folder / "pytest.ini").write_text(SETTINGS)
    shutil.copy(ROOT / "docs" / "examples" / "quickstart.py", folder)
    shutil.copytree(ROOT / "tests" / "helpers", folder / "tests" / "helpers")
    for name in ("conftest.py", *TESTS):
        source, target = ROOT / "tests" / name, folder / "tests" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source, target)
        if (source.parent / "conftest.py").exists():
            shutil.copy(source.parent / "conftest.py", target.parent)


def main():
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if os.name == "posix":
        environment["PATH"] = str(Path(sys.executable).parent)
        found = [name for name in ("cc", "gcc", "clang", "c99") if shutil.which(name, path=environment["PATH"])]
        if found:
            sys.exit(f"The folder of {sys.executable} has a compiler ({found[0]}). Use a virtual environment.")
    with tempfile.TemporaryDirectory() as name:
        lay_out(Path(name))
        for command in (["-c", WHERE, str(ROOT)], ["quickstart.py"], ["-m", "pytest", "tests"]):
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], cwd=name, env=environment, check=True)
            print(f"{' '.join(command[-2:])}: {time.perf_counter() - start:.1f} s" * (command[0] != "-c"), flush=True)


if __name__ == "__main__":
    main()
