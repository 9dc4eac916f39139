"""TIFF output: one file per array."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from volseg_formats.layout import nbytes
from volseg_formats.metadata import kept
from volseg_formats.numpy_writer import sibling
from volseg_formats.sink import StagedSink, checked_specs, stored_dtype
from volseg_formats.slices_writer import create_scratch
from volseg_formats.staging import Staging, reserve
from volseg_formats.tiff_metadata import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.api import ArraySpec

_CLASSIC = 2**32 - 2**25  # bytes of voxels in a classic TIFF, with room for its tags
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")


class TiffWriter:
    """Create TIFF files that Fiji opens with their spacing where their type and size allow it.

    Without compression boxes go straight into the memory-mapped output, in any order. With zlib they are collected
    in a working file on the same disk and compressed plane by plane at the end.
    """

    def __init__(self, *, compression: str = "none") -> None:
        self.compression = compression

    def create(self, path: Path, arrays: Mapping[str, ArraySpec], attributes: Mapping[str, Any]) -> StagedSink:
        """Return a sink; the first array becomes ``path``, another ``STEM_NAME.tif``.

        Raises:
            DataError: the folder cannot be written. ResourceError: the disk is full.

        """
        specs = checked_specs(path, arrays)
        packed = self.compression != "none"
        forms = {name: form_of(spec, attributes, packed=packed) for name, spec in specs.items()}
        staging = Staging(path)
        with staging.guard():
            size = sum(nbytes(spec.shape, stored_dtype(spec)) for spec in specs.values())
            staging.check_space(size)
            finals = {name: sibling(path, name, first=not at) for at, name in enumerate(specs)}
            outputs = {name: staging.output(final) for name, final in finals.items()}
            if packed:
                maps = {name: create_scratch(staging.scratch(finals[name]), spec) for name, spec in specs.items()}
            else:
                maps = {name: _create(outputs[name], form) for name, form in forms.items()}

        def finish() -> None:
            for name, form in forms.items():
                values = maps.pop(name)
                values.flush()
                if packed:
                    _compress(outputs[name], form, values)

        views = {name: forms[name].view(values) for name, values in maps.items()}
        return StagedSink(staging, specs, views, finish=finish)


@dataclass(frozen=True)
class Form:
    """How an array is stored: ImageJ's layout (czyx as zcyx) or plain pages, classic or BigTIFF."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    swapped: bool
    options: Mapping[str, Any]

    def view(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the stored array in the order of dimensions in which boxes are written."""
        return values.swapaxes(0, 1) if self.swapped else values


def form_of(spec: ArraySpec, attributes: Mapping[str, Any], *, packed: bool = False) -> Form:
    """Return the layout for an array; ImageJ takes uint8, uint16 and float32 below 4 GB, uncompressed."""
    dtype = stored_dtype(spec)
    size = nbytes(spec.shape, dtype)
    imagej = not packed and dtype.name in _IMAGEJ_TYPES and size < _CLASSIC and spec.axes in ("zyx", "czyx")
    swapped = imagej and spec.axes == "czyx"
    shape, axes = tuple(spec.shape), spec.axes
    if swapped:
        shape, axes = (shape[1], shape[0], *shape[2:]), "zcyx"
    values = kept(attributes)
    record = {"axes": axes, "shape": list(shape), **values}
    metadata: dict[str, Any] = {"axes": axes.upper(), RECORD: json.dumps(record) if imagej else record}
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": metadata}
    spacing = values.get("spacing")
    if imagej:
        options["imagej"] = True
        metadata |= {"unit": values["unit"]} if values.get("unit") else {}
        if spacing:
            metadata["spacing"] = spacing[0]
            options["resolution"] = (1 / spacing[2], 1 / spacing[1])
    else:
        options["bigtiff"] = size >= _CLASSIC
    return Form(shape, dtype, swapped, options)


def _create(path: Path, form: Form) -> np.memmap[Any, Any]:
    values: np.memmap[Any, Any] = tifffile.memmap(path, shape=form.shape, dtype=form.dtype, **form.options)
    reserve(path)
    return values


def _compress(path: Path, form: Form, values: np.ndarray[Any, Any]) -> None:
    options = dict(form.options)
    planes: Any = (np.ascontiguousarray(plane) for plane in values.reshape(-1, *form.shape[-2:]))
    if form.shape[-1] == 1:  # tifffile takes the last of such dimensions for samples, and its pages are not ours
        planes = values
    with tifffile.TiffWriter(path, bigtiff=options.pop("bigtiff")) as writer:
        writer.write(planes, shape=form.shape, dtype=form.dtype, compression="zlib", maxworkers=1, **options)
