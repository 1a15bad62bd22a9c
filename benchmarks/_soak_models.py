"""Models that go through a cycle of states, and what each state answers."""

import hashlib
import pickle

import numpy as np

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor

USERS, ITEMS = [*range(6), 1003, 2003], [*range(8, 14), 33]  # some are new in the later states
PAIRS = np.array([[user, item] for user in USERS for item in ITEMS])


def ratings(seed, n=600, users=range(40), items=range(30)):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.choice(users, n), rng.choice(items, n)]), rng.integers(1, 6, n).astype(float)


def three_columns():
    X, y = ratings(5)
    return np.column_stack([X, X[:, 0] % 3]), y


def fold_in_a_copy(model):
    copy = pickle.loads(pickle.dumps(model))
    return copy.fold_in(*ratings(9, 40, range(9000, 9006))).predict([*PAIRS, [9000, 0]])


ANSWERS = {
    "predict": lambda model: model.predict(PAIRS),
    "explain": lambda model: model.explain(PAIRS).values(),
    "recommend": lambda model: model.recommend(USERS, 5, exclude=PAIRS[::3]),
    "recommend of candidates": lambda model: model.recommend(USERS[:2], 3, candidates=ITEMS[:6]),
    "similar_items": lambda model: model.similar_items(ITEMS, 3),
    "similar_users": lambda model: model.similar_users(USERS, 3),
}
FOLD_IN = {"fold_in of a copy": fold_in_a_copy}
SURE = {
    "predict with deviations": lambda model: model.predict(PAIRS, return_std=True),
    "recommend by bounds": lambda model: model.recommend(USERS, 5, by="lower", exclude=PAIRS[::3]),
}
FEATURES = {
    "transform": lambda encoder: encoder.transform(PAIRS),
    "get_feature_names_out": lambda encoder: encoder.get_feature_names_out(),
}


def digest_of(reader, model):
    """Hash an answer; the error that says that an encoder knows other columns is an answer too."""
    try:
        found = reader(model)
    except ValueError as error:
        found = [np.array(f"ValueError: {error}")]
    digest = hashlib.blake2b(digest_size=16)
    for array in [found] if isinstance(found, np.ndarray) else found:
        array = array.astype(str) if array.dtype == object else np.ascontiguousarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.digest()


class Shared:
    """Hold a model, what it is asked and the steps of its cycle; the first brings it to the same state from any."""

    def __init__(self, model, readers, steps):
        self.model, self.readers, self.steps = model, readers, steps
        self.states = {name: {} for name in readers}  # by reader, the numbers of the states that give a digest
        self.changes = 0

    def change(self):
        self.steps[self.changes % len(self.steps)](self.model)
        self.changes += 1

    def learn_answers(self):
        """Go through the cycle twice; note what each state answers."""
        for turn in range(2 * len(self.steps)):
            self.change()
            for name, reader in self.readers.items():
                self.states[name].setdefault(digest_of(reader, self.model), set()).add(turn % len(self.steps))
        for name, states in self.states.items():
            if sum(len(of_one) for of_one in states.values()) != len(self.steps):
                raise RuntimeError(f"{name} does not answer the same in the second turn of the cycle.")

    def states_of(self, name, model):
        return self.states[name].get(digest_of(self.readers[name], model), set())

    def is_answered(self, name):
        """Ask the model as others change it; tell whether the answer is of a state that it had in the meantime."""
        before = self.changes  # so many changes have ended; the next one may have been seen too
        states = self.states_of(name, self.model)
        return bool(states & {n % len(self.steps) for n in range(before - 1, self.changes + 1)})

    def is_whole(self, model):
        """Tell whether all answers of a model that nobody changes are of one state."""
        return bool(set.intersection(*(self.states_of(name, model) for name in self.readers)))


def fit(table, **params):
    return lambda model: model.set_params(**params).fit(*table)


def make_shared():
    base, small = ratings(0), {"rank": 4, "max_iter": 3, "random_state": 0}
    batches = [
        *(ratings(1, 40, range(first, first + 10)) for first in (1000, 2000)),
        ratings(2, 40, items=range(30, 35)),
    ]
    fold_ins = [lambda model, batch=batch: model.fold_in(*batch) for batch in batches]
    forget = lambda model: model.forget(model.categories_[0][-3:])  # noqa: E731
    partial_fits = [lambda model, batch=batch: model.partial_fit(*batch) for batch in batches]
    refits = [fit(ratings(n, 400 + 40 * n, items=range(30 + n)), rank=2 + n) for n in range(4)]
    of_encoder = [
        fit(table, regressor__rank=rank) for rank, table in [(2, base), (3, three_columns()), (5, ratings(6))]
    ]
    regressor = MatrixFactorizationRegressor(**small)
    explicit = MatrixFactorizationRegressor(**small, implicit_features=None)
    threaded = MatrixFactorizationRegressor(**small, n_jobs=2)
    encoder = MatrixFactorizationEncoder(MatrixFactorizationRegressor(**small))
    return {
        "fold_in": Shared(regressor, ANSWERS | FOLD_IN, [fit(base), *fold_ins]),
        "partial_fit": Shared(explicit, ANSWERS | FOLD_IN | SURE, [fit(base), *partial_fits, forget]),
        "fit": Shared(threaded, ANSWERS, refits),
        "fit of an encoder": Shared(encoder, FEATURES, of_encoder),
    }
