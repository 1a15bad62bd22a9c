"""What the documents say is true: examples run, everything public is documented."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import REAL_DATA, ROOT

import sklearn_mf
import sklearn_mf.datasets
import sklearn_mf.metrics
import sklearn_mf.model_selection
import sklearn_mf.plotting

MODULES = [name for _, name, _ in pkgutil.walk_packages(sklearn_mf.__path__, "sklearn_mf.")]
PUBLIC_MODULES = [sklearn_mf, sklearn_mf.datasets, sklearn_mf.metrics, sklearn_mf.model_selection, sklearn_mf.plotting]
PUBLIC = [getattr(module, name) for module in PUBLIC_MODULES for name in module.__all__]
PAGES = [
    "README.md",
    "docs/guide.md",
    "docs/training.md",
    "docs/model.md",
    "docs/recommendations.md",
    "docs/evaluation.md",
]


@pytest.fixture(autouse=True)
def _figures_and_backend_are_put_back():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
        sys.modules["matplotlib.pyplot"].switch_backend("agg")


@pytest.mark.parametrize("name", ["sklearn_mf", *MODULES])
def test_docstring_examples(name):
    if name.startswith("sklearn_mf.plotting."):
        pytest.importorskip("matplotlib").use("agg")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^( *)```python\n(.*?)^\1```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    assert blocks
    if any("sklearn_mf.plotting" in block for _, block in blocks):
        pytest.importorskip("matplotlib").use("agg")
    namespace = {}
    for indent, block in blocks:
        exec(compile(re.sub(f"^{indent}", "", block, flags=re.MULTILINE), page, "exec"), namespace)


def is_ours(function):
    return function.__module__.startswith("sklearn_mf") and not function.__name__.startswith("set_")


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_everything_public_is_documented_and_typed(thing):
    page = (ROOT / "docs" / "api.md").read_text()
    assert f".{thing.__name__}\n" in page
    functions = [thing]
    if inspect.isclass(thing):
        functions = [f for name, f in inspect.getmembers(thing, inspect.isroutine) if name[0] != "_" and is_ours(f)]
        functions.append(thing.__init__)
    for function in functions:
        assert inspect.getdoc(function if function.__name__ != "__init__" else thing)
        signature = inspect.signature(function)
        untyped = [p for p in signature.parameters.values() if p.name != "self" and p.annotation is p.empty]
        assert not untyped, function
    for section in ("Parameters", "Examples"):
        assert f"{section}\n---" in inspect.getdoc(thing)


def test_every_parameter_is_in_the_docstring():
    names = inspect.signature(sklearn_mf.MatrixFactorizationRegressor).parameters
    for name in names:
        assert re.search(rf"^    {name} : ", sklearn_mf.MatrixFactorizationRegressor.__doc__, flags=re.MULTILINE), name


def test_imports_run_one_way():
    """As the map of the source says; private names of scikit-learn only where the estimator is."""
    allowed = {
        "_threads": set(),
        "_checks": set(),
        "_columns": set(),
        "_encoding": {"_checks", "_columns", "_ids", "_threads"},
        "_losses": {"_kernels"},
        "_ratings": {"_kernels", "_threads"},
        "_parameters": {"_kernels", "_threads"},
        "_implicit": {"_kernels", "_threads"},
        "_training": {"_implicit", "_kernels", "_losses", "_parameters", "_threads"},
        "_stopping": {"_training"},
    }
    arrays = {"_kernels", "_implicit", "_losses", "_parameters", "_ratings", "_stopping", "_threads", "_training"}
    allowed["_fitting"] = arrays
    allowed["_incremental"] = {"_fitting", *arrays}
    allowed["_progress"] = {"_fitting"}
    allowed["_fitted"] = {
        "_checks",
        "_columns",
        "_encoding",
        "_fitting",
        "_losses",
        "_ratings",
        "_threads",
        "_training",
    }
    allowed["_ranking"] = {"_kernels", "_select", "_threads"}
    allowed["_recommending"] = {"_columns", "_encoding", "_fitted", "_ranking", "_threads"}
    allowed["_regressor"] = {"_kernels", *allowed}
    allowed["_encoder"] = {"_checks", "_columns", "_regressor", "_threads"}
    # Beside the estimator, which knows none of them.
    tables = {"_checks", "_columns", "_encoding", "_threads"}
    allowed["_pick"] = {"_columns"}
    allowed["_times"] = {"_columns", "_encoding", "_threads"}
    allowed["model_selection"] = {"_pick", "_times", *tables}
    beside = {name: {name, *tables} for name in ("datasets", "metrics", "plotting")}
    beside["metrics"].add("_pick")
    folder = Path(sklearn_mf.__file__).parent
    for path in [*folder.glob("_[a-z]*.py"), *folder.glob("[a-z]*.py"), *folder.glob("*/*.py")]:
        code = re.sub(r"if TYPE_CHECKING:\n(    .*\n)+", "", path.read_text())
        code = re.sub(r'""".*?"""', "", code, flags=re.DOTALL)
        own = set(re.findall(r"^\s*from sklearn_mf\.(\w+)", code, flags=re.MULTILINE))
        assert own <= (allowed[path.stem] if path.parent == folder else beside[path.parent.name]), path.name
        private = re.findall(r"^from sklearn(?!_mf)(?:\S*\._\w+|\S* import .*\b_\w+)", code, flags=re.MULTILINE)
        assert not private or path.stem in ("_regressor", "_encoder"), path.name


def load_example(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "examples" / f"{name}.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


def test_the_example_of_training_runs(monkeypatch, capsys):
    example = load_example("training_control")
    monkeypatch.setattr(example, "make_ratings", lambda *a, **k: sklearn_mf.datasets.make_ratings(200, 100, 4000, **k))
    monkeypatch.setattr(sys, "argv", ["training_control.py"])
    example.main()
    out = capsys.readouterr().out
    assert len(re.findall(r"after +\d+ epochs \d\.\d{4}", out)) == 22
    assert "early_stopping: " in out


def test_the_example_of_recommendations_runs(monkeypatch, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    example = load_example("recommendations")
    monkeypatch.setattr(example, "GRID", {"rank": [0, 4], "learning_rate": [0.1, 0.2]})
    monkeypatch.setattr(
        example,
        "make_ratings",
        lambda *a, **k: sklearn_mf.datasets.make_ratings(200, 80, 8_000, rank=4, random_state=0),
    )
    monkeypatch.setattr(sys, "argv", ["recommendations.py", "--draw", str(tmp_path)])
    example.main()
    out = capsys.readouterr().out
    assert len(re.findall(r"^  \d\.\d\d  [A-Z][a-z]+ \d+$", out, flags=re.MULTILINE)) == 15
    assert "from how the two suit each other" in out
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (ROOT / "docs/pictures").iterdir()}


def test_the_example_of_recommendations_runs_on_movielens(monkeypatch, capsys):
    if not (REAL_DATA / "ml-100k" / "u.item").exists():
        pytest.skip(f"no real ratings at {REAL_DATA}")
    example = load_example("recommendations")
    monkeypatch.setattr(example, "GRID", {"rank": [0, 4], "learning_rate": [0.2]})
    monkeypatch.setattr(sys, "argv", ["recommendations.py", "--movielens", "100k", "--data-home", str(REAL_DATA)])
    example.main()
    assert "Empire Strikes Back, The (1980)" in capsys.readouterr().out


def test_the_example_of_seeds_and_contexts_runs(monkeypatch, capsys):
    folder = REAL_DATA / "ml-100k"
    if not (folder / "u.item").exists():
        pytest.skip(f"no real ratings at {folder}")
    example = load_example("seeds_and_context")
    monkeypatch.setattr(example, "SETTINGS", {"short": {"rank": 2, "max_iter": 2, "learning_rate": 0.05}})
    monkeypatch.setattr(example, "SEEDS", [1, 2])
    monkeypatch.setattr(sys, "argv", ["seeds_and_context.py", str(folder)])
    example.main()
    assert "| year + genres + week | 0.9" in capsys.readouterr().out


def test_links_in_the_documents_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), (page.name, target)


def test_the_source_folder_says_what_it_is():
    """Python started in a clone finds the sources before the installed package."""
    run = subprocess.run([sys.executable, "-c", "import sklearn_mf"], cwd=ROOT, capture_output=True, text=True)
    assert "source folder, not the installed package" in run.stderr


def test_version():
    assert version("sklearn-mf") == sklearn_mf.__version__
