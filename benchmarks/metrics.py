"""Seconds for a million held-out ratings of 6,040 users, for each grouped metric; users as ints and as text.

    python benchmarks/metrics.py

Scores are clipped to 1..5, so that some tie. The best of five, on one core: nothing here starts threads. For
ranking_of_lists the ratings are what is held out, and 100 items recommended to each user are 604,000 pairs more.
"""

from collections.abc import Callable

import numpy as np
from _clock import seconds_of

from sklearn_mf import metrics

N_RATINGS, N_USERS = 1_000_000, 6_040
WITH_K = ["ndcg_at_k", "precision_at_k", "recall_at_k", "hit_rate_at_k", "mrr_at_k", "map_at_k"]


def best_seconds(function: Callable[[], float], repeats: int = 5) -> float:
    return min(seconds_of(function) for _ in range(repeats))


def main() -> None:
    rng = np.random.default_rng(0)
    activity = rng.lognormal(size=N_USERS)
    ints = rng.choice(N_USERS, N_RATINGS, p=activity / activity.sum())
    texts = np.array([f"user{i}" for i in ints.tolist()], dtype=object)
    y_true = rng.integers(1, 6, N_RATINGS).astype(float)
    y_score = np.clip(rng.normal(3.6, 0.8, N_RATINGS) + 0.2 * y_true, 1, 5)
    constant = np.zeros(N_RATINGS)

    print(f"numpy {np.__version__}\n")
    print("| metric | ints | text | ints, whole groups | ints, all scores tied |\n|---|---|---|---|---|")
    for name in [*WITH_K, "auc_by_group"]:
        metric = getattr(metrics, name)
        relevant = {} if name == "ndcg_at_k" else {"relevant": 4}
        k = {} if name == "auc_by_group" else {"k": None}
        cells = [
            best_seconds(lambda metric=metric, s=s, g=g, kw=kw: metric(y_true, s, groups=g, **kw))
            for s, g, kw in [
                (y_score, ints, relevant),
                (y_score, texts, relevant),
                (y_score, ints, {**relevant, **k}),
                (constant, ints, {**relevant, **k}),
            ]
        ]
        print(f"| {name} | " + " | ".join(f"{seconds:.2f}" for seconds in cells) + " |", flush=True)

    items = rng.integers(0, 3_706, N_RATINGS)
    X, recommended = np.column_stack([ints, items]), rng.integers(0, 3_706, (N_USERS, 10))
    table, names = X.astype(object), np.array([f"item{i}" for i in range(3_706)], dtype=object)
    table[:, 0], table[:, 1] = texts, names[items]
    for name, of_ints, of_texts in [
        ("catalog_coverage", {"catalog": items}, {"catalog": table[:, 1]}),
        ("novelty", {"X": X}, {"X": table}),
    ]:
        metric = getattr(metrics, name)
        of_int = best_seconds(lambda metric=metric, kw=of_ints: metric(recommended, **kw))
        of_text = best_seconds(lambda metric=metric, kw=of_texts: metric(names[recommended], **kw))
        print(f"| {name} | {of_int:.2f} | {of_text:.2f} | | |", flush=True)

    users, lists = np.arange(N_USERS), rng.permuted(np.tile(np.arange(3_706), (N_USERS, 1)), axis=1)[:, :100]
    user_names = np.array([f"user{i}" for i in users.tolist()], dtype=object)
    of_int = best_seconds(lambda: metrics.ranking_of_lists(lists, users, X, y_true))
    of_text = best_seconds(lambda: metrics.ranking_of_lists(names[lists], user_names, table, y_true))
    print(f"| ranking_of_lists, of 100 | {of_int:.2f} | {of_text:.2f} | | |", flush=True)


if __name__ == "__main__":
    main()
