"""Codes and ratings to factors: canonical ratings, the block grid, descent, schedules, going on from a model."""
