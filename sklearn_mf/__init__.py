"""Learn user and item factors from (user, item) pairs, with or without ratings: matrix factorization."""

try:
    from sklearn_mf._encoder import MatrixFactorizationEncoder
    from sklearn_mf._model_files.models import load_model, save_model
    from sklearn_mf._popular import MostPopularRecommender
    from sklearn_mf._prediction.seen import SeenPairs
    from sklearn_mf._ranker import MatrixFactorizationRanker
    from sklearn_mf._regressor import MatrixFactorizationRegressor
    from sklearn_mf._training.als import PreferenceHyperparameters
    from sklearn_mf._training.confidence import ConfidenceRule
    from sklearn_mf._training.fit_pairs import Preferences, PreferenceState
    from sklearn_mf._training.hyperparameters import Damping, Hyperparameters
    from sklearn_mf._training.learned import TrainingState
    from sklearn_mf._training.losses import LOSSES
    from sklearn_mf._training.precision import Knowledge
    from sklearn_mf._version import __version__ as __version__
except ModuleNotFoundError as _error:
    if not str(_error.name).startswith("sklearn_mf._kernel."):
        raise
    raise ImportError(
        "This sklearn_mf is the source folder, not the installed package, and has no compiled kernel. Run "
        "`pip install .` in this folder, then start Python in another folder."
    ) from _error

__all__ = [
    "TRUSTED_TYPES",
    "MatrixFactorizationEncoder",
    "MatrixFactorizationRanker",
    "MatrixFactorizationRegressor",
    "MostPopularRecommender",
    "load_model",
    "save_model",
]

TRUSTED_TYPES: list[str] = [
    f"{stored.__module__}.{stored.__qualname__}"
    for stored in (
        MatrixFactorizationEncoder,
        MatrixFactorizationRanker,
        MatrixFactorizationRegressor,
        MostPopularRecommender,
        ConfidenceRule,
        Preferences,
        PreferenceHyperparameters,
        PreferenceState,
        SeenPairs,
        Damping,
        Hyperparameters,
        Knowledge,
        TrainingState,
        *LOSSES.values(),
    )
]
"""List the types that a saved model contains, besides arrays, numbers and text.

These are names, such as ``sklearn_mf._ranker.MatrixFactorizationRanker``. `skops <https://skops.readthedocs.io>`__
loads a file only if you say which types you trust. Files of :func:`save_model` do not need this list.

Examples
--------
>>> import skops.io
>>> from sklearn_mf import TRUSTED_TYPES, MatrixFactorizationRanker
>>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
...      ["bob", "Brazil"], ["cem", "Brazil"]]
>>> file = skops.io.dumps(MatrixFactorizationRanker(rank=2, random_state=0).fit(X))
>>> model = skops.io.loads(file, trusted=TRUSTED_TYPES)
>>> model.recommend(["cem"], 1)[0]
array([['Alien']], dtype=object)
"""
