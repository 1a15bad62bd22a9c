"""Check that the scripts of the gallery run and draw, and that those of benchmarks with real ratings run."""

import ast
import importlib
import importlib.util
import os
import re
import runpy
import sys
from unittest import mock

import pytest
from helpers.dask_clusters import quick_processes
from helpers.paths import REAL_DATA, REAL_SETS, ROOT

import sklearn_mf
import sklearn_mf.datasets
import sklearn_mf.metrics
import sklearn_mf.model_selection
import sklearn_mf.plotting

pytestmark = pytest.mark.slow
NAMES = sorted(path.stem for path in (ROOT / "docs" / "examples").glob("*.py"))
# Tests below run these, on fewer ratings.
WITH_ARGUMENTS = {"fit_on_dask", "larger_than_memory", "quickstart", "search_on_dask"}


def run_script(name, arguments, monkeypatch, folder):
    """Run an example as a command does, in a folder of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    if importlib.util.find_spec("matplotlib"):
        importlib.import_module("matplotlib").use("agg")
    runpy.run_path(str(ROOT / "docs" / "examples" / f"{name}.py"), run_name="__main__")


def load_benchmark(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    return benchmark


@pytest.mark.drawing
@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITH_ARGUMENTS])
def test_a_script_of_the_gallery_runs_and_draws(name, monkeypatch, capsys, tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    run_script(name, [], monkeypatch, tmp_path)
    assert capsys.readouterr().out
    assert plt.get_fignums()


@pytest.mark.parametrize("name", NAMES)
def test_a_script_of_the_gallery_has_a_title_and_texts(name):
    source = (ROOT / "docs" / "examples" / f"{name}.py").read_text()
    title, line = ast.get_docstring(ast.parse(source)).splitlines()[:2]
    assert line == "=" * len(title)
    assert source.count("# %%\n") >= 2


@pytest.mark.drawing
def test_pictures_are_drawn_from_the_gallery(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    drawing = runpy.run_path(str(ROOT / "docs" / "pictures" / "draw.py"))
    drawn = {name for names in drawing["PICTURES"].values() for name in names if name}
    there = {path.stem for path in (ROOT / "docs" / "pictures").glob("*.svg")}
    assert there == drawn | {"heat_maps", "scaling", "seeds_and_context"}  # benchmarks draw these, from real ratings
    monkeypatch.setattr(sys, "argv", ["draw.py", "intervals", "--folder", str(tmp_path)])
    drawing["main"]()
    assert (tmp_path / "intervals.svg").exists()


def test_the_replay_of_benchmarks_runs(monkeypatch, capsys):
    benchmark, make = load_benchmark("replay"), sklearn_mf.datasets.make_ratings
    monkeypatch.setattr(benchmark, "make_ratings", lambda *a, **k: make(300, 100, 10_000, **k))
    monkeypatch.setattr(sys, "argv", ["replay.py"])
    benchmark.main()
    out = capsys.readouterr().out
    still, learns, anew = (float(error) for error in re.findall(r"^  \D+(\d\.\d{4}) ", out, flags=re.MULTILINE))
    assert learns < still
    assert anew < still


def test_recommendations_from_movielens_run(monkeypatch, capsys):
    if not (REAL_DATA / "ml-100k" / "u.item").exists():
        pytest.skip(f"no real ratings at {REAL_DATA}")
    benchmark = load_benchmark("recommendations")
    monkeypatch.setattr(benchmark, "GRID", {"rank": [0, 4], "learning_rate": [0.2]})
    monkeypatch.setattr(sys, "argv", ["recommendations.py", "--movielens", "100k", "--data-home", str(REAL_DATA)])
    benchmark.main()
    assert "Empire Strikes Back, The (1980)" in capsys.readouterr().out


def test_recommendations_from_made_ratings_run(monkeypatch, capsys):
    benchmark, make = load_benchmark("recommendations"), sklearn_mf.datasets.make_ratings
    monkeypatch.setattr(benchmark, "GRID", {"rank": [0, 4], "learning_rate": [0.1, 0.2]})
    monkeypatch.setattr(benchmark, "make_ratings", lambda *a, **k: make(200, 80, 8_000, rank=4, random_state=0))
    monkeypatch.setattr(sys, "argv", ["recommendations.py"])
    benchmark.main()
    out = capsys.readouterr().out
    assert len(re.findall(r"^  \d\.\d\d  [A-Z][a-z]+ \d+$", out, flags=re.MULTILINE)) == 15
    assert re.search(r"^  ranker +0\.\d{4}$", out, flags=re.MULTILINE)


def test_seeds_and_contexts_run(monkeypatch, capsys):
    folder = REAL_DATA / "ml-100k"
    if not (folder / "u.item").exists():
        pytest.skip(f"no real ratings at {folder}")
    benchmark = load_benchmark("seeds_and_context")
    monkeypatch.setattr(benchmark, "SETTINGS", {"short": {"rank": 2, "max_iter": 2, "learning_rate": 0.05}})
    monkeypatch.setattr(benchmark, "SEEDS", [1, 2])
    monkeypatch.setattr(sys, "argv", ["seeds_and_context.py", str(folder)])
    benchmark.main()
    assert "| year + genres + week | 0.9" in capsys.readouterr().out


@pytest.mark.drawing
def test_the_example_of_ratings_larger_than_memory_runs(monkeypatch, capsys, tmp_path):
    pytest.importorskip("pyarrow")
    small = ["--ratings", "200000", "--megabytes", "100", "--users", "2000", "--folder", str(tmp_path)]
    run_script("larger_than_memory", small, monkeypatch, tmp_path)
    out = capsys.readouterr().out
    assert float(re.search(r"^RMSE (\d\.\d+);", out, flags=re.MULTILINE)[1]) < 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.drawing
@mock.patch.dict(os.environ)  # Dask leaves variables for its workers there
def test_the_example_of_a_search_on_dask_runs(monkeypatch, capfd, tmp_path):
    pytest.importorskip("distributed")
    with quick_processes():
        run_script("search_on_dask", ["--ratings", "10000"], monkeypatch, tmp_path)
    printed = capfd.readouterr()
    assert len(re.findall(r"^learning_rate 0\.\d+, rank \d: RMSE 0\.\d{4}$", printed.out, flags=re.MULTILINE)) == 6
    assert "best: {" in printed.out
    assert not printed.err


@pytest.mark.drawing
@mock.patch.dict(os.environ)
def test_the_example_of_a_fit_on_dask_runs(monkeypatch, capfd, tmp_path):
    pytest.importorskip("distributed")
    with quick_processes():
        run_script("fit_on_dask", ["--ratings", "20000"], monkeypatch, tmp_path)
    printed = capfd.readouterr()
    assert re.search(r"^RMSE .*: 0\.\d{4}$", printed.out, flags=re.MULTILINE)
    assert "same bits as a fit on one machine: True" in printed.out
    assert len(re.findall(r"^ +\d+ +\d+ +[123] \d\.\d+$", printed.out, flags=re.MULTILINE)) == 6


@pytest.mark.drawing
@pytest.mark.parametrize("name", ["made", "ml-100k"])
def test_quickstart(name, tmp_path, monkeypatch, capsys):
    """The script of the README, whole, on made ratings and on a file."""
    arguments = ["--save", str(tmp_path / "model.joblib")]
    if name != "made":
        path = REAL_DATA / name / REAL_SETS[name]
        if not path.exists():
            pytest.skip(f"no real ratings at {path.parent}")
        arguments += ["--ratings", str(path)]
    run_script("quickstart", arguments, monkeypatch, tmp_path)
    printed = capsys.readouterr().out
    mean, biases, factorization = (
        float(re.search(rf"^  {label} +([\d.]+)$", printed, flags=re.MULTILINE)[1])
        for label in ("global mean", "biases only", "factorization")
    )
    assert factorization < biases < mean
    assert printed.count("\nuser ") == 5
    assert (tmp_path / "model.joblib").exists()
