"""Run the recipes of docs/other_tools.md, each where its tool is installed."""

import re

import pytest
from helpers.pages import code_blocks
from helpers.paths import ROOT

PAGE = ROOT / "docs" / "other_tools.md"
# What a recipe imports, by the heading that it stands under. The recipe of skops runs with the other pages.
TOOLS = {
    "Optuna": ["optuna"],
    "MLflow": ["mlflow", "skops"],
    "MAPIE": ["mapie"],
    "SHAP": ["shap"],
    "ranx": ["ranx"],
    "ONNX": ["onnx", "onnxruntime"],
}


def sections():
    """The text before the first heading of level two, and that below each of these headings."""
    before, *parts = re.split(r"^## +(.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return before, dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(text, language, tmp_path):
    page = tmp_path / "section.md"
    page.write_text(text)
    return code_blocks(page, language)


def test_every_recipe_is_known_here(tmp_path):
    _, found = sections()
    assert {heading for heading, text in found.items() if blocks(text, "py", tmp_path)} == set(TOOLS)


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.filterwarnings("default")  # those of the tools are not ours
def test_recipe_runs(tool, monkeypatch, tmp_path):
    for module in TOOLS[tool]:
        pytest.importorskip(module)
    before, found = sections()
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for block in [*blocks(before, "python", tmp_path), *blocks(found[tool], "py", tmp_path)]:
        exec(compile(block, f"{PAGE.name}, {tool}", "exec"), namespace)
