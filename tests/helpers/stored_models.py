"""Fitted models of all kinds for tests of stored models: their tables, and what they answer."""

import datetime
import warnings

import numpy as np

from sklearn_mf import (
    MatrixFactorizationEncoder,
    MatrixFactorizationRanker,
    MatrixFactorizationRegressor,
    MostPopularRecommender,
)

N_USERS, N_ITEMS, N_ROWS = 12, 9, 60
ZONE = datetime.timezone(datetime.timedelta(hours=2))
# Ids of every kind that fit stores, by name: from a number to the id.
KINDS = {
    "int64": lambda k: 3 * k - 7,
    "uint64": lambda k: 2**63 + k,
    "float64": lambda k: k - 2.5,
    "mixed": lambda k: 0.5 * k if k < 5 else 2**53 + k if k < 9 else 2**63 + k,
    "text": lambda k: ["", "Ångström", "film", "電影", "\U0001f3ac"][k % 5] + f"{k:03}\0"[: 3 + k % 2],
    "surrogates": lambda k: f"\udcff{k:02}",
    "bytes": lambda k: bytes([k, 0, 255]) * (k % 3) + b"%d" % k,
    "date": lambda k: datetime.date(2024, 1, 1) + datetime.timedelta(days=3 * k),
    "datetime64": lambda k: np.datetime64("1969-12-30T12:00:00.000000001") + np.timedelta64(k, "h"),
    "zoned": lambda k: datetime.datetime(2024, 3, 31, 1, tzinfo=ZONE) + datetime.timedelta(minutes=k),
}


def codes(n_columns=2, n_rows=N_ROWS, seed=0, first=0):
    """Numbers of users, of items and of contexts; those below the first are left for ids that come later."""
    rng = np.random.default_rng(seed)
    sizes = [N_USERS, N_ITEMS, *range(3, n_columns + 1)]
    return np.column_stack([first + rng.integers(size, size=n_rows) for size in sizes])


