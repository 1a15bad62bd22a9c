"""How each library takes the ratings, is fitted and predicts: build(X, y), fit(data, settings), predict(model, X).

X holds int64 codes of users and items, two columns. Same rank and epochs for all, every other setting the library's
default. ``fit`` gives the model and the seconds of the training loop alone, or None where the library hides them.
"""

import json
import os
import time
from collections import namedtuple

import numpy as np

Settings = namedtuple("Settings", "rank epochs threads")
Adapter = namedtuple("Adapter", "imports distribution threaded build fit predict")


def dot_rows(U, V):
    return np.einsum("ij,ij->i", U, V)


def biased_product(mean, biases, factors, rows):
    """Add up mean, biases and the product of factors; a row of -1 (not seen in fit) adds nothing."""
    known = [place >= 0 for place in rows]
    scores = np.full(len(rows[0]), float(mean))
    for bias, place, seen in zip(biases, rows, known, strict=True):
        scores[seen] += bias[place[seen]]
    both = known[0] & known[1]
    scores[both] += dot_rows(factors[0][rows[0][both]], factors[1][rows[1][both]])
    return scores


def places(mapping, ids):
    """Find the library's number of each id, -1 for one it does not know."""
    table = np.full(max(int(ids.max()), max(mapping)) + 1, -1)
    table[np.fromiter(mapping.keys(), int)] = np.fromiter(mapping.values(), int)
    return table[ids]


# This project


def sklearn_mf_fit(data, settings):
    from _clock import timed_fit

    from sklearn_mf import MatrixFactorizationRegressor

    parameters = json.loads(os.environ.get("SKLEARN_MF_PARAMETERS", "{}"))
    model = MatrixFactorizationRegressor(
        settings.rank, max_iter=settings.epochs, n_jobs=settings.threads, random_state=0, **parameters
    )
    model, loop, _ = timed_fit(model, *data)
    return model, loop


# scikit-surprise: a data frame, then dicts of lists


def surprise_build(X, y):
    import pandas as pd
    from surprise import Dataset, Reader

    frame = pd.DataFrame({"user": X[:, 0], "item": X[:, 1], "rating": y})
    return Dataset.load_from_df(frame, Reader(rating_scale=(y.min(), y.max()))).build_full_trainset()


def surprise_fit(trainset, settings):
    from surprise import SVD

    return SVD(n_factors=settings.rank, n_epochs=settings.epochs, random_state=0).fit(trainset), None


def surprise_predict(model, X):
    trainset = model.trainset
    maps = trainset._raw2inner_id_users, trainset._raw2inner_id_items
    rows = [places(mapping, ids) for mapping, ids in zip(maps, X.T, strict=True)]
    return biased_product(trainset.global_mean, (model.bu, model.bi), (model.pu, model.qi), rows)


# cornac: tuples one by one


def cornac_build(X, y):
    from cornac.data import Dataset

    return Dataset.from_uir(zip(X[:, 0].tolist(), X[:, 1].tolist(), y.tolist(), strict=True))


def cornac_fit(data, settings):
    from cornac.models import MF
    from cornac.models.mf import backend_cpu

    seconds, loop = [], backend_cpu.fit_sgd

    def timed(*arguments):
        start = time.perf_counter()
        loop(*arguments)
        seconds.append(time.perf_counter() - start)

    backend_cpu.fit_sgd = timed
    seed = 0 if settings.threads == 1 else None  # with a seed it runs on one thread
    model = MF(k=settings.rank, max_iter=settings.epochs, num_threads=settings.threads, seed=seed).fit(data)
    return model, seconds[0]


def cornac_predict(model, X):
    rows = [places(mapping, ids) for mapping, ids in zip((model.uid_map, model.iid_map), X.T, strict=True)]
    tables = (model.u_biases, model.i_biases), (model.u_factors, model.i_factors)
    return np.where(rows[1] < 0, model.global_mean, biased_product(model.global_mean, *tables, rows))  # as its `rate`


# cmfrec: a sparse matrix, which it takes as it is


def cmfrec_build(X, y):
    from scipy.sparse import coo_matrix

    return coo_matrix((y, (X[:, 0], X[:, 1])))


