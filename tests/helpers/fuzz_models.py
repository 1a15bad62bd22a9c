"""Make calls of the estimators: new ones are fitted, fitted ones are asked, changed and copied."""

import copy
import io
import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit

from helpers.fuzz_choices import Call, CannotBeFittedError
from helpers.fuzz_tables import BAD_NUMBERS, RATINGS, WEIGHTS, Fields, listed, numbers, weights
from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor, load_model, save_model
from sklearn_mf._base import _NOT_STORED

FLOATS = [0.01, 0.5, 1, 3.0, np.float32(0.25), 1e-300, 1e300]
NO_NUMBERS = [-1, np.nan, "text", None, [1], 1j, object(), -np.inf]
GOOD = {
    "rank": [0, 1, 3, 8, np.int8(2), True],
    "learning_rate": FLOATS,
    "schedule": ["linear", "constant", "invscaling"],
    "alpha": [0, *FLOATS],
    "alpha_bias": [0, *FLOATS],
    "damping": ["auto", (2.0, 6), [0, 1e300], 0, *FLOATS],
    "implicit_features": ["user", "item", "both", None],
    "alpha_implicit": FLOATS,
    "loss": ["squared_error", "absolute_error", "huber", "quantile", "poisson"],
    "epsilon": FLOATS,
    "quantile": [0.1, 0.9, 1e-300, np.float32(0.5)],
    "positive": [True, False, np.True_],
    "fit_bias": [True, False],
    "max_iter": [1, 2, 5, np.int64(3)],
    "tol": [None, 0, 1e-3, 1e300],
    "early_stopping": [True, False],
    "refit": [True, False],
    "validation_fraction": [0.1, 0.5, 0.9],
    "n_iter_no_change": [1, 5, 2**70],
    "warm_start": [True, False],
    "clip": [True, False],
    "handle_unknown": ["ignore", "warn", "error", "nan"],
    "forgetting": [0, 0.01, 0.5, 1e-300, np.float32(0.25)],
    "n_jobs": [None, 1, 2, -1, -1000, 10**6],
    "random_state": [0, 7, 2**32 - 1, None, np.random.RandomState(0)],
    "memory_map": [None, True, False, tempfile.gettempdir(), Path(tempfile.gettempdir())],
    "verbose": [0, 1, True],
}
BAD = {
    **dict.fromkeys(GOOD, NO_NUMBERS),
    "rank": [*NO_NUMBERS, 2.0, 10**14, 2**70],
    "learning_rate": [0, np.inf, 10**400, *NO_NUMBERS],
    "alpha": [np.inf, 10**400, *NO_NUMBERS],
    "damping": [np.inf, 10**400, (1.0,), (1, -1), [np.nan, 2], (1, 2, 3), ("a", 1), (10**400, 1), *NO_NUMBERS],
    "alpha_implicit": [np.inf, 0, *NO_NUMBERS],
    "implicit_features": ["", 3, True, []],
    "epsilon": [np.inf, 0, *NO_NUMBERS],
    "max_iter": [0, 2.5, *NO_NUMBERS],
    "tol": [-1, np.nan, np.inf, "text"],
    "validation_fraction": [0, 1, 1e-300, *NO_NUMBERS],
    "forgetting": [1, 1.5, 10**400, *NO_NUMBERS],
    "n_jobs": [0, 1.5, "text", 2**70],
    "random_state": [-1, 2**40, 1.5, "text", np.random.default_rng(0)],
    "memory_map": ["", "nowhere", Path(__file__), 5, b"x", [None], np.nan],
    "verbose": [-1, "text", None],
}


def parameters(choose, share=0.12):
    """Parameters of a regressor whose fit takes milliseconds, good or bad ones."""
    small = {"rank": choose.integer(0, 4), "max_iter": choose.integer(1, 3), "random_state": choose.integer(0, 9)}
    return {**small, **choose.keywords(GOOD, BAD, share)}


