"""Draw the pictures of this folder again, from the scripts of the gallery.

python docs/pictures/draw.py              # all of them
python docs/pictures/draw.py item_map     # those of docs/examples/item_map.py

heat_maps.svg, scaling.svg and seeds_and_context.svg show real data: benchmarks/ has the scripts that draw them.
"""

import argparse
import contextlib
import os
import runpy
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
STYLE = HERE / "sklearn_mf.mplstyle"
# Of each script, the names of its figures in the order in which it makes them; None is not written.
PICTURES = {
    "item_map": ["first", "item_map"],
    "early_stopping": ["loss_curve"],
    "predicted_and_true": ["predicted_ratings", "error_by_activity"],
    "intervals": ["intervals"],
    "search_heat_map": ["search_rmse", "search_ndcg"],
    "training_control": ["training", None],
    "replay": ["replay"],
}


def draw(script, folder):
    """Run a script and write its figures."""
    with plt.style.context(["default", STYLE]):
        runpy.run_path(str(EXAMPLES / f"{script}.py"), run_name="__main__")
        for number, name in zip(plt.get_fignums(), PICTURES[script], strict=True):
            if name is not None:
                plt.figure(number).savefig(
                    folder / f"{name}.svg", metadata={"Date": None}
                )
        plt.close("all")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "scripts",
        nargs="*",
        metavar="NAME",
        help=f"one of {', '.join(PICTURES)}; default: all",
    )
    parser.add_argument(
        "--folder", type=Path, default=HERE, help="where the pictures go"
    )
    arguments = parser.parse_args()
    mpl.use("svg")
    for script in arguments.scripts or PICTURES:
        if script not in PICTURES:
            parser.error(f"{script} draws no picture of this folder")
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            draw(script, arguments.folder)
        print(f"{script}: {', '.join(name for name in PICTURES[script] if name)}")


if __name__ == "__main__":
    main()
