"""Sphinx configuration: ``sphinx-build -W -n docs docs/_build``. The build needs no network."""

import importlib
import inspect
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx_gallery.sorting import ExplicitOrder

import sklearn_mf

HERE = Path(__file__).parent

project = "sklearn_mf"
author = "the sklearn_mf developers"
copyright = "the sklearn_mf developers"
release = version = sklearn_mf.__version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # copies MathJax into the site
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "examples", "**/*.part.md"]
templates_path = ["_templates"]
nitpicky = True

# --- Pages -----------------------------------------------------------------------------------------------------------

myst_enable_extensions = [
    "amsmath",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
]
myst_heading_anchors = 4
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_mf"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}
smartquotes = False  # quotes in code can be copied
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "sklearn_mf"},
    "header_links_before_dropdown": 5,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages that stand alone have no list of pages beside them.
ALONE = [
    "index",
    "get_started",
    "choose",
    "comparison",
    "other_tools",
    "faq",
    "contributing",
    "changes",
]
html_sidebars = {page: [] for page in [*ALONE, "search", "genindex"]}

# --- The API: a page an object ---------------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # the lists of parameters say them, in words
python_maximum_signature_line_length = 60
python_use_unqualified_type_names = True
add_module_names = False
numpydoc_show_class_members = False  # the templates list the methods
numpydoc_class_members_toctree = False
toc_object_entries_show_parents = "hide"

PARTS = ["dask", "datasets", "metrics", "model_selection", "plotting"]
MODULES = ["sklearn_mf", *(f"sklearn_mf.{part}" for part in PARTS)]
# Methods stand in this order; others follow by name.
ORDER = [
    *(
        "fit",
        "fit_transform",
        "partial_fit",
        "fold_in",
        "forget",
        "predict",
        "transform",
        "score",
    ),
    *(
        "recommend",
        "recommend_from",
        "recommend_users",
        "similar_items",
        "similar_users",
        "explain",
        "to_local",
    ),
    *(
        "from_estimator",
        "from_predictions",
        "from_search",
        "plot",
        "split",
        "get_n_splits",
    ),
]
# What scikit-learn's classes give and users call: it has a docstring of scikit-learn's.
BORROWED = {"score", "get_n_splits"}
# `open_ratings` makes these, and `fit` reads them: nobody else calls their methods.
NOT_CALLED = {"batches", "refuse", "local_class"}


def public_names(cls):
    """Names of methods and properties of a class, those that are ours and those that are scikit-learn's alone."""
    ours, theirs, properties = [], [], []
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        is_property = isinstance(member, property)
        function = member.fget if is_property else getattr(cls, name)
        if name.startswith("_") or name in NOT_CALLED:
            continue
        module = getattr(function, "__module__", None) or ""
        if cls.__module__.startswith("sklearn_mf.dask") and not module.startswith(
            "sklearn_mf.dask"
        ):
            continue
        if module.startswith("sklearn_mf") or name in BORROWED:
            if name != "set_params":
                ours.append(name)
            properties += [name] * is_property
        if not module.startswith("sklearn_mf.") or name == "set_params":
            theirs += [name] * (name not in BORROWED)
    ours.sort(
        key=lambda name: (
            ORDER.index(name) if name in ORDER else len(ORDER),
            name in properties,
            name,
        )
    )
    return ours, theirs, properties


autosummary_context = {
    "public": {},
    "inherited": {},
    "properties": {},
    "local": {},
    "examples": [],
}
PATHS = {}  # of public names
CODE_OF_EXAMPLES = "".join(
    path.read_text() for path in (HERE / "examples").glob("*.py")
)
for module in map(importlib.import_module, MODULES):
    for name in module.__all__:
        thing, path = getattr(module, name), f"{module.__name__}.{name}"
        PATHS[name] = path
        if re.search(rf"\b{name}\(|\b{name}\.from_", CODE_OF_EXAMPLES):
            autosummary_context["examples"].append(path)
        if inspect.isclass(thing):
            ours, theirs, properties = public_names(thing)
            autosummary_context["public"][path] = ours
            autosummary_context["inherited"][path] = theirs
            autosummary_context["properties"][path] = properties
            if name.startswith("Dask"):
                autosummary_context["local"][path] = (
                    f"sklearn_mf.{name.removeprefix('Dask')}"
                )

# What numpydoc checks of docstrings: everything but these. A test runs it, too.
numpydoc_validation_checks = {
    "all",
    "ES01",  # no extended summary: one line can say all of a method
    "EX01",  # no examples: those of a class show its methods; a test asks for examples of classes and functions
    "GL02",  # text after the last line: where the quotes close is the formatter's matter
    "PR07",  # no description of a parameter: its line "X, y : as in fit" may say all
    "RT02",  # a name before the type of what is returned: "items : ndarray", as scikit-learn has it
    "SA01",  # no "See Also": the text links what it names
}
# Docstrings that these checks cannot judge.
numpydoc_validation_exclude = {
    r"ShuffleSplit\.get_n_splits$",  # scikit-learn's
    r"Dask\w+$",  # parameters of the local class are documented there
}

