"""Check that imports run one way and that files, functions and docstrings keep to the rules of the source."""

import ast
import re
from pathlib import Path

import pytest
from helpers.paths import ROOT

import sklearn_mf

PACKAGE = Path(sklearn_mf.__file__).parent
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "_version.py")  # the build writes this one
KERNEL_SOURCES = ROOT / "sklearn_mf" / "_kernel"

# What each wing, or module of the top, imports of the package; wings without an entry of their own import nothing.
IMPORTS_OF_WINGS = {
    "__init__": {
        "_encoder",
        "_model_files",
        "_popular",
        "_prediction",
        "_ranker",
        "_regressor",
        "_training",
        "_version",
    },
    # Over the estimators, as it makes them from what it reads.
    "_model_files": {
        "_base",
        "_encoder",
        "_ids",
        "_kernel.precision",
        "_popular",
        "_prediction",
        "_ranker",
        "_regressor",
        "_training",
        "_version",
    },
    "_encoder": {"_base", "_ids", "_prediction", "_regressor", "_utils"},
    "_regressor": {"_base", "_ids", "_kernel.rows", "_prediction", "_recommender", "_streaming", "_training", "_utils"},
    "_ranker": {"_base", "_ids", "_pair_recommender", "_prediction", "_recommender", "_training", "_utils"},
    "_popular": {"_base", "_ids", "_pair_recommender", "_prediction", "_utils"},
    "_pair_recommender": {"_base", "_ids", "_prediction", "_recommender", "_utils", "metrics"},
    "_recommender": {"_base", "_ids", "_prediction", "_utils"},
    "_streaming": {"_base", "_ids", "_training", "_utils"},
    "_base": {"_ids", "_kernel.rows", "_prediction", "_training", "_utils"},
    "_training": {"_kernel", "_prediction.model", "_utils"},
    "_prediction": {"_ids", "_kernel", "_utils"},
    "_ids": {"_kernel", "_utils"},
    # Over the estimators, as it trains models of theirs on many machines.
    "dask": {
        "_base",
        "_ids",
        "_kernel.simd",
        "_prediction",
        "_ranker",
        "_recommender",
        "_regressor",
        "_training",
        "_utils",
    },
    # Beside the estimators, which know none of them; nor do these know each other.
    "datasets": {"_ids", "_utils"},
    "metrics": {"_ids", "_utils"},
    "model_selection": {"_ids", "_utils"},
    "plotting": {"_ids", "_utils"},
}
# Which modules of its own wing each module imports. A module may import what stands above it in its list.
ORDER_WITHIN_WINGS = {
    "_utils": ["callbacks", "deviations", "records", "storage", "threads", "warnings"],
    "_kernel": [
        "rows", "sgd", "precision", "online", "grid", "effects", "partners", "hashing", "selection", "als", "simd",
        "__init__",
    ],
    "_ids": ["batches", "tables", "checks", "kinds", "factorize", "levels", "merge", "names", "pick", "rows", "times"],
    "_model_files": [
        "container", "entries", "ids", "parameters", "regressor", "ranker", "popular", "encoder", "models",
    ],
    "_prediction": [
        "model", "deviations", "fitted", "lists", "top_items", "held_out", "seen", "own_contexts", "contexts",
        "recommend", "similar", "explain", "shares",
    ],
    "_training": [
        "shard", "tape", "losses", "hyperparameters", "layout", "ratings", "scaling", "grid", "damping", "parameters",
        "partners", "centers", "sgd", "precision", "learned", "progress", "room", "run", "schedules",
        "penalty_scale", "fit", "online", "fold_in", "sections", "confidence", "pairs", "als", "choose_penalties",
        "fit_pairs",
    ],
    "dask": [
        "_transport", "_checkpoints", "_tasks", "_team", "_check", "_recovery", "_partitions", "_programs",
        "_cluster_fit", "_estimators", "_regressor", "_ranker", "__init__",
    ],
}  # fmt: skip
LARGEST_FILE, LARGEST_FUNCTION, MOST_PARAMETERS = 500, 60, 8  # lines without docstrings
NOT_VERBS = {"A", "An", "How", "One", "Our", "That", "The", "These", "This", "What", "When", "Where", "Whether", "Who"}


