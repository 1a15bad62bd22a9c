"""Compute from factors: scores of pairs, lists of items, similar rows, explanations."""