def loss_of(model):
    """The loss of a regressor, or of the one in an encoder."""
    return getattr(getattr(model, "regressor", model), "loss", None)


class Fitted:
    """Hold an estimator fitted on good input, the ids that it knows, and its table."""

    def __init__(self, choose, make, n_columns=None, **keywords):
        is_meant_to_fail, choose.is_meant_to_fail = choose.is_meant_to_fail, False
        self.choose, self.fields = choose, Fields(choose, n_columns)
        self.model = make(choose, **keywords)
        self.n_rows = choose.integer(10, 30)
        self.X = self.fields.table(self.n_rows)
        y = numbers(choose, self.n_rows, signed=loss_of(self.model) != "poisson")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.model.fit(self.X, y)
            except Exception as error:
                raise CannotBeFittedError(self.call("fit", self.X, y)) from error
        choose.is_meant_to_fail = is_meant_to_fail
        if choose.is_meant_to_fail and choose.chance(0.1):
            self.model = clone(self.model)

    def call(self, method, *args, check=lambda result: None, **kwargs):
        name = f"{type(self.model).__name__}.{method}"
        return Call(name, getattr(self.model, method), args, kwargs, subject=self.model, check=check)


def regressor(choose, **keywords):
    return MatrixFactorizationRegressor(**{**parameters(choose), **keywords})


def encoder(choose, **keywords):
    good = {"cv": [2, 3, np.int64(2), KFold(2), KFold(3, shuffle=True, random_state=0)], "random_state": [0, None]}
    bad = {"cv": [1, 10**6, 2.5, "text", None, ShuffleSplit(2), [], [([0], [1])], object()], "random_state": [-1, "x"]}
    drawn = {"cv": 2, **choose.keywords(good, bad, 0.5)}
    inner = None if choose.chance(0.1) else regressor(choose, **keywords)
    return MatrixFactorizationEncoder(choose.argument([inner], [inner, 5, "text", MatrixFactorizationEncoder]), **drawn)


def check_predictions(model, X, n_rows):
    """What a model predicts has a row for each pair, and is finite unless ids are not known."""

    def check(result):
        if not isinstance(result, np.ndarray) and model.handle_unknown == "error":
            return  # ids whose ratings all have weight 0 are not known
        predicted = result if isinstance(result, np.ndarray) else model.predict(X)
        assert predicted.dtype == np.float64
        assert predicted.shape == (n_rows,)
        if model.handle_unknown != "nan":
            assert np.isfinite(predicted).all(), predicted

    return check


def fit(choose):
    fields, n_rows = Fields(choose), choose.integer(1, 30)
    model = regressor(choose)
    X, y = fields.table(n_rows), numbers(choose, n_rows, signed=model.loss != "poisson")
    kwargs = {"sample_weight": weights(choose, n_rows)}
    if choose.chance(0.3 if model.early_stopping is True else 0.02):
        n_val = choose.integer(1, 5)
        kwargs |= {"X_val": fields.table(n_val, unknown=True), "y_val": numbers(choose, n_val, signed=False)}
        kwargs |= {"sample_weight_val": weights(choose, n_val)}
    check = check_predictions(model, X, n_rows)
    return Call("MatrixFactorizationRegressor.fit", model.fit, (X, y), kwargs, model, check)


def fit_again(choose):
    fitted = Fitted(choose, regressor, warm_start=True)
    n_rows = choose.integer(1, 30)
    X, y = fitted.fields.table(n_rows, unknown=True), numbers(choose, n_rows, signed=False)
    check = check_predictions(fitted.model, X, n_rows)
    return fitted.call("fit", X, y, weights(choose, n_rows), check=check)