def cmfrec_fit(matrix, settings):
    from cmfrec import CMF

    return CMF(k=settings.rank, niter=settings.epochs, nthreads=settings.threads).fit(matrix), None


# libmf: one float32 array of triplets


def libmf_build(X, y):
    return np.column_stack([X, y]).astype(np.float32)


def libmf_fit(triplets, settings):
    from libmf import mf

    model = mf.MF(k=settings.rank, nr_iters=settings.epochs, nr_threads=settings.threads, quiet=True)
    model.fit(triplets)
    return model, None


def libmf_predict(model, X):
    return model.predict(np.asfortranarray(X, dtype=np.float32))  # it misreads an array in C order


# myfm: a one-hot matrix; 5 iterations of burn-in are its default


def one_hot(X, n_levels):
    from scipy.sparse import csr_matrix

    n = len(X)
    columns = np.add(X, [0, n_levels[0]]).ravel()
    return csr_matrix((np.ones(2 * n), columns, np.arange(0, 2 * n + 1, 2)), shape=(n, sum(n_levels)))


def myfm_build(X, y):
    n_levels = [int(n) + 1 for n in X.max(axis=0)]
    return one_hot(X, n_levels), y, n_levels


def myfm_fit(data, settings):
    from myfm import MyFMRegressor

    matrix, y, n_levels = data
    model = MyFMRegressor(settings.rank, random_seed=0)
    model.fit(matrix, y, n_iter=settings.epochs, group_shapes=n_levels)
    return (model, n_levels), None


def myfm_predict(fitted, X):
    model, n_levels = fitted
    matrix = one_hot(np.minimum(X, np.array(n_levels) - 1), n_levels)
    matrix.data[np.greater_equal(X, n_levels).ravel()] = 0  # ids above those of the training part
    return model.predict(matrix)


# lenskit: a data frame, then Arrow tables; alternating least squares


def lenskit_build(X, y):
    import pandas as pd
    from lenskit.data import from_interactions_df

    return from_interactions_df(pd.DataFrame({"user_id": X[:, 0], "item_id": X[:, 1], "rating": y}))


def lenskit_fit(data, settings):
    from lenskit.als import BiasedMFScorer
    from lenskit.parallel import initialize
    from lenskit.training import TrainingOptions

    initialize(processes=1, threads=settings.threads, backend_threads=1)
    model = BiasedMFScorer(embedding_size=settings.rank, epochs=settings.epochs)
    model.train(data, TrainingOptions(rng=0))
    return model, None


def lenskit_predict(model, X):
    bias = model.bias
    rows = [words.numbers(ids, missing="negative") for words, ids in zip((model.users, model.items), X.T, strict=True)]
    return biased_product(
        bias.global_bias,
        (bias.user_biases, bias.item_biases),
        (model.user_embeddings, model.item_embeddings),
        [np.asarray(place) for place in rows],
    )


ADAPTERS = {
    "sklearn_mf": Adapter(
        ["sklearn_mf"], "sklearn-mf", True, lambda X, y: (X, y), sklearn_mf_fit, lambda model, X: model.predict(X)
    ),
    "surprise": Adapter(
        ["pandas", "surprise"], "scikit-surprise", False, surprise_build, surprise_fit, surprise_predict
    ),
    "cornac": Adapter(["cornac.models.mf.backend_cpu"], "cornac", True, cornac_build, cornac_fit, cornac_predict),
    "cmfrec": Adapter(
        ["cmfrec", "scipy.sparse"],
        "cmfrec",
        True,
        cmfrec_build,
        cmfrec_fit,
        lambda model, X: model.predict(X[:, 0], X[:, 1]),
    ),
    "libmf": Adapter(["libmf.mf"], "libmf", True, libmf_build, libmf_fit, libmf_predict),
    "myfm": Adapter(["myfm", "scipy.sparse"], "myfm", False, myfm_build, myfm_fit, myfm_predict),
    "lenskit": Adapter(["lenskit.als", "pandas"], "lenskit", True, lenskit_build, lenskit_fit, lenskit_predict),
}
