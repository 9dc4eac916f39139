"""The page that goes with a bioimage.io package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.exporting.reading import describe_export
from volseg_core.exporting.vectors import SPATIAL
from volseg_core.volume import SLICES

if TYPE_CHECKING:
    from volseg_core.model import HeadSpec, ModelFile, ModelSpec

_PAGE = """\
# {title}
Makes {made} of {seen}.
Trained and exported with volseg; `volseg inspect weights.onnx` shows the recipe inside.

## Input and output
{channels}, float32, `(batch, channel, {axes})`. {sizes} {trained} {outputs}

## Voxel size
{voxels}

## Normalisation
{normalisation}

## Validation
Predict a labelled volume that was not trained on and compare: `volseg predict weights.onnx scan.h5 -o seg.h5` merges
{merged}, `volseg evaluate --prediction seg.h5 --labels labels.h5` gives scores.

{facts}

## Before uploading
Add to `rdf.yaml` what only you know: `authors`, `license`, `cite`, `covers`, and the data in `training_data`.
"""

_MEASURED = """\
volseg clips each channel of a volume at its percentiles {low:g} and {high:g}; values are then {rule}. The preprocessing
does this to each input by itself, since bioimage.io knows no volume around it: on inputs that are darker, brighter or
emptier than the volume the two differ. For the same result normalise over the volume and leave it out."""
_UNCLIPPED = """ bioimageio.core
takes mean and deviation of values that are not clipped yet, so outliers count more."""

_RESAMPLED = """\
Resample every volume to voxels of {size} before anything else: values linearly, averaged where the
new voxels are larger. No step of bioimage.io does this. `volseg predict weights.onnx` does it for volumes that say
their voxel size, and puts what it finds back onto their voxels."""


def page(model: ModelFile) -> str:
    """Return the page of an exported model."""
    spec = model.spec
    slices = spec.dims == SLICES
    trained = f"Slices along {', '.join(spec.axes)} were trained on." if slices else "Boxes of volumes were trained on."
    return _PAGE.format(
        title=f"{model.recipe['model']['use']} of volseg",
        made=made_of(spec),
        seen=seen(spec),
        axes=", ".join(axes(spec)),
        channels=_channels(spec),
        sizes=_sizes(model),
        trained=trained,
        outputs=" ".join(map(_output, spec.heads)),
        voxels=_voxels(model),
        normalisation=_normalisation(spec),
        merged="slices along several directions" if slices else "windows that overlap",
        facts="\n".join(f"- {key}: {value}" for key, value in describe_export(model).items()),
    )


def axes(spec: ModelSpec) -> str:
    """Return the letters of the axes that the network sees."""
    return "zyx"[-spec.dims :]


def seen(spec: ModelSpec) -> str:
    """Return what the network sees, for people."""
    return "slices of a volume" if spec.dims == SLICES else "boxes of a volume"


def made_of(spec: ModelSpec) -> str:
    """Return what the network makes, for people."""
    return "; ".join(_head(head) for head in spec.heads)


def _head(head: HeadSpec) -> str:
    if not head.of_classes:
        return f"{'values' if head.task == 'regression' else 'probabilities'} of {head.describe()}"
    return "classes: " + ", ".join(f"{item.name} (id {item.id})" for item in head.classes.classes)


def channel_names(head: HeadSpec) -> list[tuple[int, str]]:
    """Return a number and a name for each channel of an output; of a binary task the second class has one."""
    return list(enumerate(head.classes.names))[-head.channels :]


def _output(head: HeadSpec) -> str:
    named = ", ".join(name for _, name in channel_names(head))
    kind = "values" if head.task == "regression" else "probabilities"
    return f"The output {head.name} holds {kind} of {named}." if head.name else f"The output holds {kind} of {named}."


def _channels(spec: ModelSpec) -> str:
    if not spec.neighbours:
        return f"{spec.in_channels} channel{'s' if spec.in_channels > 1 else ''}"
    return f"{2 * spec.neighbours + 1} neighbouring slices as channels ({spec.in_channels} in all)"


def _sizes(model: ModelFile) -> str:
    spec = model.spec
    if SPATIAL[-1] not in model.export["free"]:
        return f"Its size is {' x '.join(map(str, spec.window))}."
    return f"{', '.join(SPATIAL[-spec.dims : -1])} and {SPATIAL[-1]} are {spec.sizes}.".capitalize()


def resampling(model: ModelFile) -> list[float] | None:
    """Return the spacing (z, y, x), in the unit of the spec, that volumes are resampled to before anything else."""
    spacing: list[float] | None = model.recipe.get("data", {}).get("resample")
    return spacing


def _voxels(model: ModelFile) -> str:
    target, spec = resampling(model), model.spec
    spacing = target or spec.spacing
    if spacing is None:
        return "The volumes that it was trained on do not say their voxel size."
    size = " ".join(filter(None, (" x ".join(f"{edge:g}" for edge in spacing), spec.unit, "(z, y, x)")))
    known = f"The first volume that it was trained on has voxels of {size}; volumes are not resampled."
    return _RESAMPLED.format(size=size) if target else known


def _normalisation(spec: ModelSpec) -> str:
    low, high = spec.normalisation.clip
    kind = spec.normalisation.kind
    if kind == "none":
        return "None: the network takes values as they are."
    if kind == "range":
        return f"Values are clipped to {low:g} and {high:g} and mapped to [-1, 1], as the preprocessing says."
    rule = "mapped to [0, 1]" if kind == "percentile" else "brought to mean 0 and standard deviation 1"
    return _MEASURED.format(low=low, high=high, rule=rule) + (_UNCLIPPED if kind == "zscore" else "")
