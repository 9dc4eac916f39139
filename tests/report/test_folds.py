"""The report of a cross-validation has the figures of every head."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest

from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_core.report.folds import write_report
from volseg_core.training.run import RunResult
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (("",), ["Held-out slices of fold 1<", "Held-out slices of fold 2<"]),
        (("cells", "depth"), [f"fold {fold}: {head}" for fold in (1, 2) for head in ("cells", "depth")]),
    ],
)
def test_each_fold_shows_its_heads(tmp_path, names, titles):
    heads = tuple(HeadSpec("multilabel", ClassMap((ClassName(0, "in"),)), name) for name in names)
    runs = [RunResult(tmp_path / f"fold-{fold}", "id", 0, {"val/loss": float(fold)}) for fold in (1, 2)]
    for run in runs:
        (run.folder / "figures").mkdir(parents=True)
        for head in heads:
            matplotlib.image.imsave(run.folder / "figures" / f"{head.array('validation')}.png", np.zeros((4, 4)))
    spec = ModelSpec(heads, 1, Normalisation(), "z", SizeRule.same(8, 8, 2))
    recipe = resolve_recipe(load_registry(builtin_only=True), "slices")
    page = write_report(recipe, spec, RunResult(tmp_path, "id" * 16, None, {}), runs).read_text()
    assert page.count("<img") == len(titles)
    assert all(title in page for title in titles)
    assert "1.5" in page, "the mean"
