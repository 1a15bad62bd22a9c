"""Check models that live: any sequence of calls keeps the promises, and what is shared by versions stays as it was."""

import copy
import gc
import mmap
import pickle
import threading
import weakref

import joblib
import numpy as np
import pytest
from helpers.serving import make_model, ratings, switching_often
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sklearn_mf import MatrixFactorizationRegressor

SEEDS = st.integers(0, 10**6)
PAIRS = np.stack(np.meshgrid(np.arange(-1, 45), np.arange(-1, 32)), axis=-1).reshape(-1, 2)


def arrays_of(model):
    """All arrays that a model answers with."""
    state = model._training_state
    tables = [*model.factors_, *model.biases_, *[rows.whole() for rows in state.level_sums]]
    return [*tables, *[rows.whole() for rows in (*state.centers, *state.coefficients) if rows is not None]]


def copied(arrays):
    return [array.copy() for array in arrays]


class LifeOfAModel(RuleBasedStateMachine):
    """Change a model and its copies in any order; snapshots keep what they had."""

    @initialize(
        implicit=st.sampled_from([None, "user", "both"]),
        rank=st.sampled_from([0, 1, 5]),
        positive=st.booleans(),
        contexts=st.booleans(),
        forgetting=st.sampled_from([0.0, 0.1]),
    )
    def begin(self, implicit, rank, positive, contexts, forgetting):
        X, y = ratings(seed=1, n=200)
        self.contexts, self.next_id, self.snapshots = contexts, 1000, []
        parameters = {"implicit_features": implicit, "rank": rank, "positive": positive, "forgetting": forgetting}
        self.model = make_model(max_iter=2, **parameters)
        self.model.fit(self.with_contexts(X), y)
        self.twin = pickle.loads(pickle.dumps(self.model))

    def with_contexts(self, X):
        return np.column_stack([X, X[:, 0] % 3]) if self.contexts else X

    def both(self, change):
        for model in (self.model, self.twin):
            change(model)

    @rule(seed=SEEDS, n=st.sampled_from([1, 7, 60]), weighted=st.booleans(), replaced=st.booleans())
    def learn(self, seed, n, weighted, replaced):
        rng = np.random.default_rng(seed)
        X, y = ratings(seed=seed, n=n)
        known = np.isin(X[:, 0], self.model.categories_[0]) & np.isin(X[:, 1], self.model.categories_[1])
        y_old = np.where(known & (rng.random(n) < 0.5), rng.integers(1, 6, n), np.nan) if replaced else None
        w = rng.integers(0, 3, n) + (np.arange(n) == 0) if weighted else None
        X, order = self.with_contexts(X), rng.permutation(n)
        self.model.partial_fit(X, y, w, y_old=y_old)
        self.twin.set_params(n_jobs=2)
        rows = [None if part is None else part[order] for part in (w, y_old)]
        self.twin.partial_fit(X[order], y[order], rows[0], y_old=rows[1])

    @rule(seed=SEEDS)
    def grow(self, seed):
        X, y = ratings(seed=seed, n=20)
        X[:, 0] += self.next_id
        self.next_id += 100
        self.both(lambda model: model.partial_fit(self.with_contexts(X), y))

    @rule(seed=SEEDS)
    def fold_in(self, seed):
        if self.model.positive:
            return
        X, y = ratings(seed=seed, n=20)
        X = X[np.isin(X[:, 1], self.model.categories_[1])]
        X[:, 0] += self.next_id
        self.next_id += 100
        self.both(lambda model: model.fold_in(self.with_contexts(X), y[: len(X)]))

    @rule(place=st.integers(0, 10))
    def forget(self, place):
        users = self.model.categories_[0]
        if len(users) > 5:
            user = users[place % len(users)]
            self.both(lambda model: model.forget([user]))
            assert user not in self.model.categories_[0]

    @rule(way=st.sampled_from([copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]))
    def replace_by_a_copy(self, way):
        self.twin = way(self.twin)

    @rule()
    def assign(self):
        self.both(lambda model: setattr(model, "factors_", [rows * np.float32(0.5) for rows in model.factors_]))

    @rule()
    def keep_a_snapshot(self):
        held = copy.copy(self.model) if len(self.snapshots) % 2 else self.model._frozen()
        self.snapshots = [*self.snapshots[-2:], (held, copied(arrays_of(held)))]

    @invariant()
    def both_are_the_same(self):
        pairs = self.with_contexts(PAIRS)
        one, other = (model.predict(pairs, return_std=True) for model in (self.model, self.twin))
        for a, b in zip((*one, *arrays_of(self.model)), (*other, *arrays_of(self.twin)), strict=True):
            np.testing.assert_array_equal(a, b)
        assert np.isfinite(one).all()
        assert (one[1] > 0).all()
        np.testing.assert_array_equal(self.model.predict(pairs), one[0])

    @invariant()
    def snapshots_are_what_they_were(self):
        for held, arrays in self.snapshots:
            for a, b in zip(arrays_of(held), arrays, strict=True):
                np.testing.assert_array_equal(a, b)


