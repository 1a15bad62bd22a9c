"""Compute metrics of recommended items: their share of the catalog, and how unknown they are."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from scipy import sparse
from sklearn.exceptions import UndefinedMetricWarning

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.levels import find_levels
from sklearn_mf._ids.pick import split_pairs
from sklearn_mf._ids.tables import Column, split_ids
from sklearn_mf._utils.warnings import warn_user
from sklearn_mf.metrics._hints import metric_of_lists
from sklearn_mf.metrics._lists import check_names_of_lists, flatten_lists


@metric_of_lists
def catalog_coverage(recommended: Any, *, catalog: Any) -> float:
    """Compute the share of the items of a catalog that are recommended to at least one user.

    Parameters
    ----------
    recommended : array-like of shape (n_users, n_items), list of lists, or dataframe
        Ids of the items recommended to each user, as ``recommend`` returns them, as arrays or with ``as_frame=True``.
        Lists may differ in length. Fill values of rows are skipped: None, NaN, NaT, and -1 unless the catalog has an
        item -1.

    catalog : array-like of shape (n_catalog,)
        Ids of all items that can be recommended, such as ``model.categories_[1]``. Repeated ids count once.

    Returns
    -------
    coverage : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If a recommended item is not in the catalog, or if ``recommended`` or ``catalog`` is empty.

    See Also
    --------
    novelty : How unknown the recommended items are.

    References
    ----------
    Ge, Delgado-Battenfeld and Jannach (2010). "Beyond accuracy: evaluating recommender systems by coverage and
    serendipity." RecSys.

    Examples
    --------
    >>> from sklearn_mf.metrics import catalog_coverage
    >>> catalog = ["Alien", "Brazil", "Heat", "Ran"]
    >>> catalog_coverage([["Alien", "Heat"], ["Alien", None]], catalog=catalog)
    0.5
    """
    items = split_ids(catalog, "catalog")
    if not len(items):
        raise ValueError("catalog is empty. Give the ids of all items that can be recommended.")
    item_levels, _ = factorize(items)
    counts = _count_recommended(recommended, item_levels, "catalog")
    return float(np.mean(counts > 0))


@metric_of_lists
def novelty(recommended: Any, *, X: Any, user_column: int | str = 0, item_column: int | str = 1) -> float:
    r"""Compute the mean self-information of the recommended items, in bits.

    An item is more novel if fewer users have rated it. The novelty is the mean, over all items i in all lists, of

    .. math::

        -\log_2 \frac{|U(i)|}{|U|} .

    Here U(i) are the users who rated item i, and U are all users in ``X``.

    Parameters
    ----------
    recommended : array-like of shape (n_users, n_items), list of lists, or dataframe
        Ids of the items recommended to each user, as ``recommend`` returns them, as arrays or with ``as_frame=True``.
        Lists may differ in length. Fill values of rows are skipped: None, NaN, NaT, and -1 unless X has an item -1.

    X : array-like of shape (n_ratings, n_columns)
        The training pairs, as given to ``fit``. Repeated pairs count once.

    user_column, item_column : int or str, default=0 and 1
        Positions of the user and item columns in X, from 0. For a data frame also their names, with or without the
        prefix of a ``ColumnTransformer``.

    Returns
    -------
    novelty : float
        At least 0, at most ``log2`` of the number of users. NaN, with an ``UndefinedMetricWarning``, if no item is
        recommended.

    Raises
    ------
    ValueError
        If no user in ``X`` has rated a recommended item, because its self-information is infinite; if ``recommended``
        or ``X`` is empty; if X has no such column; if a data frame of lists has the names of other columns of X.

    See Also
    --------
    catalog_coverage : The share of the catalog that is recommended.

    References
    ----------
    Zhou, Kuscsik, Liu, Medo, Wakeling and Zhang (2010). "Solving the apparent diversity-accuracy dilemma of
    recommender systems." PNAS 107(10), 4511-4515.

    Castells, Hurley and Vargas (2015). "Novelty and diversity in recommender systems." Recommender Systems Handbook.

    Examples
    --------
    >>> from sklearn_mf.metrics import novelty
    >>> X = [["ann", "Alien"], ["bob", "Alien"], ["cem", "Alien"],
    ...      ["dee", "Alien"], ["dee", "Heat"]]
    >>> novelty([["Alien"]], X=X), novelty([["Heat"]], X=X)
    (0.0, 2.0)
    >>> novelty([["Alien", "Heat"]], X=X)
    1.0
    """
    pairs = split_pairs(X, user_column, item_column, "novelty", "X")
    check_names_of_lists(recommended, X, (user_column, item_column), "X")
    (users, user_codes), (items, item_codes) = map(factorize, pairs)
    counts = _count_recommended(recommended, items, "X")
    if not counts.any():
        warn_user("novelty is undefined and set to NaN: no item is recommended.", UndefinedMetricWarning)
        return float("nan")
    table = sparse.coo_array((np.ones(len(item_codes), dtype=bool), (user_codes, item_codes)))
    n_raters = np.bincount(table.tocsr().indices, minlength=len(items))  # tocsr merges repeated pairs
    return float(np.average(np.log2(len(users) / n_raters), weights=counts))


def _count_recommended(recommended: Any, items: np.ndarray, table: str) -> np.ndarray:
    """Count how often each of ``items``, the sorted ids of a table, is recommended; int64 (n_items,)."""
    ids = flatten_lists(recommended).ids
    counts = np.zeros(len(items), dtype=np.int64)
    if not len(ids):
        return counts
    levels, codes = factorize(Column("recommended", ids))
    places = find_levels("recommended", levels, items, None, f"{table} has")
    is_unknown = places < 0
    if levels.dtype.kind in "iuf":
        fill = np.iinfo(np.uint64).max if levels.dtype.kind == "u" else -1  # the fill value of recommend
        is_unknown &= levels != fill
    if is_unknown.any():
        _raise_unknown(levels[is_unknown], table)
    is_known = places >= 0
    counts[places[is_known]] = np.bincount(codes, minlength=len(levels))[is_known]
    return counts


def _raise_unknown(ids: np.ndarray, table: str) -> NoReturn:
    """Raise a ValueError for recommended ids that the table does not have; show some of them."""
    first = ids[:5]
    shown = ", ".join(map(repr, (first.astype(str) if first.dtype.kind == "M" else first).tolist()))
    more = f", ... ({len(ids)} in all)" if len(ids) > 5 else ""
    what, hint = "in catalog", ""
    if table == "X":
        what = "in X, which must have all training pairs"
        hint = " If users are not column 0 of X and items column 1, pass user_column and item_column."
    raise ValueError(f"recommended has ids that are not {what}: {shown}{more}.{hint}")