def partial_fit(choose):
    fitted = Fitted(choose, regressor)
    if choose.chance(0.2):
        fitted.model = clone(fitted.model)
    if choose.is_bad():
        fitted.model.set_params(**parameters(choose))
    n_rows = choose.integer(2, 20)
    X, y = fitted.fields.table(n_rows, unknown=True), numbers(choose, n_rows, signed=False)
    more = {}
    if choose.chance(0.3):  # of new ids nothing can be replaced
        X = fitted.fields.table(n_rows, unknown=choose.is_meant_to_fail)
        y_old = numbers(choose, n_rows, signed=False)
        is_array = isinstance(y_old, np.ndarray) and y_old.dtype.kind == "f"
        more["y_old"] = np.where(choose.rng.random(n_rows) < 0.5, y_old, np.nan) if is_array else y_old
    check = check_predictions(fitted.model, X, n_rows)
    return fitted.call("partial_fit", X, y, weights(choose, n_rows), check=check, **more)


def forget(choose):
    fitted = Fitted(choose, regressor)
    known = list(fitted.model.categories_[0]) if hasattr(fitted.model, "categories_") else [1, 2]
    users = known[: choose.integer(0, len(known) - 1)]
    if choose.is_bad():
        users = choose.pick([known, [*known[:1], "nobody"], None, 5, "text", [None], [[1, 2]], object(), 1j])

    def check(model):
        assert len(model.categories_[0]) == len(known) - len(users)
        assert len(model.factors_[0]) == len(model.categories_[0])

    return fitted.call("forget", users, check=check)


def fold_in(choose):
    keywords = {"loss": "squared_error", "positive": False}
    fitted = Fitted(choose, regressor, **({} if choose.is_bad() else keywords))
    n_rows, column = choose.integer(1, 8), choose.integer(0, len(fitted.fields.levels) - 1)
    fields, more = fitted.fields, {"update_known": choose.argument([True, False], [None, "text", 3])}
    if not len(fields.unknown[column]):
        more["update_known"] = True
    else:
        fields.levels[column], known = fields.unknown[column], fields.levels[column]
    X = fields.table(n_rows)
    if choose.is_bad() and len(fields.unknown[column]):
        fields.levels[column] = known
    check = check_predictions(fitted.model, X, n_rows)
    return fitted.call("fold_in", X, numbers(choose, n_rows), weights(choose, n_rows), check=check, **more)


def predict(choose):
    fitted, n_rows = Fitted(choose, regressor), choose.integer(1, 12)
    unknown = choose.chance(0.5) and fitted.model.handle_unknown != "error"
    X = fitted.fields.table(n_rows, unknown)
    return_std = choose.argument([False, False, True, "mean"], ["text", None, 2, np.zeros(2), [True]])
    if return_std is False or fitted.model.loss in ("quantile", "poisson"):
        return fitted.call("predict", X, check=check_predictions(fitted.model, X, n_rows))

    def check(result):
        check_predictions(fitted.model, X, n_rows)(result[0])
        np.testing.assert_array_equal(result[0], fitted.model.predict(X))
        assert result[1].shape == (n_rows,)
        assert not (result[1] < 0).any()

    return fitted.call("predict", X, return_std, check=check)


def score(choose):
    fitted, n_rows = Fitted(choose, regressor, handle_unknown="ignore"), choose.integer(2, 12)
    y = choose.argument(RATINGS[:5], BAD_NUMBERS[3:9])(choose.rng, n_rows)  # scikit-learn's score squares them
    return fitted.call("score", fitted.fields.table(n_rows), y, choose.pick(WEIGHTS[:5])(choose.rng, n_rows))


def explain(choose):
    fitted, n_rows = Fitted(choose, regressor), choose.integer(1, 12)
    X = fitted.fields.table(n_rows, choose.chance(0.3) and fitted.model.handle_unknown != "error")

    def check(parts):
        assert all(values.shape == (n_rows,) for values in parts.values())
        np.testing.assert_array_equal(parts.rating, fitted.model.predict(X))

    return fitted.call("explain", X, check=check)


