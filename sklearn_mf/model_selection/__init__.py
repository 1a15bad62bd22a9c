"""Splits of ratings into training and test parts: within users, with items kept warm, by time."""

from sklearn_mf.model_selection._splitters import GlobalTimeSplit, LeaveLastOut, PerUserShuffleSplit, WarmShuffleSplit

__all__ = ["GlobalTimeSplit", "LeaveLastOut", "PerUserShuffleSplit", "WarmShuffleSplit"]
