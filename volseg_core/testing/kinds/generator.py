"""Rules of generators."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import Sample
from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "generator",
    works=("generate() returns a Sample", "Mend it, or return volseg_core.api.Sample(data=..., labels=...)."),
    data=(
        "data is a numeric array (Z, Y, X) or (C, Z, Y, X) of finite values",
        "Give a single slice the shape (1, Y, X).",
    ),
    labels=("labels are integers of the shape (Z, Y, X) of the data", "Convert them to an integer type."),
    classes=("classes name every label that occurs, from 0 on", "Add the names of the missing ones."),
    spacing=("spacing is None or three sizes above 0", "Give it as (z, y, x) in the unit."),
    extra=("Every array of extra has the shape of the labels or channels of it", "Leave the others out."),
    deterministic=(
        "The same parameters give the same volume, whatever was drawn before",
        "Draw from numpy.random.default_rng(seed) and from nothing else.",
    ),
    seed=("Another seed gives another volume", "Use the parameter seed."),
)


def examine(trial: Trial, found: Findings) -> None:
    """Generate volumes with the parameters that were given."""
    sample = None
    with found.trying("works", "called"):
        sample = trial.build().generate()
    if sample is None or not isinstance(sample, Sample):
        found.broke("works", f"it returned {type(sample).__name__}")
        return
    data, labels = np.asarray(sample.data), np.asarray(sample.labels)
    _arrays(sample, data, labels, found)
    _described(sample, labels, found)
    with found.trying("deterministic", "called again"):
        np.random.seed(1)  # noqa: NPY002  (the generator that must have no say)
        if not _alike(sample, trial.build().generate()):
            found.broke("deterministic", "the second is another")
    if "seed" in trial.component.params:
        with found.trying("seed", "called with another"):
            params = {**trial.params, "seed": int(trial.values()["seed"]) + 1}
            if _alike(sample, replace(trial, params=params).build().generate()):
                found.broke("seed", f"{params['seed']} gives the volume of {params['seed'] - 1}")


def _arrays(sample: Sample, data: Any, labels: Any, found: Findings) -> None:
    if data.ndim not in (3, 4) or data.dtype.kind not in "biuf":
        found.broke("data", f"it is {data.dtype} of shape {data.shape}")
    elif not np.isfinite(data).all():
        found.broke("data", "some are not")
    if labels.dtype.kind not in "iu" or labels.shape != data.shape[-3:]:
        found.broke("labels", f"they are {labels.dtype} of shape {labels.shape} and the data of {data.shape}")
    for name, array in sample.extra.items():
        shape = np.shape(array)
        if len(shape) not in (3, 4) or shape[-3:] != labels.shape:
            found.broke("extra", f"{name!r} is of shape {shape} and the labels of {labels.shape}")


def _described(sample: Sample, labels: Any, found: Findings) -> None:
    highest = int(labels.max()) if labels.size else 0
    if highest >= len(sample.classes) or (labels.size and int(labels.min()) < 0):
        found.broke("classes", f"there are {len(sample.classes)} and labels from {int(labels.min())} to {highest}")
    spacing = sample.spacing
    if spacing is not None and not (len(spacing) == 3 and all(size > 0 for size in spacing)):  # noqa: PLR2004  (z, y, x)
        found.broke("spacing", f"it is {spacing!r}")


def _alike(one: Sample, other: Sample) -> bool:
    return bool(np.array_equal(one.data, other.data) and np.array_equal(one.labels, other.labels))
