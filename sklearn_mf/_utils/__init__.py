"""Provide what every part of the package may use."""
