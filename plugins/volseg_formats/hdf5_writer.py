"""HDF5 output: one file, one compressed dataset per array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from volseg_core.volume import CHUNK
from volseg_formats.metadata import kept, to_text
from volseg_formats.sink import StagedSink, checked_specs
from volseg_formats.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.api import ArraySpec
    from volseg_formats.layout import Box

_CACHE = 16 * 2**20  # bytes of chunks kept open, so that small boxes beside one another do not compress a chunk twice
_FILTERS: dict[str, dict[str, Any]] = {
    "gzip": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "lzf": {"compression": "lzf", "shuffle": True},
    "none": {},
}


class Hdf5Writer:
    """Create an HDF5 file with a dataset per array; every dataset carries all attributes."""

    def __init__(self, *, compression: str = "gzip") -> None:
        self.compression = compression

    def create(self, path: Path, arrays: Mapping[str, ArraySpec], attributes: Mapping[str, Any]) -> StagedSink:
        """Return a sink for boxes in any order; it becomes ``path`` when committed.

        Raises:
            DataError: the folder cannot be written. ResourceError: the disk is full.

        """
        specs = checked_specs(path, arrays)
        staging = Staging(path)
        with staging.guard():
            # v108: attributes above 64 kB (a recipe), still read by every HDF5 library since 2008
            output = Output(staging.output(path))
            file = h5py.File(output, "w", libver=("v108", "latest"), rdcc_nbytes=_CACHE)
            made = {name: self._dataset(file, name, spec, attributes) for name, spec in specs.items()}
            output.check()

        def release() -> None:
            file.close()
            output.close()

        def finish() -> None:
            release()
            output.check()

        checked = {name: _Checked(dataset, output) for name, dataset in made.items()}
        return StagedSink(staging, specs, checked, finish=finish, release=release)

    def _dataset(self, file: h5py.File, name: str, spec: ArraySpec, attributes: Mapping[str, Any]) -> h5py.Dataset:
        chunks = tuple(
            1 if axis in "cn" else min(size, CHUNK) for axis, size in zip(spec.axes, spec.shape, strict=True)
        )
        made = file.create_dataset(
            name, shape=spec.shape, dtype=np.dtype(spec.dtype), chunks=chunks, **_FILTERS[self.compression]
        )
        made.attrs["axes"] = spec.axes
        for key, value in kept(attributes).items():
            made.attrs[key] = np.asarray(value, dtype=float) if key == "spacing" else to_text(value)
        return made


class Output:
    """A file whose writes never fail towards HDF5, which crashes the process when it closes a file on a full disk.

    The first error is kept for `check` and what follows is dropped: the file is void from then on.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._error: OSError | None = None
        self.seek = self._file.seek
        self.tell = self._file.tell
        self.read = self._file.read
        self.readinto = self._file.readinto

    def write(self, data: memoryview) -> int:
        """Write all of ``data``."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self._error is None and done < len(view):
                done += self._file.write(view[done:]) or 0
        except OSError as error:
            self._error = error
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the size of the file."""
        try:
            if self._error is None:
                self._file.truncate(size)
        except OSError as error:
            self._error = error
        return size

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def check(self) -> None:
        """Raise the first error."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()


class _Checked:
    """A dataset that says when its file could not take the values."""

    def __init__(self, dataset: h5py.Dataset, output: Output) -> None:
        self._dataset = dataset
        self._output = output

    def __setitem__(self, box: Box, values: np.ndarray[Any, Any]) -> None:
        self._dataset[box] = values
        self._output.check()
