"""NumPy output: one .npy file per array, or one .npz file."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_formats.layout import nbytes
from volseg_formats.metadata import kept, write_record
from volseg_formats.sink import StagedSink, checked_specs
from volseg_formats.staging import Staging, reserve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.api import ArraySpec

_COPY = 2**20  # bytes copied at a time into an archive


class NumpyWriter:
    """Create memory-mapped .npy files, or a .npz file whose members are stored without compression.

    Attributes go into a JSON file beside the array: ``labels.npy.json`` for ``labels.npy``.
    """

    def create(self, path: Path, arrays: Mapping[str, ArraySpec], attributes: Mapping[str, Any]) -> StagedSink:
        """Return a sink for boxes in any order.

        The first array becomes ``path``, another ``STEM_NAME.npy``; a path ending in .npz holds all as members.

        Raises:
            DataError: the folder cannot be written. ResourceError: the disk is full.

        """
        specs = checked_specs(path, arrays)
        staging = Staging(path)
        archive = path.suffix.lower() == ".npz"
        record = kept(attributes)
        with staging.guard():
            size = sum(nbytes(spec.shape, spec.dtype) for spec in specs.values())
            staging.check_space(2 * size if archive else size)
            if archive:
                output = staging.output(path)
                names = {name: staging.scratch(path.with_name(f"{path.name}.{name}")) for name in specs}
                _sidecar(staging, path, record, {name: spec.axes for name, spec in specs.items()})
            else:
                finals = {name: sibling(path, name, first=not at) for at, name in enumerate(specs)}
                names = {name: staging.output(final) for name, final in finals.items()}
                for name, final in finals.items():
                    _sidecar(staging, final, record, specs[name].axes)
            maps = {name: _create(names[name], spec) for name, spec in specs.items()}

        def finish() -> None:
            for values in maps.values():
                values.flush()
            maps.clear()
            if archive:
                _pack(output, names)

        return StagedSink(staging, specs, dict(maps), finish=finish)


def sibling(path: Path, name: str, *, first: bool) -> Path:
    """Return the file of an array: ``path`` for the first, ``STEM_NAME.SUFFIX`` for another."""
    return path if first else path.with_name(f"{path.stem}_{name}{path.suffix}")


def _create(path: Path, spec: ArraySpec) -> np.memmap[Any, Any]:
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(spec.dtype), shape=tuple(spec.shape))
    reserve(path)
    return values


def _sidecar(staging: Staging, final: Path, record: Mapping[str, Any], axes: str | Mapping[str, str]) -> None:
    """Write the attributes; none are needed when there are none, unless those of an older output would stay."""
    beside = final.with_name(final.name + ".json")
    if record or beside.exists():
        write_record(staging.output(beside), {"axes": axes, **record})


def _pack(output: Path, members: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, path in members.items():
            with path.open("rb") as source, archive.open(f"{name}.npy", "w", force_zip64=True) as target:
                while block := source.read(_COPY):
                    target.write(block)
