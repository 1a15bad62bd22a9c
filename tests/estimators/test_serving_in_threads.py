"""Check that readers in threads see a model as it was before or after a change, never between."""

import pickle
import threading

import numpy as np
import pytest
from helpers.serving import READERS, WRITERS, make_model, ratings, read_while_writing, same, switching_often
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor
from sklearn_mf._training.sgd import SGDSolver

pytestmark = pytest.mark.filterwarnings("ignore:Training ended with a loss above")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_readers_see_whole_states(reader, writer):
    seen, states = read_while_writing(READERS[reader], WRITERS[writer])
    assert len(seen) > 2
    for answer in seen:
        assert any(same(answer, state) for state in states)


@pytest.mark.parametrize("reader", ["transform", "names"])
def test_readers_of_an_encoder_see_whole_states(reader):
    encoder = MatrixFactorizationEncoder(MatrixFactorizationRegressor(2, max_iter=2), random_state=0)
    tables = [ratings(seed=seed) for seed in range(2)]
    tables[1] = np.column_stack([tables[1][0], tables[1][0][:, 0] % 3]), tables[1][1]
    encoder.fit(*tables[0])
    failures, done = [], threading.Event()

    def read_on():
        while not done.is_set():
            try:
                if reader == "names":
                    assert len(encoder.get_feature_names_out()) in (6, 9)
                else:
                    assert encoder.transform(tables[0][0][:5]).shape == (5, 6)
            except ValueError as error:
                if "features" not in str(error):  # of three columns, which it has been fitted on meanwhile
                    failures.append(error)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=read_on)
    with switching_often():
        thread.start()
        for step in range(10):
            encoder.fit(*tables[(step + 1) % 2])
        done.set()
        thread.join()
    assert not failures


class Meanwhile:
    """Call a function at the moment that this object is pickled, or made an array."""

    def __init__(self, function):
        self.function = function

    def __reduce__(self):
        self.function()
        return str, ("pickled",)

    def __array__(self, dtype=None, copy=None):
        self.function()
        return np.array(["user", "item"], dtype=dtype)


def test_a_model_is_pickled_as_it_was():
    """scikit-learn notes in the model that a fit is in course, and removes the note."""
    model, (X, y) = make_model(), ratings(seed=1)
    expected = model.predict(X)
    model.note = Meanwhile(lambda: model.fit(X, y))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X), expected)


def test_names_of_features_are_of_one_state():
    encoder = MatrixFactorizationEncoder(MatrixFactorizationRegressor(2, max_iter=2), random_state=0)
    encoder.fit(*ratings())
    meanwhile = Meanwhile(lambda: encoder.set_params(regressor__rank=5).fit(*ratings(seed=1)))
    assert len(encoder.get_feature_names_out(meanwhile)) == 6


def test_a_warning_that_is_an_error_changes_nothing(monkeypatch):
    """Warnings are errors here: the model is that of before."""
    X, y = ratings(seed=1)
    model, other = make_model(), make_model()
    before = dict(vars(model))
    with monkeypatch.context() as patch:
        patch.setattr(SGDSolver, "warning", "Training diverged.")
        with pytest.raises(ConvergenceWarning, match="Training diverged"):
            model.fit(X, y)
    assert vars(model) == before
    model.fit(X, y)
    other.fit(X, y)
    assert same((model.predict(X),), (other.predict(X),))
    assert model.n_iter_ == other.n_iter_


def test_an_encoder_that_fails_in_its_folds_is_as_it_was():
    X, y = ratings()
    encoder = MatrixFactorizationEncoder(MatrixFactorizationRegressor(2, max_iter=2), random_state=0).fit(X, y)
    before = dict(vars(encoder))
    encoder.cv = [(np.arange(10), np.arange(5, 15))]
    with pytest.raises(ValueError, match="both the training and the test part"):
        encoder.fit_transform(np.column_stack([X, X[:, 0]]), y)
    assert {**vars(encoder), "cv": 5} == before
