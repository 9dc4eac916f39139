"""What a plugin imports: the hook marker, component descriptors, ``Param``, errors and the runtime contracts.

Standard library and pluggy only, so that describing a component costs nothing. The descriptors say what a
component is; its ``target`` (an import string ``module:attribute``) is resolved only when something is built
and is called with keyword arguments: the component's parameters plus the context values that it ``wants``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import pluggy

from volseg_core.contracts import (
    ArraySpec,
    EncoderChoice,
    MergeResult,
    MergeState,
    RunInfo,
    Sample,
    Sink,
    Slices,
    Source,
    Spacing,
)
from volseg_core.errors import DataError, DivergedError, PluginError, ResourceError, UsageError, VolsegError
from volseg_core.params import REQUIRED, Param

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "KINDS",
    "REQUIRED",
    "Architecture",
    "ArraySpec",
    "Augmentation",
    "Component",
    "DataError",
    "DivergedError",
    "Encoder",
    "EncoderChoice",
    "Generator",
    "Loss",
    "Merge",
    "MergeResult",
    "MergeState",
    "Metric",
    "Param",
    "PluginError",
    "Postprocess",
    "Reader",
    "ResourceError",
    "RunInfo",
    "Runtime",
    "Sample",
    "Sink",
    "Slices",
    "Source",
    "Spacing",
    "Target",
    "UsageError",
    "VolsegError",
    "Weights",
    "Writer",
    "hookimpl",
]

hookimpl = pluggy.HookimplMarker("volseg")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Component:
    """Describe something that a plugin provides. Use the subclass of the kind.

    Attributes:
        name: lower-case with hyphens, written out (``cross-entropy``); encoders keep their upstream spelling.
        target: import string, called with keyword arguments only.
        summary: one line for tables.
        params: the target's parameters.
        aliases: common short forms of the name (``ce``); they resolve only when no component has that name.
        wants: context values that the core passes in (``num_classes``, ``spacing``, ...).
        dims: spatial dimensions that the component works in.
        tasks: tasks of a recipe that it serves; empty means any.
        needs: requirements (PEP 508) checked before the target is imported; ``extra`` is the extra of the
            plugin's distribution that installs them.
        licence: SPDX identifier of the code behind the target. citation: a DOI or reference.
        deprecated: None, or what to use instead and when it goes.
    """

    kind: ClassVar[str] = "component"

    name: str
    target: str
    summary: str
    params: Mapping[str, Param] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    dims: tuple[int, ...] = (2, 3)
    tasks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    extra: str = ""
    licence: str = ""
    citation: str = ""
    deprecated: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            message = f"component name {self.name!r} must match {_NAME.pattern}"
            raise ValueError(message)
        if not _TARGET.fullmatch(self.target):
            message = f"target {self.target!r} of {self.name!r} is not an import string 'module:attribute'"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class Architecture(Component):
    """A network ``(N, C, *S) -> (N, num_classes, *S)`` logits.

    Context: ``in_channels, num_classes, dims, encoder`` (an `EncoderChoice`). Input sizes must be multiples
    of ``divisor`` and at least ``min_size``. Where the parameters decide, ``sizes`` is the import string of a function
    ``(params, dims)`` that returns both for each axis, as ``[(divisor, least), ...]``, in their place.
    """

    kind = "architecture"

    encoder: str = "none"
    divisor: int = 16
    min_size: int = 32
    sizes: str = ""
    exports_onnx: bool = True
    export_rewrites: str | None = None


@dataclass(frozen=True)
class Weights:
    """Pretrained weights of an encoder: where they come from and under which licence."""

    source: str
    sha256: str = ""
    licence: str = ""
    in_channels: int = 3


@dataclass(frozen=True, kw_only=True)
class Encoder(Component):
    """A network that returns features, finest first, with ``out_channels`` and ``strides``.

    Inputs are planned with the last of ``strides``, or with ``sizes``, as those of an `Architecture`.
    Context: ``name, in_channels, depth, output_stride``.
    """

    kind = "encoder"

    strides: tuple[int, ...] = ()
    sizes: str = ""
    weights: Mapping[str, Weights] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Loss(Component):
    """A callable ``(output, target, valid=None) -> scalar``.

    ``inputs`` is ``logits`` (of a regression the values) or ``probabilities``. ``ignore`` says how voxels without a
    label reach it: ``mask`` (a bool tensor ``valid`` of the target's shape: ``(N, *S)``, binary ``(N, 1, *S)``,
    multilabel and regression ``(N, K, *S)``), ``index`` (-1 in the target) or ``none``. Context: ``task``,
    ``num_classes`` (classes, 2 for binary; channels K of multilabel and regression), ``ignore_index``,
    ``class_counts`` (labelled training voxels of each class in class order, or None where they are not known, as
    for multilabel and regression), ``offset`` and ``scale`` (of each channel of a regression on labels: they are
    offset + scale * target; empty where the target is what is learnt).
    """

    kind = "loss"

    inputs: str = "logits"
    ignore: str = "none"


@dataclass(frozen=True, kw_only=True)
class Metric(Component):
    """``update(prediction, target, valid) / compute() -> dict[str, float] / reset()``, numpy only.

    ``inputs`` says what ``prediction`` is. With ``classes`` and ``probabilities``, ``target`` (*S) holds class indices,
    -1 where there is none, and ``prediction`` is class indices (*S) or float probabilities (C, *S). In the task
    ``multilabel``, which has no class indices, both are probabilities (K, *S), and ``target`` (float in [0, 1]) and
    ``valid`` are (K, *S). With ``values``, which the task ``regression`` has, all three are (K, *S) too, of floats.
    With ``truth`` ``instances`` instead of ``target``, ``target`` (*S) holds ids of objects whatever the task's own
    target is made of: 0 for the background, -1 for none; ``valid`` is (*S).
    A ``streaming`` metric may be given any pieces of an image; one that is not gets a whole slice (H, W) or volume
    (Z, Y, X) with every update, in the validation of a 3D network one window of it (Z, Y, X). Context: ``classes``
    (names, in class order, or of the channels), ``spacing`` ((z, y, x) or None; a slice has its last two), ``task``
    (``instance`` where the ids of two volumes are compared).
    """

    kind = "metric"

    better: str = "higher"
    outputs: tuple[str, ...] = ()
    inputs: str = "classes"
    truth: str = "target"
    streaming: bool = True


@dataclass(frozen=True, kw_only=True)
class Reader(Component):
    """Opens files: ``target(**params).open(path, dataset, role) -> Source``, numpy only."""

    kind = "reader"

    suffixes: tuple[str, ...] = ()
    directories: bool = False
    lazy: bool = True


@dataclass(frozen=True, kw_only=True)
class Writer(Component):
    """Creates files: ``target(**params).create(path, arrays, attributes) -> Sink``."""

    kind = "writer"

    suffixes: tuple[str, ...] = ()
    directories: bool = False


@dataclass(frozen=True, kw_only=True)
class Merge(Component):
    """Combines the predictions of many views: ``start / add / result`` (see `MergeState`).

    ``state_bytes`` states the memory per voxel as an expression of ``classes``, for tables and the planner.
    ``any_order``: the result does not depend on the order of ``add``. ``gives``: what ``result`` can return, of
    ``labels``, ``confidence``, ``probabilities``, ``entropy``, ``variance`` and ``values``. Every head of a network has
    a merge of its own; one that serves ``multilabel`` gives ``probabilities`` there, for ``regression`` ``values``.
    Context: ``task``, ``views`` (names of the views, in the order of their numbers), ``classes`` (names, in class
    order) and ``wanted`` (the arrays that `result` will be asked for).
    """

    kind = "merge"

    streaming: bool = True
    any_order: bool = True
    state_bytes: str = ""
    gives: tuple[str, ...] = ("labels", "confidence")


@dataclass(frozen=True, kw_only=True)
class Augmentation(Component):
    """``augment(image (H, W, C) float32 in [0, 1], labels (H, W) int32, seed) -> (image, labels)``.

    Labels are class indices, -1 where there is none. The same seed gives the same draw. An object whose attribute
    ``turns`` is true turns square windows; the core then draws oblong windows in both orientations, and boxes of 3D
    networks in all that keep their shape, unless its attribute ``mirrors`` is false in those that are no mirror images.

    Boxes go to its method ``box(image (C, D, H, W) float32 in [0, 1], truth (K, D, H, W), seed, spacing=, thick=) ->
    (image, truth)``, before they are turned: axes are z, y, x, ``spacing`` is theirs or None, ``thick`` the number of
    the axis that differs from the others or None. Truth of integers is resampled to the nearest voxel and -1 where it
    is not known, floats linearly and NaN. Without such a method a box comes as an image whose channels are its planes,
    an even number of them, with the numbers of the pixels as labels: all its planes move as those do. Whatever depends
    on which class a pixel has must then declare ``dims=(2,)``.
    """

    kind = "augmentation"


@dataclass(frozen=True, kw_only=True)
class Target(Component):
    """Makes what a head learns of the labels of a window: ``target(ids (*S) int32) -> (K, *S) float32``, numpy arrays.

    ``ids`` are the augmented labels: -1 where there is none, 0 in the background, else numbers of objects (or classes).
    The object has ``names``, one for each of the K channels. NaN stands where the target is not known: where ids are
    -1, and wherever what is -1 or outside of the window might change it. What is made of a window equals what is made
    of the whole volume wherever it is not NaN. It is called in the data workers, for every window.
    ``tasks`` are ``multilabel`` (values in [0, 1]), ``regression`` or both. ``directed`` says that channels belong to
    directions of the window's axes, as affinities do: what mirrored or turned views give is then not merged.
    Context: ``spacing`` (of the window's axes, or None) and ``dims``.
    """

    kind = "target"

    directed: bool = False


@dataclass(frozen=True, kw_only=True)
class Generator(Component):
    """Makes synthetic volumes: ``target(**params).generate() -> Sample``."""

    kind = "generator"


@dataclass(frozen=True, kw_only=True)
class Postprocess(Component):
    """``postprocess(array) -> labels or instances (Z, Y, X)``: integers, 0 is the background; numpy only.

    ``takes`` says which arrays it can be given, the one it prefers first: ``labels`` (class indices) and ``instances``
    (numbers of objects), both integers (Z, Y, X), ``probabilities`` and ``values`` (of regression), both float32
    (K, Z, Y, X). ``gives`` is ``labels``, ``instances`` (from 1 on, in any order and with gaps) or ``same``: what it
    was given. What is given stays as it is. Steps form a chain: each takes what the one before it gives, the first one
    what the network gives.

    The object may have attributes that say how it can be called block by block; one without ``halo`` is called once
    with the whole volume. ``halo``: voxels of context that a block needs on each side, a number or (z, y, x), or None.
    ``overlap`` (0.5): an object of one block and one of its neighbour are the same where more than this share of the
    larger one has both numbers; 0 where one voxel is enough. A step with a halo that takes instances and gives them
    keeps their numbers. ``look(array)`` is called with every block, without a halo, before the first call: for what
    depends on the whole volume. ``channels``: the number of channels that it must be given, or None.

    Context: ``classes`` (names, in class order; empty where there are none), ``spacing`` ((z, y, x) or None) and
    ``taken``, which of ``takes`` it will be given.
    """

    kind = "postprocess"

    takes: tuple[str, ...] = ("labels",)
    gives: str = "labels"


@dataclass(frozen=True, kw_only=True)
class Runtime(Component):
    """Executes the network: ``run(batch: numpy float32 (N, C, *S)) -> logits (N, num_classes, *S)`` and two more.

    The object has ``device`` (a string), ``run``, whose logits are an array of any namespace (numpy, torch), and
    ``free_bytes()``: memory left on the device or None. Memory exhausted on the device is raised as MemoryError.
    Context: ``network`` (a function that builds the torch module with its weights loaded), ``model`` (path of the
    exported file or None), ``device`` (``auto``, ``cpu``, ``cuda``, ``tensorrt``) and ``threads`` (of the CPU).
    """

    kind = "runtime"


KINDS: dict[str, type[Component]] = {
    cls.kind: cls
    for cls in (
        Architecture,
        Encoder,
        Loss,
        Metric,
        Reader,
        Writer,
        Merge,
        Augmentation,
        Target,
        Generator,
        Postprocess,
        Runtime,
    )
}
"""Descriptor class of each kind."""