def check_lists(queries, n_most):
    """Lists of ids and numbers have a row for each query, and no more columns than were asked for."""

    def check(result):
        ids, values = result
        assert ids.shape == values.shape
        assert len(ids) == len(queries)
        assert ids.shape[1] <= n_most
        assert values.dtype == np.float64
        assert not np.isinf(values).any()

    return check


SIZES = [1, 3, np.int64(2), 10**6, 2**70]
BAD_SIZES = [0, -1, 2.5, "text", None, True, np.nan, 1j]


def item_contexts(fitted, n_contexts):
    """What each item brings of its contexts: a mapping, or a table with the items in front."""
    items = list(fitted.fields.levels[1])
    values = [listed(fitted.fields.ids(2 + j, len(items))) for j in range(n_contexts)]
    if fitted.choose.chance(0.5):
        rows = [row[0] if n_contexts == 1 else list(row) for row in zip(*values, strict=True)]
        return dict(zip(items, rows, strict=True))
    return [[item, *row] for item, *row in zip(items, *values, strict=True)]


def recommend(choose):
    fitted, n_users = Fitted(choose, regressor), choose.integer(0, 6)
    fields, n_contexts = fitted.fields, len(fitted.fields.levels) - 2
    unknown = choose.chance(0.3) and fitted.model.handle_unknown != "error"
    users, n_items = fields.list_of_ids(0, n_users, unknown), choose.argument(SIZES, BAD_SIZES)
    kwargs = {}
    if choose.chance(0.3):
        kwargs["exclude"] = fields.table(choose.integer(1, 20), unknown=True)
    if choose.chance(0.3):
        kwargs["candidates"] = fields.list_of_ids(1, choose.integer(1, 5))
    is_one_row = choose.chance(0.5)
    if n_contexts and choose.chance(0.3):
        kwargs["item_context"] = item_contexts(fitted, n_contexts)
    elif n_contexts:
        rows = [listed(fields.ids(2 + j, 1 if is_one_row else max(n_users, 1))) for j in range(n_contexts)]
        rows = [list(row) for row in zip(*rows, strict=True)]
        kwargs["context"] = rows[0] if is_one_row else rows[:n_users]
    if choose.is_bad():
        bad = [None, 5, "text", [None], [[1, 2, 3]], [[]], {}, {1: [2, 3]}, np.ones((2, 2, 2)), object(), [1, [2]]]
        kwargs[choose.pick(["context", "item_context"])] = choose.pick([*bad, fields.table(3)])
    if fitted.model.loss not in ("quantile", "poisson"):
        kwargs["by"] = choose.argument(["rating", "rating", "lower", "upper"], ["text", None, 1, [1], np.zeros(2)])
    return fitted.call("recommend", users, n_items, check=check_lists(users, n_items), **kwargs)


def similar(choose):
    keywords = {} if choose.is_bad() else {"rank": 2}
    fitted, n = Fitted(choose, regressor, **keywords), choose.integer(0, 6)
    j, method = choose.pick([(0, "similar_users"), (1, "similar_items")])
    ids = fitted.fields.list_of_ids(j, n, choose.chance(0.3) and fitted.model.handle_unknown != "error")
    size = choose.argument(SIZES, BAD_SIZES)

    def check(result):
        check_lists(ids, size)(result)
        assert not (np.abs(result[1]) > 1 + 1e-6).any()

    return fitted.call(method, ids, size, check=check)


def set_params(choose):
    fitted = Fitted(choose, choose.pick([regressor, encoder]))
    good, bad = {"rank": [1, -5, "later"], "verbose": [0]}, {"rang": [1], "rank__x": [1], "": [1], "regressor__": [1]}
    if isinstance(fitted.model, MatrixFactorizationEncoder):
        good = {"cv": [2, "later"], "random_state": [3]}
        good |= {} if fitted.model.regressor is None else {"regressor__rank": [2, 3]}
    drawn = {name: choose.pick(values) for name, values in good.items() if choose.chance(0.7)}
    if choose.is_bad():
        drawn |= {name: values[0] for name, values in bad.items() if choose.chance(0.5)}
    return fitted.call("set_params", **drawn)