LifeOfAModel.TestCase.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
test_any_sequence_of_calls = LifeOfAModel.TestCase


def large_model(**parameters):
    """A model of more users than a chunk has."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.tile(np.arange(3000), 3), rng.integers(40, size=9000)])
    y = rng.integers(1, 6, 9000).astype(float)
    return MatrixFactorizationRegressor(4, max_iter=2, random_state=0, **parameters).fit(X, y), X, y


def test_factors_are_read_only_and_can_be_replaced():
    model, X, y = large_model()
    for _ in range(2):
        for arrays in (model.factors_, model.biases_):
            assert all(type(array) is np.ndarray and not array.flags.writeable for array in arrays)
        with pytest.raises(ValueError, match="read-only"):
            model.user_factors_[0] = 1.0
        model.partial_fit(X[:50], y[:50])
    given = [rows.copy() for rows in model.factors_]
    model.factors_ = given
    before = model.predict(X)
    given[0][:] = 7.0
    np.testing.assert_array_equal(model.predict(X), before)
    given[0][:] = model.user_factors_
    model.biases_ = [np.zeros(len(bias)) for bias in model.biases_]
    expected = model.intercept_ + (given[0][X[:9, 0]] * given[1][X[:9, 1]]).sum(axis=1)
    np.testing.assert_allclose(model.predict(X[:9]), np.clip(expected, 1, 5), rtol=1e-5)
    assert np.isfinite(model.predict(X[:9], return_std=True)[1]).all()
    model.partial_fit(X[:50], y[:50])
    with pytest.raises(AttributeError, match="no factors_ before fit"):
        _ = MatrixFactorizationRegressor().factors_
    assert not hasattr(MatrixFactorizationRegressor(), "biases_")


def test_factors_of_another_scale_are_measured_again():
    """Deviations rest on how large factors are."""
    model, X, _ = large_model()
    before = model.predict(X, return_std=True)[1]
    model.factors_ = [rows * np.float32(3.0) for rows in model.factors_]
    assert np.median(model.predict(X, return_std=True)[1] / before) < 1.5
    unchanged = model.predict(X, return_std=True)[1]
    model.factors_ = model.factors_
    np.testing.assert_array_equal(model.predict(X, return_std=True)[1], unchanged)


def test_versions_share_what_they_do_not_change():
    """A call copies the chunks that it writes to, whatever the number of users, also when a reader holds the model."""
    model, _, _ = large_model()
    reader = model._frozen()
    before = [rows.whole() for rows in reader._factors]
    kept = copied(before)
    model.partial_fit([[7, 3], [9, 3]], [1.0, 5.0])
    after = model._factors[0]
    assert reader._factors[0].n_bytes_beside(after) <= 1024
    assert after.n_bytes_beside(reader._factors[0]) == 1024
    for a, b in zip([rows.whole() for rows in reader._factors], kept, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(model.user_factors_[7], kept[0][7])


@pytest.mark.parametrize("changes", [0, 1])
def test_memory_maps_are_read_where_they_are(tmp_path, changes):
    model, X, y = large_model()
    if changes:
        model.partial_fit(X[:50], y[:50])
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    root = mapped.user_factors_
    while isinstance(root, np.ndarray):
        root = root.base
    assert isinstance(root, mmap.mmap)
    np.testing.assert_array_equal(mapped.predict(X), model.predict(X))
    mapped.partial_fit(X[50:70], y[50:70])
    model.partial_fit(X[50:70], y[50:70])
    np.testing.assert_array_equal(mapped.predict(X), model.predict(X))
    unchanged = joblib.load(tmp_path / "model.joblib")
    assert not np.array_equal(unchanged.predict(X), model.predict(X))


def test_readers_of_deviations_and_bounds_see_whole_states():
    model, X, y = large_model()
    questions = {
        "deviations": lambda m: np.concatenate(m.predict(X[:300], return_std=True)),
        "bounds": lambda m: np.concatenate([array.ravel() for array in m.recommend([1, 2, 3], 5, by="lower")]),
        "arrays": lambda m: np.concatenate([m.user_factors_[:20].ravel(), m.item_factors_.ravel()]),
    }
    seen, states, done, failures = {name: [] for name in questions}, [], threading.Event(), []

    def read_on():
        while not done.is_set():
            for name, ask in questions.items():
                try:
                    if name != "arrays":  # two accesses are of two moments
                        seen[name].append(ask(model))
                    else:
                        seen[name].append(ask(model._frozen()))
                except Exception as error:
                    failures.append(error)
                    return

    readers = [threading.Thread(target=read_on) for _ in range(2)]
    states.append({name: ask(model) for name, ask in questions.items()})
    with switching_often():
        for reader in readers:
            reader.start()
        for step in range(15):
            rows = slice(20 * step, 20 * step + 20)
            model.partial_fit(X[rows], 6.0 - y[rows])
            states.append({name: ask(model) for name, ask in questions.items()})
        done.set()
        for reader in readers:
            reader.join()
    assert not failures
    for name, answers in seen.items():
        assert answers
        for answer in answers:
            assert any(np.array_equal(answer, state[name]) for state in states), name


def test_what_no_version_shares_is_freed():
    """Once a stream has changed all chunks, the arrays of the fit are gone."""
    model, X, y = large_model()
    of_fit = [weakref.ref(rows.whole().base) for rows in model._factors]
    model.partial_fit(X[:10], y[:10])
    assert of_fit[0]() is not None
    model.partial_fit(X, y)
    gc.collect()
    assert [ref() for ref in of_fit] == [None, None]
    old = model.user_factors_
    model.partial_fit(X, y)
    np.testing.assert_array_equal(old.shape, model.user_factors_.shape)


def test_forgotten_users_are_as_never_seen(tmp_path):
    model, _, _ = large_model()
    model.partial_fit([[5000, 3], [5000, 4], [4, 4]], [5.0, 1.0, 2.0])
    gone, kept = [4, 2999, 5000], [3, 5, 2998]
    of_kept = np.column_stack([np.repeat(kept, 40), np.tile(np.arange(40), 3)])
    of_gone = np.column_stack([np.repeat(gone, 40), np.tile(np.arange(40), 3)])
    before = model.predict(of_kept, return_std=True)
    assert model.forget(gone) is model
    np.testing.assert_array_equal(model.predict(of_kept, return_std=True), before)
    unknown = np.column_stack([np.full(120, -7), of_gone[:, 1]])
    np.testing.assert_array_equal(model.predict(of_gone, return_std=True), model.predict(unknown, return_std=True))
    assert len(model.categories_[0]) == len(model.user_factors_) == len(model.user_biases_) == 2998
    state = model._training_state
    assert len(state.level_sums[0]) == len(state.centers[0]) == len(state.coefficients[1]) == 2998
    loaded = pickle.loads(pickle.dumps(model))
    for one in (model, loaded):
        one.partial_fit([[4, 3], [3, 3]], [5.0, 4.0])
    np.testing.assert_array_equal(model.predict(of_gone), loaded.predict(of_gone))
    assert model.predict([[4, 3]]) != model.predict([[2999, 3]])
    stored = joblib.dump(model, tmp_path / "model.joblib")
    assert len(joblib.load(stored[0]).recommend(kept, 3)[0]) == 3


def test_forgetting_and_contexts():
    """What a user always had as context is forgotten too."""
    X, y = ratings(n=400)
    X = np.column_stack([X, X[:, 0] % 4])
    model = make_model().fit(X, y)
    before = model._own_contexts["user"][0].copy()
    model.forget(model.categories_[0][[2, 5]])
    np.testing.assert_array_equal(model._own_contexts["user"][0], np.delete(before, [2, 5]))


def test_forget_refuses():
    model, X, _ = large_model()
    before = dict(vars(model))
    for users, match in [
        ([1, -9], "users has ids that the model does not know"),
        (X[:, 0], "has all ids"),
        (["ann"], "are text"),
    ]:
        with pytest.raises(ValueError, match=match):
            model.forget(users)
    assert vars(model) == before
    assert len(model.forget([]).categories_[0]) == 3000


def test_a_model_of_an_older_version_predicts_and_says_what_it_cannot():
    model, X, y = large_model()
    old = pickle.loads(pickle.dumps(model))
    state = vars(old._training_state)
    state["level_weights"] = [rows.whole()[:, 0] for rows in state.pop("level_sums")]
    del state["knowledge"], vars(old)["forgetting"]  # a parameter that came later
    old = pickle.loads(pickle.dumps(old))
    np.testing.assert_array_equal(old.predict(X), model.predict(X))
    for call in (
        lambda: old.partial_fit(X, y),
        lambda: old.fold_in([[-1, 3]], [4.0]),
        lambda: old.predict(X, return_std=True),
        lambda: old.set_params(warm_start=True).fit(X, y),
        lambda: old.forget([1]),
        lambda: old.recommend_from([[-1, 3]], [4.0]),
    ):
        with pytest.raises(ValueError, match="was saved by an older version"):
            call()


def test_factors_of_another_rank_can_predict_alone():
    model, X, y = large_model()
    model.factors_ = [rows[:, :2] for rows in model.factors_]
    model.set_params(rank=2)
    assert np.isfinite(model.predict(X)).all()
    for call in (lambda: model.partial_fit(X, y), lambda: model.fold_in([[-1, 3]], [4.0])):
        with pytest.raises(ValueError, match="fitted with rank=4, but its factors_ were replaced by factors of rank 2"):
            call()


def test_losses_of_the_last_batches_are_kept():
    model, X, y = large_model()
    model.__dict__ = {**vars(model), "loss_curve_": list(range(10_050))}
    model.partial_fit(X[:5], y[:5])
    assert len(model.loss_curve_) == 10_000
    assert model.loss_curve_[:2] == [51, 52]
