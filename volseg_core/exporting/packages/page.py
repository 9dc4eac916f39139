"""The page that goes with a bioimage.io package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.exporting.reading import describe_export

if TYPE_CHECKING:
    from volseg_core.model import ModelFile, ModelSpec

_PAGE = """\
# {title}
Segments slices of a volume into {classes}.
Trained and exported with volseg; `volseg inspect weights.onnx` shows the recipe inside.

## Input and output
{channels}, float32, `(batch, channel, y, x)`. {sizes} Slices along {axes} were trained
on. The output holds the probability of {outputs}.

## Normalisation
{normalisation}

## Validation
Predict a labelled volume that was not trained on and compare: `volseg predict weights.onnx scan.h5 -o seg.h5` averages
slices along several directions, `volseg evaluate --prediction seg.h5 --labels labels.h5` gives Dice and others.

{facts}

## Before uploading
Add to `rdf.yaml` what only you know: `authors`, `license`, `cite`, `covers`, and the data in `training_data`.
"""

_MEASURED = """\
volseg clips each channel of a volume at its percentiles {low:g} and {high:g}; values are then {rule}. The preprocessing
does this to each input by itself, since bioimage.io knows no volume around a slice: on slices that are darker, brighter
or emptier than the volume the two differ. For the same result normalise over the volume and leave it out."""
_UNCLIPPED = """ bioimageio.core
takes mean and deviation of values that are not clipped yet, so outliers count more."""


def page(model: ModelFile) -> str:
    """Return the page of an exported model."""
    spec = model.spec
    head = spec.heads[0]
    named = [f"{item.name} (id {item.id})" for item in head.classes.classes]
    return _PAGE.format(
        title=f"{model.recipe['model']['use']} of volseg",
        classes=", ".join(named),
        channels=_channels(spec),
        sizes=_sizes(model),
        axes=", ".join(spec.axes),
        outputs=named[1] if head.task == "binary" else "each class",
        normalisation=_normalisation(spec),
        facts="\n".join(f"- {key}: {value}" for key, value in describe_export(model).items()),
    )


def _channels(spec: ModelSpec) -> str:
    if not spec.neighbours:
        return f"{spec.in_channels} channel{'s' if spec.in_channels > 1 else ''}"
    return f"{2 * spec.neighbours + 1} neighbouring slices as channels ({spec.in_channels} in all)"


def _sizes(model: ModelFile) -> str:
    spec = model.spec
    if "height" not in model.export["free"]:
        return f"Its size is {' x '.join(map(str, spec.window))}."
    return f"Height and width are {spec.sizes}."


def _normalisation(spec: ModelSpec) -> str:
    low, high = spec.normalisation.clip
    kind = spec.normalisation.kind
    if kind == "none":
        return "None: the network takes values as they are."
    if kind == "range":
        return f"Values are clipped to {low:g} and {high:g} and mapped to [-1, 1], as the preprocessing says."
    rule = "mapped to [0, 1]" if kind == "percentile" else "brought to mean 0 and standard deviation 1"
    return _MEASURED.format(low=low, high=high, rule=rule) + (_UNCLIPPED if kind == "zscore" else "")