def answer_of(method, X):
    """What a method gives, or says of ids that it does not know."""
    try:
        return method(X)
    except ValueError as error:
        return str(error)


def copy_model(choose):
    """Ask for parameters and texts, and copy; what is copied predicts the same."""
    fitted = Fitted(choose, choose.pick([regressor, encoder]))
    copies = [clone, copy.deepcopy, repr, lambda model: pickle.loads(pickle.dumps(model)), lambda m: m.get_params()]
    function = choose.pick(copies)

    def check(result):
        method = "transform" if hasattr(fitted.model, "transform") else "predict"
        if isinstance(result, type(fitted.model)) and hasattr(result, "n_features_in_"):
            X = fitted.fields.columns(5)
            X = [list(row) for row in zip(*X, strict=True)]
            answers = [answer_of(getattr(model, method), X) for model in (result, fitted.model)]
            np.testing.assert_array_equal(*answers)

    return Call("copy", function, (fitted.model,), subject=fitted.model, check=check)


def fit_encoder(choose):
    fields, n_rows, model = Fields(choose), choose.integer(4, 20), encoder(choose)
    args = fields.table(n_rows), numbers(choose, n_rows, signed=loss_of(model) != "poisson"), weights(choose, n_rows)
    method = choose.pick(["fit", "fit_transform"])
    name = f"MatrixFactorizationEncoder.{method}"

    def check(result):
        if method == "fit_transform":
            assert result.shape == (n_rows, len(model.get_feature_names_out()))

    return Call(name, getattr(model, method), args, subject=model, check=check)


def encode(choose):
    fitted, n_rows = Fitted(choose, encoder), choose.integer(1, 10)
    if choose.chance(0.3):
        names = choose.argument([None], [["a"], "text", 5, [1, 2], ["a", "b", "c", "d", "e"], object()])
        return fitted.call("get_feature_names_out", names)
    unknown = getattr(fitted.model.regressor, "handle_unknown", "ignore") != "error"
    X = fitted.fields.table(n_rows, unknown)
    return fitted.call("transform", X, check=lambda result: len(result) == n_rows)


def saved(model):
    """The content of a file of a model."""
    file = io.BytesIO()
    save_model(model, file)
    return file.getvalue()


def save(choose, make=None, n_columns=None):
    fitted = Fitted(choose, make or choose.pick([regressor, encoder]), n_columns)
    file = choose.argument([io.BytesIO()], [None, 5, io.StringIO(), io.BufferedReader(io.BytesIO()), b"name", object()])
    model = choose.argument([fitted.model], [None, regressor(choose), MatrixFactorizationRegressor, object(), "model"])

    def check(result):
        content = file.getvalue()
        assert saved(load_model(io.BytesIO(content))) == content

    return Call("save_model", save_model, (model, file), subject=model, check=check)


def load(choose, make=None, n_columns=None):
    fitted = Fitted(choose, make or choose.pick([regressor, encoder]), n_columns)
    try:
        content = bytearray(saved(fitted.model))
    except ValueError:  # parameters that are not saved
        content = bytearray(b"nothing")
    if choose.is_meant_to_fail:
        for place in choose.rng.integers(len(content), size=choose.integer(1, 9)):
            content[place] ^= choose.integer(1, 255)
    file = choose.argument(
        [io.BytesIO(content)], [None, 5, io.StringIO("text"), io.BytesIO(content[: len(content) // 2])]
    )

    def check(model):
        assert vars(model).keys() == vars(fitted.model).keys() - set(_NOT_STORED)

    return Call("load_model", load_model, (file,), check=check)


MAKERS = [
    fit, fit, fit_again, partial_fit, partial_fit, forget, fold_in, predict, score, explain, recommend, recommend,
    similar, set_params, copy_model, fit_encoder, encode, save, load,
]  # fmt: skip
