"""Check that stored models give the same answers, by pickle, joblib with memory maps, and skops."""

import os
import pickle

import joblib
import numpy as np
import pytest
from helpers.serving import make_model, ratings

import sklearn_mf
from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRanker, MatrixFactorizationRegressor
from sklearn_mf._training.losses import LOSSES

X, y = ratings()
IDS = {
    "int": X,
    "text": X.astype(str).astype(object),
    "bytes": np.char.add("u", X.astype(str)).astype("S5"),
    "float": X + 0.5,
    "datetime": np.datetime64("2020-01-01", "s") + X.astype("m8[D]"),
    "large": X.astype(np.uint64) + np.uint64(2**63 + 5),
}


def stored_by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def stored_by_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib.new")
    os.replace(folder / "model.joblib.new", folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def mapped_by_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


def stored_by_skops(model, folder):
    skops_io = pytest.importorskip("skops.io")
    skops_io.dump(model, folder / "model.skops")
    return skops_io.load(folder / "model.skops", trusted=sklearn_mf.TRUSTED_TYPES)


WAYS = [stored_by_pickle, stored_by_joblib, mapped_by_joblib, stored_by_skops]
ways = pytest.mark.parametrize("store", WAYS, ids=lambda way: way.__name__)


@ways
@pytest.mark.parametrize("kind", IDS)
def test_answers_are_the_same(store, kind, tmp_path):
    model = MatrixFactorizationRegressor(3, max_iter=2, random_state=0).fit(IDS[kind], y)
    loaded = store(model, tmp_path)
    np.testing.assert_array_equal(loaded.predict(IDS[kind]), model.predict(IDS[kind]))
    users = IDS[kind][:5, 0]
    for found, expected in zip(loaded.recommend(users, 4), model.recommend(users, 4), strict=True):
        np.testing.assert_array_equal(found, expected)


@ways
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_stored(store, loss, tmp_path):
    model = make_model(loss=loss)
    np.testing.assert_array_equal(store(model, tmp_path).predict(X), model.predict(X))


@ways
def test_a_loaded_model_learns_on(store, tmp_path):
    """Arrays that lie in a file cannot be written; growing copies them."""
    model = make_model()
    loaded = store(model, tmp_path)
    for learner in (model, loaded):
        learner.fold_in(X[:60] + np.array([500, 0]), y[:60])
        learner.partial_fit(X[:200] + np.array([0, 9]), y[:200])
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@ways
def test_an_encoder_is_stored(store, tmp_path):
    encoder = MatrixFactorizationEncoder(MatrixFactorizationRegressor(2, max_iter=2), random_state=0).fit(X, y)
    np.testing.assert_array_equal(store(encoder, tmp_path).transform(X), encoder.transform(X))


def test_skops_needs_no_other_type(tmp_path):
    skops_io = pytest.importorskip("skops.io")
    for loss in LOSSES:
        unknown = skops_io.get_untrusted_types(data=skops_io.dumps(make_model(loss=loss)))
        assert set(unknown) <= set(sklearn_mf.TRUSTED_TYPES)


@ways
@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("rated", [False, True])
def test_a_ranker_is_stored(store, kind, rated, tmp_path):
    fitted = MatrixFactorizationRanker(3, max_iter=2, random_state=0).fit(IDS[kind], y if rated else None)
    loaded = store(fitted, tmp_path)
    users = IDS[kind][:5, 0]
    for found, expected in zip(loaded.recommend(users, 4), fitted.recommend(users, 4), strict=True):
        np.testing.assert_array_equal(found, expected)
    for name, expected in fitted.explain(IDS[kind][:5]).items():
        np.testing.assert_array_equal(loaded.explain(IDS[kind][:5])[name], expected)
    if kind == "int":
        for one in (loaded, fitted):
            one.fold_in([[777, 1], [777, 2]], [4.0, 5.0] if rated else None)
        np.testing.assert_array_equal(loaded.recommend([777])[0], fitted.recommend([777])[0])
