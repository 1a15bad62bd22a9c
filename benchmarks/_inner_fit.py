"""A fit put together from the inner parts of training, so that a variant of one part can take its place.

Benchmarks of such variants need it, since the public interface does not offer them. So this is the place of benchmarks/
that imports the insides of training. With the parts as they are it gives the predictions of
``MatrixFactorizationRegressor``, bit for bit; ``python benchmarks/_inner_fit.py`` shows it.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._ids.levels import Levels
from sklearn_mf._ids.tables import split_columns
from sklearn_mf._prediction.model import Model
from sklearn_mf._training.damping import with_damping
from sklearn_mf._training.grid import BlockGrid, make_grid
from sklearn_mf._training.hyperparameters import Damping, Hyperparameters
from sklearn_mf._training.losses import Baseline
from sklearn_mf._training.parameters import Parameters, initial_parameters
from sklearn_mf._training.ratings import CodedRatings, canonical_ratings
from sklearn_mf._training.scaling import TargetScale, mean_scale_and_range
from sklearn_mf._training.schedules import Epoch, fixed_epochs
from sklearn_mf._training.sgd import SGDSolver
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import Threads

SQUARED_LOSS_OF_THE_MEAN = Baseline(0.0, 0.5)  # of standardized ratings


class InnerFit:
    """Fit ratings with the squared loss on a fixed schedule; each argument but the last takes the place of a part.

    Parameters
    ----------
    n_groups : int or None
        The number of user and of item groups. None: as the package chooses.

    change_grid : function
        Gives the grid to train on from that of the ratings.

    change_damping : function
        Gives the damping to train with from that of the settings, or from what is estimated.

    change_parameters : function
        Gets the grid and the initial parameters, and changes these in place.

    solver : type
        ``SGDSolver`` or a subclass.

    epochs : list of Epoch or None
        What each epoch does. None: as the package chooses.

    **settings
        Parameters of ``MatrixFactorizationRegressor``; its defaults for the others.
    """

    def __init__(
        self,
        n_groups: int | None = None,
        change_grid: Callable[[BlockGrid], BlockGrid] = lambda grid: grid,
        change_damping: Callable[[Damping], Damping] = lambda damping: damping,
        change_parameters: Callable[[BlockGrid, Parameters], None] = lambda grid, parameters: None,
        solver: type[SGDSolver] = SGDSolver,
        epochs: list[Epoch] | None = None,
        **settings,
    ):
        self.settings = MatrixFactorizationRegressor(**settings).get_params()
        self.n_groups, self.change_grid, self.change_parameters = n_groups, change_grid, change_parameters
        self.change_damping, self.solver = change_damping, solver
        self.epochs = epochs or fixed_epochs(self.settings["schedule"], self.settings["max_iter"])

    def fit(self, X, y):
        """Train on rows of ids and their ratings."""
        names = {field.name for field in fields(Hyperparameters)} & set(self.settings) - {"loss", "damping"}
        hyper = Hyperparameters(damping=self.damping(), **{name: self.settings[name] for name in names})
        rng = generator(self.settings["random_state"])
        with Threads(self.settings["n_jobs"] or 1) as threads:
            self.levels, codes = Levels.fit(split_columns(X, "InnerFit"), None, threads)
            coded, shard = CodedRatings(codes, y, None, self.levels.counts), Shard(threads)
            ratings = canonical_ratings(coded, hyper.rank, rng, shard, self.n_groups)
            mean, deviation, self.rating_range = mean_scale_and_range(ratings, hyper.fit_bias, shard)
            scale = TargetScale(mean, deviation)
            grid = self.change_grid(make_grid(ratings, scale, shard, hyper.learning_rate))
            hyper = with_damping(hyper, grid, shard)
            hyper = replace(hyper, damping=self.change_damping(hyper.damping))
            parameters = initial_parameters(grid, hyper, rng, shard)
            self.change_parameters(grid, parameters)
            solver = self.solver(grid, parameters, hyper, SQUARED_LOSS_OF_THE_MEAN, rng, shard)
            for epoch in self.epochs:
                loss, _ = solver.epoch(epoch.step_factor)
                if epoch.centers_move:
                    solver.update_centers()
            solver.shrink_to_baseline(loss)
        self.model = Model(
            [parameters.rows[rows, : hyper.rank] * scale.factor_unit for rows in grid.row_of],
            [parameters.bias[rows] * scale.bias_unit for rows in grid.row_of],
            mean,
        )
        return self

    def damping(self):
        """Give the damping of the settings, None where it is estimated."""
        damping = self.settings["damping"]
        if damping == "auto":
            return None
        return Damping.of_sides(*damping) if isinstance(damping, tuple) else Damping.of_sides(damping, damping)

    def predict(self, X):
        """Predict the ratings of rows of ids, within the range of the ratings of ``fit``."""
        with Threads(1) as threads:
            indices = self.levels.encode(split_columns(X, "InnerFit"), threads)
            return np.clip(self.model.scores(indices, threads), *self.rating_range)


class OwnPairsCount(SGDSolver):
    """Run epochs in which a rating's own pair is not left out of its error."""

    def update_centers(self) -> None:
        """Move the centers, then take away what the package leaves a pair out with."""
        super().update_centers()
        for field in range(2):
            self.parameters.pair_ties(field)[self.grid.row_of[field]] = 0.0  # the pull of its own rows


def epochs_with_centers(share, every=2):
    """Give the epochs of the defaults; in the first ``share`` of them, centers move after one of ``every``."""
    defaults = MatrixFactorizationRegressor()
    epochs = fixed_epochs(defaults.schedule, defaults.max_iter)
    return [Epoch(epoch.step_factor, t % every == 0 and t + 1 <= share * len(epochs)) for t, epoch in enumerate(epochs)]


def generator(seed):
    """Make the generator that ``fit`` draws from with ``random_state=seed``."""
    return np.random.default_rng([np.random.RandomState(seed).randint(np.iinfo(np.int32).max)])


def main():
    """Compare the predictions of both ways to fit, with two columns and with three."""
    from sklearn_mf.datasets import make_ratings

    X, y = make_ratings(300, 200, 20_000, random_state=0, return_X_y=True)
    context = np.random.default_rng(0).integers(0, 9, len(y))
    for table in (X, np.column_stack([X, context])):
        for settings in ({}, {"implicit_features": None, "n_jobs": 2}, {"damping": (3.0, 5.0)}):
            given = {"random_state": 0, **settings}
            theirs = MatrixFactorizationRegressor(**given).fit(table, y).predict(table)
            same = np.array_equal(InnerFit(**given).fit(table, y).predict(table), theirs)
            print(f"{table.shape[1]} columns, {settings}: {'the same' if same else 'not the same'}")


if __name__ == "__main__":
    main()