def table(numbers, kinds):
    """Rows of ids of these kinds."""
    columns = [[KINDS[kind](int(k)) for k in column] for column, kind in zip(numbers.T, kinds, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def ratings(numbers):
    return 1.0 + (numbers.sum(axis=1) * 7 % 5)


def weights_of(numbers):
    """Weights of 8 to 12, and some of 0."""
    return np.where(np.arange(len(numbers)) % 20 == 7, 0, 8.0 + numbers[:, 1] % 5)


def regressor(kinds=("int64", "int64"), is_weighted=False, **parameters):
    """A fitted regressor."""
    numbers = codes(len(kinds), first=2)
    model = MatrixFactorizationRegressor(**{"rank": 2, "max_iter": 3, "random_state": 0, **parameters})
    return model.fit(table(numbers, kinds), ratings(numbers), weights_of(numbers) if is_weighted else None)


def ranker(kinds=("int64", "int64"), is_rated=True, is_weighted=False, **parameters):
    """A fitted ranker."""
    numbers = codes(first=2)
    quick = {"rank": 2, "max_iter": 3, "alpha": 0.05, "damping": 1.0, "random_state": 0}
    model = MatrixFactorizationRanker(**{**quick, **parameters})
    y, weights = ratings(numbers) if is_rated else None, weights_of(numbers) if is_weighted else None
    return model.fit(table(numbers, kinds), y, weights)


def popular(kinds=("int64", "int64"), is_weighted=False, **parameters):
    """A fitted baseline."""
    numbers = codes(first=2)
    model = MostPopularRecommender(**parameters)
    return model.fit(table(numbers, kinds), sample_weight=weights_of(numbers) if is_weighted else None)


def encoder(kinds=("int64", "int64"), **parameters):
    """A fitted encoder."""
    numbers = codes(len(kinds), first=2)
    inner = MatrixFactorizationRegressor(2, max_iter=3)
    model = MatrixFactorizationEncoder(inner, **{"cv": 3, "random_state": 0, **parameters})
    return model.fit(table(numbers, kinds), ratings(numbers))


def questions(kinds):
    """Rows to ask about, some with unknown ids."""
    return table(codes(len(kinds), 20, 1, first=1), kinds)


def later_rows(kinds):
    """Rows with new users and items that sort before and after the others; and rows whose users alone are new."""
    numbers = codes(len(kinds), 8, 2, first=2)
    only_users = numbers.copy()
    numbers[:3, :2], numbers[3:6, 0] = [[0, 0], [14, 0], [0, 11]], [1, 1, 15]
    only_users[:, 0] = [1, 1, 15, 15, 0, 16, 16, 16]
    return (table(numbers, kinds), ratings(numbers)), (table(only_users, kinds), ratings(only_users))


def learned_later(model, kinds):
    """Teach a regressor a batch, or fold users into a ranker and then an item."""
    later, only_users = later_rows(kinds)
    if isinstance(model, MatrixFactorizationRegressor):
        return model.partial_fit(*later)
    has_ratings = model._preferences.state.rule is not None
    model.fold_in(only_users[0], only_users[1] if has_ratings else None)
    items_of_known = np.column_stack([codes(first=2)[:4, 0], [1, 1, 11, 11]])
    return model.fold_in(table(items_of_known, kinds), ratings(items_of_known) if has_ratings else None)


def folded_in(model, kinds):
    """Fold users into a regressor."""
    return model.fold_in(*later_rows(kinds)[1])


ALL = ("text", "int64", "bytes", "float64", "mixed", "uint64", "date", "datetime64", "zoned")
PAIRS = [("text", "date"), ("bytes", "mixed"), ("uint64", "datetime64"), ("zoned", "float64"), ("surrogates", "int64")]
# What is kept in files of each release, by name: the kinds of ids, and how the model is made of them.
# tests/model_files/make.py writes the files. Add models, but do not change these, nor KINDS and codes.
MODELS = {
    "regressor": (ALL, regressor),
    "regressor_after_partial_fit": (ALL[:5], lambda kinds: learned_later(regressor(kinds), kinds)),
    "regressor_after_fold_in": (("int64", "text"), lambda kinds: folded_in(regressor(kinds), kinds)),
    "regressor_of_counts": (
        ("int64", "int64"),
        lambda kinds: regressor(kinds, loss="poisson", early_stopping=True, implicit_features=None),
    ),
    "regressor_with_huber": (
        ("surrogates", "date"),
        lambda kinds: regressor(kinds, loss="huber", epsilon=1.5, damping=(2.0, 3), implicit_features="user"),
    ),
    "regressor_of_quantiles": (
        ("int64", "int64"),
        lambda kinds: regressor(kinds, rank=0, loss="quantile", quantile=0.7, handle_unknown="nan"),
    ),
    "ranker": (PAIRS[0], lambda kinds: ranker(kinds, alpha="auto", damping="auto")),
    "ranker_of_pairs": (PAIRS[1], lambda kinds: ranker(kinds, is_rated=False)),
    "ranker_after_fold_in": (PAIRS[2], lambda kinds: learned_later(ranker(kinds), kinds)),
    "ranker_without_pairs": (PAIRS[3], lambda kinds: ranker(kinds, keep_pairs=False)),
    "ranker_of_odd_text": (PAIRS[4], lambda kinds: learned_later(ranker(kinds, is_rated=False), kinds)),
    "encoder": (ALL[:4], encoder),
    "regressor_with_weights": (PAIRS[0], lambda kinds: regressor(kinds, is_weighted=True)),
    "ranker_with_weights": (PAIRS[0], lambda kinds: ranker(kinds, is_weighted=True)),
    "popular": (PAIRS[0], popular),
    "popular_with_weights": (PAIRS[1], lambda kinds: popular(kinds, is_weighted=True, handle_unknown="nan")),
    "popular_of_times": (PAIRS[2], popular),
    "popular_without_pairs": (PAIRS[3], lambda kinds: popular(kinds, keep_pairs=False)),
    "popular_of_odd_text": (PAIRS[4], popular),
}


def make_model(name):
    """The model of a name, and a table to ask about."""
    kinds, make = MODELS[name]
    return make(kinds), questions(kinds)


def messages_of(call):
    """The warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught]


def places(model, field, ids):
    """The places of ids among the categories; -1 where a list is filled up."""
    known = {id_: place for place, id_ in enumerate(model.categories_[field].tolist())}
    return np.array([[known.get(id_, -1) for id_ in row] for row in ids.tolist()])


def answers(model, X):
    """What a model says about the rows of a table, as arrays of numbers by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of unknown ids
        if isinstance(model, MatrixFactorizationEncoder):
            return {"features": np.asarray(model.transform(X))}
        found = {"predict": model.predict(X)}
        users, items = [row[0] for row in X[:6]], [row[1] for row in X[:6]]
        contexts = {"context": X[0][2:]} if len(X[0]) > 2 else {}
        is_ranker = isinstance(model, MatrixFactorizationRanker)
        if getattr(model, "loss", "quantile") not in ("quantile", "poisson"):
            found["std"] = model.predict(X, return_std=True)[1]
        exclude = {} if getattr(model, "keep_pairs", True) else {"exclude": None}
        recommended, values = model.recommend(users, 4, **contexts, **exclude)
        found["recommended"], found["values"] = places(model, 1, recommended), values
        if getattr(model, "rank", 0):
            similar, cosines = model.similar_items(items, 3)
            found["similar"], found["cosines"] = places(model, 1, similar), cosines
        if is_ranker and model.keep_pairs:
            found["shares"] = model.explain(X[:4]).shares
    return found


def assert_same_answers(model, other, X):
    """Both say the same about a table, bit for bit."""
    expected = answers(other, X)
    found = answers(model, X)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
        assert found[name].tobytes() == values.tobytes(), name


def state_of(value):
    """Everything that a model stores, as something that can be compared; arrays to the bit."""
    if isinstance(value, np.ndarray):
        content = [state_of(each) for each in value.tolist()] if value.dtype == object else value.tobytes()
        return str(value.dtype), value.shape, content
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [state_of(each) for each in value]
    if isinstance(value, dict):
        return {key: state_of(each) for key, each in value.items()}
    if type(value).__module__.startswith("sklearn_mf"):
        state = value.__getstate__() if hasattr(value, "__getstate__") else None
        return type(value).__name__, state_of(dict(vars(value)) if state is None else state)
    return type(value).__name__, repr(value)