# --- The gallery: every script of docs/examples is run ---------------------------------------------------------------

FIRST_EXAMPLES = [
    "quickstart",
    "recommendations",
    "ranking",
    "cold_start",
    "seeds_and_context",
    "search_heat_map",
]


def use_style(gallery_conf, name):
    """Give the figures of the gallery the style of the other pictures."""
    import matplotlib.pyplot as plt

    plt.style.use(HERE / "pictures" / "sklearn_mf.mplstyle")


sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": ExplicitOrder(
        [*(f"{name}.py" for name in FIRST_EXAMPLES), "*"]
    ),
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("sklearn_mf",),
    "reset_modules": ("matplotlib", use_style),
    "image_srcset": ["2x"],
    "reference_url": {"sklearn_mf": None},
    "capture_repr": (),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}
suppress_warnings = [
    "config.cache"
]  # the settings of the gallery have functions in them

# --- Links to other projects -----------------------------------------------------------------------------------------

# Inventories of other projects would have to be downloaded. Their addresses follow rules instead.
PAGES_OF_OTHERS = [
    (r"sklearn(\.\w+)+", "https://scikit-learn.org/stable/modules/generated/{}.html"),
    (r"numpy(\.\w+)+", "https://numpy.org/doc/stable/reference/generated/{}.html"),
    (r"scipy(\.\w+)+", "https://docs.scipy.org/doc/scipy/reference/generated/{}.html"),
    (r"pandas(\.\w+)+", "https://pandas.pydata.org/docs/reference/api/{}.html"),
    (r"matplotlib(\.\w+)+", "https://matplotlib.org/stable/api/_as_gen/{}.html"),
]


def link_to_others(app, env, node, contnode):
    """Link names of other projects to their pages."""
    target = node.get("reftarget", "")
    if target == "r2_score":  # a label in a docstring that is inherited
        target = "sklearn.metrics.r2_score"
    for pattern, address in PAGES_OF_OTHERS:
        if node.get("refdomain") in ("py", "std") and re.fullmatch(pattern, target):
            return nodes.reference(
                "", "", contnode, internal=False, refuri=address.format(target)
            )
    return None


LINK_NO_MORE = nodes.title, nodes.reference, pending_xref


def link_names(app, doctree):
    """Link the first mention of a public name in each section to its page."""
    linked = set()
    for literal in list(doctree.findall(nodes.literal)):
        path = PATHS.get(literal.astext().removesuffix("()"))
        section, parent = None, literal.parent
        while parent and not isinstance(parent, LINK_NO_MORE):
            if section is None and isinstance(parent, nodes.section):
                section = parent
            parent = parent.parent
        if not path or parent or app.env.docname == f"api/{path}":
            continue
        if (path, id(section)) not in linked:
            linked.add((path, id(section)))
            link = pending_xref(
                refdomain="py", reftype="obj", reftarget=path, refexplicit=True
            )
            literal.replace_self(link)
            link += literal


# Where a long name may break: after a sign, unless a few letters follow, and where a word with a capital begins.
BREAKS = re.compile(
    r"(?<=[a-z0-9][._/(=,])(?=[A-Za-z])(?![a-z]{1,4}$)|(?<=[a-z])(?=[A-Z][a-z])"
)


FORMULA_AND_SIGN = re.compile(r'(<span class="math[^>]*>[^<]*</span>)([.,;:?!)]+)')


def set_breaks(app, page, template, context, doctree):
    """Let long names break between their words, but no line between a formula and the sign after it."""
    names = r'(?<=<span class="pre">)[^<]{13,}|(?<=<h1>)[^<]+'
    for part in {"body", "toc"} & context.keys():
        context[part] = re.sub(
            names, lambda name: BREAKS.sub("<wbr>", name[0]), context[part]
        )
    if "body" in context:
        context["body"] = FORMULA_AND_SIGN.sub(
            r'<span class="no-break">\1\2</span>', context["body"]
        )
    for near in (context.get("prev"), context.get("next")):
        if near:
            near["title"] = BREAKS.sub("<wbr>", near["title"])


def link_to_gallery(app, docname, source):
    """Lead links to scripts of the gallery, which work in a clone, to the pages that are built from them."""
    pages = re.sub(
        r"\]\(((?:\.\./)*)examples/(\w+)\.py\)", r"](\1gallery/\2.rst)", source[0]
    )
    source[0] = re.sub(
        r"\]\(((?:\.\./)*)examples/README\.rst\)", r"](\1gallery/index.rst)", pages
    )


def shorten_signature(app, what, name, obj, options, signature, returns):
    """Hide how to make what only `open_ratings` makes."""
    return ("", None) if name.endswith(".RatingsFile") else (signature, returns)


def setup(app):
    app.connect("source-read", link_to_gallery)
    app.connect("doctree-read", link_names)
    app.connect("html-page-context", set_breaks)
    app.connect("missing-reference", link_to_others)
    app.connect("autodoc-process-signature", shorten_signature)
