"""Make calls of the ranker, and of what regressor and ranker answer of users and visitors."""

import numpy as np

from helpers import fuzz_models
from helpers.fuzz_choices import Call
from helpers.fuzz_models import BAD_SIZES, NO_NUMBERS, SIZES, Fitted, check_lists, check_predictions, regressor
from helpers.fuzz_tables import Fields, numbers, weights
from sklearn_mf import MatrixFactorizationRanker, MostPopularRecommender
from sklearn_mf.metrics import make_catalog_scorer, ndcg_at_k, precision_at_k, recall_at_k

STRENGTHS = [0, 0.01, 1, 3.0, np.float32(0.25), 1e-300, 1e300]
GOOD = {
    "rank": [1, 3, 17, np.int8(2)],
    "alpha": ["auto", *STRENGTHS],
    "damping": ["auto", *STRENGTHS],
    "unobserved_weight": STRENGTHS,
    "confidence": STRENGTHS,
    "max_iter": [1, 2, np.int64(3)],
    "tol": [0, 1e-3, 1e300],
    "relevant": [None, 0, 3.5, -1e300],
    "keep_pairs": [True, False],
    "handle_unknown": ["ignore", "warn", "error", "nan"],
    "n_jobs": [None, 1, 2, -1],
    "random_state": [0, 2**32 - 1, None, np.random.RandomState(0)],
    "verbose": [0, 1],
}
BAD = {
    **dict.fromkeys(GOOD, NO_NUMBERS),
    "rank": [0, 2.0, 2**70, *NO_NUMBERS],
    "alpha": [np.inf, 10**400, *NO_NUMBERS],
    "relevant": ["text", [1], 1j, object()],
    "n_jobs": [0, 1.5, "text"],
    "random_state": [-1, 1.5, "text"],
    "verbose": [-1, "text", None],
}


def ranker(choose, **keywords):
    small = {"rank": choose.integer(1, 4), "max_iter": choose.integer(1, 3), "random_state": choose.integer(0, 9)}
    return MatrixFactorizationRanker(**{**small, **choose.keywords(GOOD, BAD, 0.12), **keywords})


def popular(choose, **keywords):
    good = {name: GOOD[name] for name in ("relevant", "keep_pairs", "handle_unknown", "n_jobs")}
    return MostPopularRecommender(**{**choose.keywords(good, BAD, 0.12), **keywords})


def fit(choose):
    fields, n_rows = Fields(choose, None if choose.is_bad() else 2), choose.integer(1, 30)
    model = choose.pick([ranker, ranker, popular])(choose)
    X = fields.table(n_rows)
    y = numbers(choose, n_rows) if choose.chance(0.5) else None
    check = check_predictions(model, X, n_rows)
    return Call(f"{type(model).__name__}.fit", model.fit, (X, y, weights(choose, n_rows)), {}, model, check)


def fold_in(choose):
    fitted, n_rows, column = Fitted(choose, ranker, 2), choose.integer(1, 8), choose.integer(0, 1)
    fields = fitted.fields
    more = {"update_known": choose.argument([True, False], [None, "text", 3])}
    if not len(fields.unknown[column]):
        more["update_known"] = True
    else:
        fields.levels[column] = fields.unknown[column]
    X = fields.table(n_rows)
    y = None if choose.is_bad() else numbers(choose, n_rows)
    check = check_predictions(fitted.model, X, n_rows)
    return fitted.call("fold_in", X, y, weights(choose, n_rows), check=check, **more)


def predict(choose):
    fitted, n_rows = Fitted(choose, choose.pick([ranker, popular]), 2), choose.integer(1, 12)
    unknown = choose.chance(0.5) and fitted.model.handle_unknown != "error"
    X = fitted.fields.table(n_rows, unknown)
    return fitted.call("predict", X, check=check_predictions(fitted.model, X, n_rows))


def lists(choose):
    """Lists of items for users, or of users for items."""
    make, column = choose.pick([(ranker, 0), (ranker, 1), (regressor, 0), (regressor, 1), (popular, 0)])
    fitted, n = Fitted(choose, make, 2), choose.integer(0, 6)
    unknown = choose.chance(0.3) and fitted.model.handle_unknown != "error"
    ids, size = fitted.fields.list_of_ids(column, n, unknown), choose.argument(SIZES, BAD_SIZES)
    kwargs = {"exclude": fitted.fields.table(3) if choose.chance(0.3) else None}
    if make is not regressor and fitted.model.keep_pairs and choose.chance(0.5):
        kwargs["exclude"] = choose.argument(["seen"], ["text", 5, [1], object()])
    if choose.chance(0.3):
        kwargs["candidates"] = fitted.fields.list_of_ids(1 - column, choose.integer(1, 5))
    method = ("recommend", "recommend_users")[column]
    return fitted.call(method, ids, size, check=check_lists(ids, size), **kwargs)


def visitors(choose):
    make = choose.pick([ranker, regressor, popular])
    keywords = {"loss": "squared_error", "positive": False} if make is regressor else {}
    fitted, n_rows = Fitted(choose, make, 2, **keywords), choose.integer(1, 8)
    X, y = fitted.fields.table(n_rows, choose.is_bad()), numbers(choose, n_rows)
    size = choose.argument(SIZES, BAD_SIZES)

    def check(result):
        check_lists(result[0], size)(result[1:])

    return fitted.call("recommend_from", X, y, n_items=size, check=check)


def explain(choose):
    fitted, n_rows = Fitted(choose, ranker, 2, keep_pairs=not choose.is_bad()), choose.integer(1, 6)
    X = fitted.fields.table(n_rows)
    size = choose.argument([1, 3, None, 10**6], BAD_SIZES[:4])

    def check(parts):
        assert parts["items"].shape == parts.shares.shape
        np.testing.assert_array_equal(parts.preference, fitted.model.predict(X))

    return fitted.call("explain", X, size, check=check)


def check_score(value):
    assert np.isnan(value) or 0 <= value <= 1


def score(choose):
    make = choose.pick([ranker, popular])
    fitted = Fitted(choose, make, 2, keep_pairs=not choose.is_bad(), handle_unknown="ignore")
    n_rows = choose.integer(1, 12)
    X, y = fitted.fields.table(n_rows, choose.chance(0.3)), numbers(choose, n_rows)
    return fitted.call("score", X, y, weights(choose, n_rows), check=check_score)


def catalog_scorer(choose):
    make = choose.pick([ranker, regressor, popular])
    fitted, n_rows = Fitted(choose, make, 2, handle_unknown="ignore"), choose.integer(1, 12)
    metric = choose.argument([ndcg_at_k, recall_at_k, precision_at_k], [np.mean, None, 5])
    relevant = choose.argument([None, 3, -1e300], ["text", [1], True, 1j])
    X, y = fitted.fields.table(n_rows), numbers(choose, n_rows)

    k = choose.argument([1, 10], [0, "text"])

    def call():
        return make_catalog_scorer(metric, X=fitted.X, relevant=relevant, k=k)(fitted.model, X, y)

    return Call("make_catalog_scorer", call, subject=fitted.model, check=check_score)


def save(choose):
    return fuzz_models.save(choose, choose.pick([ranker, popular]), 2)


def load(choose):
    return fuzz_models.load(choose, choose.pick([ranker, popular]), 2)


MAKERS = [fit, fit, fold_in, predict, lists, lists, visitors, explain, score, catalog_scorer, save, load]
