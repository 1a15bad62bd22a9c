"""Check that the example scripts run, on made and on real ratings."""

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


def run_script(name, arguments, monkeypatch, folder):
    """Run an example as a command does, in a folder of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    if importlib.util.find_spec("matplotlib"):
        importlib.import_module("matplotlib").use("agg")
    runpy.run_path(str(ROOT / "docs" / "examples" / f"{name}.py"), run_name="__main__")


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


@pytest.mark.drawing
def test_the_example_of_a_replay_runs(monkeypatch, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    example, make = load_example("replay"), sklearn_mf.datasets.make_ratings
    monkeypatch.setattr(example, "make_ratings", lambda *a, **k: make(300, 100, 10_000, **k))
    monkeypatch.setattr(sys, "argv", ["replay.py", "--draw", str(tmp_path / "replay.svg")])
    example.main()
    out = capsys.readouterr().out
    still, learns, anew = (float(error) for error in re.findall(r"^  \D+(\d\.\d{4}) ", out, flags=re.MULTILINE))
    assert learns < still
    assert anew < still
    assert (tmp_path / "replay.svg").exists()


@pytest.mark.drawing
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
    assert re.search(r"^  ranker +0\.\d{4}$", out, flags=re.MULTILINE)
    assert "is offered because of" in out
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
