"""The report of a run: figures and one self-contained page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from volseg_core.data.truth import teachers
from volseg_core.data.validation import validation_windows
from volseg_core.model import WEIGHTS, read_model
from volseg_core.network import trained_network
from volseg_core.provenance import write_text
from volseg_core.report.figures import Example, Image, draw_curves, draw_examples, draw_values
from volseg_core.report.page import facts, heading, page, picture
from volseg_core.training.assembly import window_spacing
from volseg_core.training.callbacks import read_metrics
from volseg_core.training.targets import in_unit, predicted_class, probabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from volseg_core.catalog import Catalog
    from volseg_core.data.validation import ValidationWindow
    from volseg_core.model import HeadSpec
    from volseg_core.training.run import Prepared, RunResult

log = logging.getLogger("volseg")

_SLICES, _ROWS = 2, 6


def write_report(catalog: Catalog, prepared: Prepared, result: RunResult) -> Path:
    """Draw the figures of a finished run and write ``report/index.html``; return the page."""
    folder = result.folder
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    draw_curves(read_metrics(folder / "metrics.csv"), figures / "curves.png")
    pictures = {"Learning curves": figures / "curves.png"}
    if prepared.recipe.train.lr == "auto":
        pictures["Range test of the learning rate"] = figures / "lr_range.png"
    regions = prepared.held or prepared.train
    seen = validation_windows(regions, prepared.spec, prepared.recipe.data.window, _SLICES)
    held = "Held-out slices" if prepared.held else "Training slices (nothing was held out)"
    for head, examples in _examples(catalog, prepared, folder, seen[:_ROWS]).items():
        place = figures / f"{head.array('validation')}.png"
        if head.of_classes:
            draw_examples(examples, head.classes.names, place)
        else:
            draw_values(examples, head.classes.names[0], place)
        pictures[" ".join(filter(None, (f"{held}:" if head.name else held, head.name)))] = place
    path = folder / "report" / "index.html"
    path.parent.mkdir(exist_ok=True)
    write_text(path, _page(prepared, result, pictures))
    return path


def _examples(
    catalog: Catalog, prepared: Prepared, folder: Path, windows: Sequence[ValidationWindow]
) -> dict[HeadSpec, list[Example]]:
    """Return what each head is to show of the windows: classes, or its first channel of values."""
    spec = prepared.spec
    network = trained_network(catalog, prepared.recipe, read_model(folder / WEIGHTS))
    taught = teachers(catalog, prepared.recipe, spec.heads, window_spacing(spec))
    examples: dict[HeadSpec, list[Example]] = {}
    for item in windows:
        image, truth = item.load(spec)
        with torch.inference_mode():
            output = network(torch.from_numpy(image)[None])
        axis, index = item.plane
        title = f"{Path(item.region.volume.grid.source).name} {'zyx'[axis]} = {index}"
        shown = _contrast(image[spec.neighbours * spec.volume_channels][item.picture])
        for head, part, teacher in zip(spec.heads, spec.parts, taught, strict=True):
            pair = _compared(head, output[:, part], torch.from_numpy(teacher(truth))[None])
            examples.setdefault(head, []).append(Example(title, shown, *(array[item.picture] for array in pair)))
    return examples


def _compared(head: HeadSpec, output: Tensor, target: Tensor) -> tuple[Image, Image]:
    """Return truth and prediction (*S) of one window."""
    if head.of_classes:
        return target[0].numpy(), predicted_class(head.task, output)[0].numpy()
    values = (in_unit(head, item)[0, 0] for item in (target, probabilities(head.task, output)))
    truth, found = (item.numpy() for item in values)
    return truth, found


def _contrast(image: Image) -> Image:
    low, high = (float(value) for value in np.percentile(image, (1, 99)))
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1)


def _page(prepared: Prepared, result: RunResult, pictures: Mapping[str, Path]) -> str:
    recipe, spec = prepared.recipe, prepared.spec
    assert result.best_epoch is not None  # noqa: S101  (only an ensemble has none, and its own page)
    known = {
        "Recipe": recipe.name,
        "Data": ", ".join(recipe.data.train) or "arrays",
        "Held out": ", ".join(region.describe() for region in prepared.held) or "nothing",
        **{head.title.capitalize(): head.describe() for head in spec.heads},
        "Network": f"{recipe.architecture.provided.id}"
        + (f" on {recipe.encoder.provided.component.name}" if recipe.encoder else ""),
        "Best epoch": str(result.best_epoch + 1),
        "Model id": result.model_id[:16],
    }
    scores = {key.removeprefix("val/"): value for key, value in result.scores.items() if key.startswith("val/")}
    measured = facts({key: f"{value:.4f}" for key, value in scores.items()}) or "<p>Nothing was held out.</p>"
    images = [picture(title, path) for title, path in pictures.items()]
    return page(recipe.name, facts(known), heading("Scores of the best epoch"), measured, *images)
