"""The report of a cross-validation: scores by fold, and the held-out slices of each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from volseg_core.provenance import write_text
from volseg_core.report.page import facts, heading, page, picture, table
from volseg_core.training.folds import summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from volseg_core.model import ModelSpec
    from volseg_core.recipe import Recipe
    from volseg_core.training.run import RunResult


def write_report(recipe: Recipe, spec: ModelSpec, result: RunResult, results: Sequence[RunResult]) -> Path:
    """Write ``report/index.html`` of a cross-validation and return it; each fold has a report of its own."""
    pictures = []
    for number, one in enumerate(results, 1):
        for head in spec.heads:
            figure = one.folder / "figures" / f"{head.array('validation')}.png"
            title = f"Held-out slices of fold {number}" + (f": {head.name}" if head.name else "")
            pictures += [picture(title, figure)] if figure.is_file() else []
    path = result.folder / "report" / "index.html"
    path.parent.mkdir(exist_ok=True)
    known = {
        "Recipe": recipe.name,
        "Data": ", ".join(recipe.data.train) or "arrays",
        "Folds": str(len(results)),
        **{head.title.capitalize(): head.describe() for head in spec.heads},
        "Model id": result.model_id[:16],
    }
    write_text(path, page(recipe.name, facts(known), heading("Scores by fold"), _scores(results), *pictures))
    return path


def _scores(results: Sequence[RunResult]) -> str:
    scores = {key: pair for key, pair in summary(results).items() if key.startswith("val/")}
    header = ("", *(f"fold {number}" for number in range(1, len(results) + 1)), "mean", "sd")
    rows = [
        [key.removeprefix("val/"), *(_shown(one.scores.get(key, math.nan)) for one in results), *map(_shown, pair)]
        for key, pair in scores.items()
    ]
    return table(header, rows)


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
