"""Sphinx configuration: ``sphinx-build docs docs/_build``."""

import sklearn_mf

project = "sklearn_mf"
release = sklearn_mf.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.intersphinx", "numpydoc", "myst_parser"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
intersphinx_mapping = {"sklearn": ("https://scikit-learn.org/stable", None)}
exclude_patterns = ["_build"]
html_theme = "alabaster"
