"""Measure how good rankings and recommendations are: metrics by group, metrics of a catalog, scorers."""

from sklearn_mf.metrics._catalog import catalog_coverage, novelty
from sklearn_mf.metrics._catalog_scorer import make_catalog_scorer
from sklearn_mf.metrics._lists import ranking_of_lists
from sklearn_mf.metrics._ndcg_and_auc import auc_by_group, ndcg_at_k
from sklearn_mf.metrics._scorer import make_ranking_scorer
from sklearn_mf.metrics._top_k import hit_rate_at_k, map_at_k, mrr_at_k, precision_at_k, recall_at_k

__all__ = [
    "auc_by_group",
    "catalog_coverage",
    "hit_rate_at_k",
    "make_catalog_scorer",
    "make_ranking_scorer",
    "map_at_k",
    "mrr_at_k",
    "ndcg_at_k",
    "novelty",
    "precision_at_k",
    "ranking_of_lists",
    "recall_at_k",
]
