"""Files of less precision: made of the float32 file, checked, and refused where they lose too much."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from volseg_core.errors import DataError, PluginError
from volseg_core.exporting.calibration import WINDOWS, calibration_windows
from volseg_core.exporting.convert import INPUT, Converted, first_line, parities
from volseg_core.exporting.half import half
from volseg_core.exporting.measure import Sample, given_sample, held_out, measure
from volseg_core.exporting.quantise import quantised
from volseg_core.exporting.reduction import OPTIONS
from volseg_core.exporting.vectors import FLOAT32
from volseg_core.prediction.choose import model_and_recipe

if TYPE_CHECKING:
    from volseg_core.exporting.loss import Loss
    from volseg_core.exporting.reduction import Reduction
    from volseg_core.model import ModelFile
    from volseg_core.progress import Progress
    from volseg_core.recipe import Recipe
    from volseg_core.registry import Registry

log = logging.getLogger("volseg")


@dataclass(frozen=True)
class Reduced:
    """A file with what it loses, if that was measured, and what is recorded about it."""

    file: Converted
    loss: Loss | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def reduce(
    registry: Registry,
    model: ModelFile,
    full: Converted,
    wish: Reduction,
    folder: Path,
    progress: Progress,
) -> Reduced:
    """Return the float32 file in less precision; temporary files stand in ``folder``.

    Raises:
        PluginError: the network cannot be converted, or its logits are too far off.
        DataError: more is lost than is allowed. VolsegError: a volume is wrong.
    """
    around = replace(model, export={"precision": FLOAT32})
    _, recipe = model_and_recipe(registry, around, "", (), "cpu", "onnxruntime")
    samples = _samples(registry, model, recipe, wish)
    with TemporaryDirectory(prefix=".volseg-export-", dir=folder) as name:
        before, after = Path(name, "full.onnx"), Path(name, "reduced.onnx")
        before.write_bytes(full.content)
        content, facts = _converted(registry, model, recipe, full, wish, before, after)
        after.write_bytes(content)
        parity = parities(content, full.vectors, wish.precision)
        bad = [item for item in parity if not item.good]
        if bad:
            what = f"the {wish.precision} file is too far from the network: {bad[0].describe()}"
            raise PluginError("export", what, f"Allowed are {bad[0].tolerance}; leave {OPTIONS[wish.precision]} out.")
        file = replace(full, content=content, parity=parity)
        if not samples:
            log.warning("what %s loses was not measured: give --on VOLUME", wish.precision)
            return Reduced(file, None, facts)
        one, other = replace(around, path=before), replace(around, path=after)
        loss = measure(registry, one, other, samples, progress)
    _check(loss, wish)
    return Reduced(file, loss, {**facts, "loss": {**loss.to_dict(), "allowed": wish.max_loss}})


def _converted(
    registry: Registry,
    model: ModelFile,
    recipe: Recipe,
    full: Converted,
    wish: Reduction,
    before: Path,
    after: Path,
) -> tuple[bytes, dict[str, Any]]:
    windows = None
    if wish.calibration is not None:
        windows = calibration_windows(registry.catalog, recipe, model.spec, wish.calibration)
    try:
        if windows is None:
            return half(full.content), {}
        return quantised(before, after, windows, INPUT), {"calibration": {"windows": WINDOWS}}
    except Exception as error:
        what = f"the network cannot be converted to {wish.precision} ({first_line(error)})"
        raise PluginError("export", what, f"Leave {OPTIONS[wish.precision]} out.") from error


def _samples(registry: Registry, model: ModelFile, recipe: Recipe, wish: Reduction) -> list[Sample]:
    on = wish.on if wish.on is not None or wish.labels is None else wish.calibration
    if on is not None:
        return [given_sample(registry, model, recipe, on, wish.labels)]
    samples = held_out(registry, model)
    if samples or wish.calibration is None:
        return samples
    return [given_sample(registry, model, recipe, wish.calibration, None)]


def _check(loss: Loss, wish: Reduction) -> None:
    """Refuse a file that loses too much, or say so where it is wanted all the same."""
    if loss.lost <= wish.max_loss:
        return
    what = f"{wish.precision} loses too much: {loss.describe()}"
    if not wish.force:
        hint = f"At most {wish.max_loss:g} may be lost; set --max-loss, or write it all the same with --force."
        raise DataError("export", what, hint)
    log.warning("%s", what)
