"""LIBMF by its C interface, from a shared library that the caller has compiled.

The PyPI package is compiled without vector instructions. LIBMF's own build for AVX, from github.com/cjlin1/libmf:

    g++ -O3 -march=native -mavx -std=c++11 -fopenmp -DUSEAVX -DUSEOMP -fPIC -shared mf.cpp -o libmf.so
"""

import ctypes

import numpy as np
from _clock import now
from _library_adapters import dot_rows

NODE = np.dtype([("u", np.int32), ("v", np.int32), ("r", np.float32)])


class Problem(ctypes.Structure):
    _fields_ = [("m", ctypes.c_int), ("n", ctypes.c_int), ("nnz", ctypes.c_longlong), ("nodes", ctypes.c_void_p)]


class Parameter(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("fun", "k", "nr_threads", "nr_bins", "nr_iters")),
        *((name, ctypes.c_float) for name in ("lambda_p1", "lambda_p2", "lambda_q1", "lambda_q2", "eta", "alpha", "c")),
        *((name, ctypes.c_bool) for name in ("do_nmf", "quiet", "copy_data")),
    ]


class Model(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("fun", "m", "n", "k")),
        ("b", ctypes.c_float),
        ("P", ctypes.POINTER(ctypes.c_float)),
        ("Q", ctypes.POINTER(ctypes.c_float)),
    ]


class Libmf:
    """Ratings as LIBMF takes them, int codes in X, and fits with its defaults."""

    def __init__(self, library, X, y):
        self.library = ctypes.CDLL(str(library))
        self.library.mf_get_default_param.restype = Parameter
        self.library.mf_train.restype = ctypes.POINTER(Model)
        self.library.mf_train.argtypes = ctypes.POINTER(Problem), Parameter
        self.nodes = np.empty(len(y), NODE)
        self.nodes["u"], self.nodes["v"], self.nodes["r"] = X[:, 0], X[:, 1], y
        sizes = (int(n) + 1 for n in X.max(axis=0))
        self.problem = Problem(*sizes, len(y), self.nodes.ctypes.data)

    def fit(self, rank, epochs, n_threads):
        """Fit; give the factors of users and items, and the seconds."""
        parameter = self.library.mf_get_default_param()
        parameter.k, parameter.nr_iters, parameter.nr_threads, parameter.quiet = rank, epochs, n_threads, True
        start = now()
        model = self.library.mf_train(ctypes.byref(self.problem), parameter)
        seconds = now() - start
        found = model.contents
        factors = [
            np.ctypeslib.as_array(table, (n, rank)).copy() for table, n in ((found.P, found.m), (found.Q, found.n))
        ]
        self.library.mf_destroy_model(ctypes.byref(model))
        return factors, seconds

    def speed(self, rank, epochs, n_threads):
        """Give the factors, and the million ratings a second of its loop: of the epochs beyond the first two."""
        _, short = self.fit(rank, 2, n_threads)
        factors, long = self.fit(rank, epochs, n_threads)
        return factors, len(self.nodes) * (epochs - 2) / (long - short) / 1e6


def predict(factors, X):
    """Predict pairs; NaN, for what has no ratings, as 0."""
    P, Q = factors
    return np.nan_to_num(dot_rows(P[X[:, 0]], Q[X[:, 1]]))
