"""Provide helpers for all parts of the package."""
