"""Factors to answers: scores of pairs, lists of items, similar rows, explanations."""
