"""Check that models in files of this and earlier releases load, answer as they did, and learn on."""

import pickle
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from helpers.stored_models import (
    KINDS,
    MODELS,
    answers,
    assert_same_answers,
    folded_in,
    learned_later,
    messages_of,
    questions,
    state_of,
)
from sklearn.exceptions import InconsistentVersionWarning

from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor, load_model, save_model

RELEASES = sorted(path for path in Path(__file__).parent.iterdir() if (path / "expected.npz").exists())
FILES = [(release, path.stem) for release in RELEASES for path in sorted(release.glob("*.pickle"))]
files = pytest.mark.parametrize(("release", "name"), FILES, ids=lambda value: getattr(value, "name", value))
# Not the same bits with another NumPy, BLAS or instruction set: deviations, solved systems, predictions of counts, and
# predictions with context columns.
MAY_DIFFER = {"std", "shares", "cosines", "features"}


def unpickled(release, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)  # another scikit-learn wrote it
        return pickle.loads((release / f"{name}.pickle").read_bytes())


def has_two_columns(name):
    return len(MODELS[name][0]) == 2


def test_this_release_has_a_file_of_each_model():
    names = {name for release, name in FILES if release.name == version("sklearn-mf")}
    assert names == MODELS.keys()
    for release, name in FILES:
        assert (release / f"{name}.npz").exists()


def test_files_have_ids_of_every_kind():
    for estimator in ("regressor", "ranker", "popular"):
        kinds = {kind for name, (kinds, _) in MODELS.items() if name.startswith(estimator) for kind in kinds}
        assert kinds == KINDS.keys(), estimator


@files
@pytest.mark.parametrize("load", [unpickled, lambda release, name: load_model(release / f"{name}.npz")])
def test_answers_are_those_of_the_release(release, name, load):
    model, X = load(release, name), questions(MODELS[name][0])
    found = answers(model, X)
    with np.load(release / "expected.npz", allow_pickle=False) as file:
        expected = {key.partition(".")[2]: file[key] for key in file.files if key.partition(".")[0] == name}
    assert found.keys() == expected.keys()
    for question, values in expected.items():
        exactly = question not in MAY_DIFFER and has_two_columns(name) and getattr(model, "loss", "") != "poisson"
        tolerances = {} if exactly else {"rtol": 1e-6, "atol": 1e-7}
        compare = np.testing.assert_array_equal if exactly else np.testing.assert_allclose
        compare(found[question], values, err_msg=question, **tolerances)


@files
def test_pickle_and_plain_file_hold_the_same(release, name):
    loaded = load_model(release / f"{name}.npz")
    assert state_of(loaded) == state_of(unpickled(release, name))


@files
def test_models_of_a_release_learn_on(release, name, tmp_path):
    model, other = unpickled(release, name), load_model(release / f"{name}.npz")
    kinds, learns_on = MODELS[name][0], isinstance(model, MatrixFactorizationRegressor)
    if isinstance(model, MatrixFactorizationRanker):
        learns_on = "fold_in" not in name and "odd" not in name
    if learns_on:
        found, expected = (messages_of(lambda each=each: learned_later(each, kinds)) for each in (model, other))
        assert found == expected
        assert bool(found) == ("weights" in name)
    assert_same_answers(model, other, questions(kinds))
    save_model(model, tmp_path / "again.npz")
    assert_same_answers(load_model(tmp_path / "again.npz"), model, questions(kinds))


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_files_are_small(release):
    assert sum(path.stat().st_size for path in release.iterdir()) < 300_000


def test_fold_in_goes_on_in_a_loaded_model():
    kinds = MODELS["regressor"][0]
    release = RELEASES[-1]
    one, other = unpickled(release, "regressor"), load_model(release / "regressor.npz")
    assert_same_answers(folded_in(one, kinds), folded_in(other, kinds), questions(kinds))