def imports_of(source):
    """Names that a module imports from the package, those for type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn_mf"):
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "sklearn_mf"}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("sklearn_mf")}
    return {name.removeprefix("sklearn_mf").removeprefix(".") for name in found} - {""}


def wing_and_module(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0], parts[-1]


def functions_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def is_overload(node):
    return any(ast.unparse(decorator) == "overload" for decorator in getattr(node, "decorator_list", []))


def lines_without_docstrings(node, tree):
    """Lines of a module or function, those of docstrings in it and of overloads, which only declare, left out."""
    first, last = (1, max((n.end_lineno for n in tree.body), default=0))
    if node is not tree:
        first, last = node.lineno, node.end_lineno
    docstrings = 0
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(inner):
            docstrings += inner.body[0].end_lineno - inner.body[0].lineno + 1
        elif is_overload(inner):
            docstrings += inner.end_lineno - inner.lineno + 2
    return last - first + 1 - docstrings


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down(path):
    """Between wings as IMPORTS_OF_WINGS says, within a wing from the end of its list to the front.

    Imports for type checkers count.
    """
    wing, module = wing_and_module(path)
    for name in imports_of(path.read_text()):
        other, _, rest = name.partition(".")
        if other != wing:
            allowed = IMPORTS_OF_WINGS.get(wing, set())
            assert other in allowed or name in allowed, f"{path.name} imports {name}"
        elif wing in ORDER_WITHIN_WINGS and module != wing:
            order = ORDER_WITHIN_WINGS[wing]
            assert order.index(rest.split(".")[0]) < order.index(module), f"{path.name} imports {name}"


def test_there_is_no_circle():
    """Nor one within the folders that have no order."""
    modules = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in SOURCES}
    imports = {}
    for name, path in modules.items():
        tree = ast.parse(path.read_text())
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level], (
            f"relative import in {name}"
        )
        imports[name] = imports_of(path.read_text()) & modules.keys()
    while imports:
        done = [name for name, others in imports.items() if not others & imports.keys()]
        assert done, f"in a circle: {sorted(imports)}"
        for name in done:
            del imports[name]


def test_kernel_modules_import_what_stands_above_them():
    order = ORDER_WITHIN_WINGS["_kernel"]
    for path in (*KERNEL_SOURCES.glob("*.pyx"), *KERNEL_SOURCES.glob("*.pxd")):
        for name in re.findall(r"^from sklearn_mf\.(\S+) c?import", path.read_text(), flags=re.MULTILINE):
            wing, module = name.split(".")
            assert wing == "_kernel"
            assert order.index(module) < order.index(path.stem), f"{path.name} imports {name}"


def test_every_module_has_its_place_in_the_order():
    for wing, order in ORDER_WITHIN_WINGS.items():
        modules = {path.stem for path in (PACKAGE / wing).glob("*.py")} - {"__init__"}
        if wing == "_kernel":
            modules |= {path.stem for path in KERNEL_SOURCES.glob("*.pyx")}
        assert modules == set(order) - {"__init__"}


def test_private_names_of_scikit_learn_stay_at_the_top():
    for path in SOURCES:
        code = path.read_text()
        private = re.findall(r"^from sklearn(?!_mf)(?:\S*\._\w+|\S* import .*\b_\w+)", code, flags=re.MULTILINE)
        assert not private or path.stem in ("_regressor", "_ranker", "_pair_recommender", "_encoder"), path.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_are_small(path):
    tree = ast.parse(path.read_text())
    assert lines_without_docstrings(tree, tree) <= LARGEST_FILE
    for function in functions_of(tree):
        assert lines_without_docstrings(function, tree) <= LARGEST_FUNCTION, function.name
        if function.name.startswith("_") and not function.name.startswith("__"):
            arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
            names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
            assert len(names) <= MOST_PARAMETERS, function.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_begin_with_a_verb(path):
    """Those of properties name what they give, as scikit-learn's do; what sets one has none, as nobody sees it."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            continue
        decorators = [ast.unparse(decorator) for decorator in getattr(node, "decorator_list", [])]
        if any(decorator.endswith(".setter") for decorator in decorators):
            continue
        docstring = ast.get_docstring(node)
        name = getattr(node, "name", path.name)
        is_nested = isinstance(node, ast.FunctionDef) and node not in functions_at_top(tree)
        if docstring is None:
            assert is_nested or name.startswith("__") or is_overload(node), f"{name} has no docstring"
            continue
        if any(decorator.endswith("property") for decorator in decorators):
            continue
        assert docstring[0].isupper(), f"{name}: {docstring.splitlines()[0]}"
        assert docstring.split()[0] not in NOT_VERBS, f"{name}: {docstring.splitlines()[0]}"


def functions_at_top(tree):
    """Functions of a module and methods of its classes, functions within functions left out."""
    holders = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    return [node for holder in holders for node in holder.body if isinstance(node, ast.FunctionDef)]


def test_the_kernel_readme_has_a_line_for_each_file():
    listed = set(re.findall(r"^\| `([\w.]+)`", (KERNEL_SOURCES / "README.md").read_text(), flags=re.MULTILINE))
    files = {
        path.name for path in KERNEL_SOURCES.iterdir() if path.suffix in (".c", ".h", ".pxd", ".pyx", ".py", ".build")
    }
    assert listed == files


def test_the_map_of_the_source_has_each_file():
    page = (ROOT / "docs" / "contributing.md").read_text()
    for path in SOURCES:
        wing, module = wing_and_module(path)
        if module != "__init__":
            assert f"`{path.name}`" in page, path
        assert f"{wing}/" in page or f"`{wing}.py`" in page or wing == "__init__", path
