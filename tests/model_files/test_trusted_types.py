"""Check that the public list of types has all that fitted models hold, and nothing else."""

import importlib
import warnings

import pytest
from helpers.stored_models import KINDS, MODELS, encoder, learned_later, make_model, popular, ranker, regressor
from sklearn.base import BaseEstimator

import sklearn_mf
from sklearn_mf._training.losses import LOSSES

skops_io = pytest.importorskip("skops.io")

ESTIMATORS = {
    "MatrixFactorizationRegressor": regressor,
    "MatrixFactorizationRanker": ranker,
    "MatrixFactorizationEncoder": encoder,
    "MostPopularRecommender": popular,
}


def untrusted(model):
    return set(skops_io.get_untrusted_types(data=skops_io.dumps(model)))


def test_every_public_estimator_is_here():
    names = {
        name
        for name in sklearn_mf.__all__
        if isinstance(getattr(sklearn_mf, name), type) and issubclass(getattr(sklearn_mf, name), BaseEstimator)
    }
    assert names == ESTIMATORS.keys()


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", KINDS)
def test_types_of_models_with_ids_of_every_kind(estimator, kind):
    assert untrusted(ESTIMATORS[estimator]((kind, kind))) <= set(sklearn_mf.TRUSTED_TYPES)


def test_every_listed_type_exists_and_is_needed():
    """Each loss, models that learned later, models without pairs."""
    found = set()
    for loss in LOSSES:
        found |= untrusted(regressor(loss=loss))
    for name in MODELS:
        found |= untrusted(make_model(name)[0])
    found |= untrusted(learned_later(ranker(is_rated=False), ("int64", "int64")))
    assert found == set(sklearn_mf.TRUSTED_TYPES)
    for path in sklearn_mf.TRUSTED_TYPES:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)


def test_trained_models_are_loaded_by_skops():
    for name in MODELS:
        model, X = make_model(name)
        again = skops_io.loads(skops_io.dumps(model), trusted=sklearn_mf.TRUSTED_TYPES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            ask = "transform" if name == "encoder" else "predict"
            assert getattr(again, ask)(X).tobytes() == getattr(model, ask)(X).tobytes()
