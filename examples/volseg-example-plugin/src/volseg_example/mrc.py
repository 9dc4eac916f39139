"""Reading MRC files."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np

from volseg_core.api import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_AXES = {2: "yx", 3: "zyx"}
_REAL = "biuf"


class MrcReader:
    """Open MRC2014 and CCP4 files, ``(Z, Y, X)`` or ``(Y, X)``, with the voxel size of the header in angstrom.

    The file is mapped into memory, so that only what is read is loaded. A stack of images, such as a tilt series, is
    read as independent images. Headers that depart from the standard are read where their meaning is clear.
    """

    def open(self, path: Path, dataset: str = "", role: str = "data") -> MrcSource:  # noqa: ARG002  (the contract's)
        """Return the volume; none of its voxels is read yet.

        Raises:
            DataError: the file is missing, no MRC file, truncated, compressed, or holds complex numbers or a stack of
                volumes; or a dataset is named.
        """
        where = str(path)
        if dataset:
            raise DataError(where, f"holds one volume; there is no {dataset!r} in it")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # departures from the standard that do not matter here
                file = mrcfile.mmap(path, mode="r", permissive=True)
        except OSError as error:
            raise DataError(where, f"cannot be read ({error.strerror or error})") from None
        except (ValueError, TypeError) as error:
            raise DataError(where, f"is not an MRC file ({error})") from None
        if file.data is None:
            file.close()
            raise DataError(
                where, "is not an MRC file, is compressed, or is truncated: its header does not fit its size"
            )
        if file.data.dtype.kind not in _REAL or file.data.ndim not in _AXES:
            kind, dimensions = file.data.dtype, file.data.ndim
            file.close()
            raise DataError(where, f"holds {kind} in {dimensions} dimensions; volseg takes volumes of real numbers")
        return MrcSource(file)


class MrcSource:
    """An opened MRC file (`volseg_core.api.Source`)."""

    def __init__(self, file: Any) -> None:
        voxel = file.voxel_size
        edges = float(voxel.z), float(voxel.y), float(voxel.x)
        self.shape: tuple[int, ...] = file.data.shape
        self.dtype: np.dtype[Any] = file.data.dtype.newbyteorder("=")
        self.axes = "nyx" if file.data.ndim == 3 and file.is_image_stack() else _AXES[file.data.ndim]  # noqa: PLR2004
        self.spacing: tuple[float, float, float] | None = edges if min(edges) > 0 else None
        self.unit = "angstrom" if self.spacing else ""
        self.dataset = ""
        self.attributes: Mapping[str, Any] = {"labels": [str(label) for label in file.get_labels()]}
        self._file = file

    def read(self, slices: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        """Return a box, one slice of step 1 for each dimension, as an array of its own."""
        return np.array(self._file.data[slices], dtype=self.dtype, order="C")

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._file.close()
