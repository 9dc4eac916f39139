"""Test vectors: an input and what the trained network made of it, beside the exported file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, np.dtype[np.float32]]

SPATIAL = ("depth", "height", "width")
"""Names of an input's last dimensions; slices have no depth."""
FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"


@dataclass(frozen=True)
class Tolerance:
    """Largest difference of logits as a share of the largest |logit|, and least share of positions of equal class."""

    difference: float
    agreement: float

    def __str__(self) -> str:
        return f"{self.difference:g} and {self.agreement:.1%}"


TOLERANCES = {FLOAT32: Tolerance(1e-3, 0.999), FLOAT16: Tolerance(2e-2, 0.99), INT8: Tolerance(0.3, 0.9)}
"""How far a file of a precision may be from the trained network, on noise; what counts is the Dice that it loses."""


@dataclass(frozen=True)
class Vectors:
    """An input (N, C, *S) float32 and the network's logits (N, C, *S)."""

    image: Array
    logits: Array

    @property
    def sha256(self) -> str:
        """Checksum of both arrays, shapes included."""
        digest = hashlib.sha256()
        for array in (self.image, self.logits):
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Parity:
    """How near logits are to those of the trained network, at one input shape, in a file of some precision."""

    shape: tuple[int, ...]
    difference: float
    agreement: float
    precision: str = FLOAT32

    @property
    def tolerance(self) -> Tolerance:
        """What the precision allows."""
        return TOLERANCES[self.precision]

    @property
    def good(self) -> bool:
        """Whether both lie within what the precision allows."""
        return self.difference <= self.tolerance.difference and self.agreement >= self.tolerance.agreement

    def describe(self) -> str:
        """Return one line for people."""
        size = " x ".join(map(str, self.shape))
        return f"{size}: difference {self.difference:.1e} of the largest logit, same class at {self.agreement:.2%}"


def compare(shape: tuple[int, ...], found: Array, wanted: Array, precision: str = FLOAT32) -> Parity:
    """Return the parity of logits (N, C, *S); one channel has two classes, told apart by its sign.

    Shapes that differ and values that are not finite have no agreement at all.
    """
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return Parity(shape, float("inf"), 0.0, precision)
    difference = float(np.abs(found - wanted).max() / max(float(np.abs(wanted).max()), 1e-12))
    one, other = ((array[:, 0] > 0) if array.shape[1] == 1 else array.argmax(1) for array in (found, wanted))
    return Parity(shape, difference, float((one == other).mean()), precision)


def vectors_path(model: Path) -> Path:
    """Return where the test vectors of a model file stand: ``STEM.vectors.npz``."""
    return model.with_name(f"{model.stem}.vectors.npz")


def write_vectors(vectors: Vectors, path: Path) -> None:
    """Write them under a temporary name and rename."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        with part.open("wb") as file:
            np.savez(file, image=vectors.image, logits=vectors.logits)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_vectors(path: Path, sha256: str) -> Vectors:
    """Read them; no pickle in them is loaded.

    Raises:
        DataError: missing, damaged, or not those that the model was written with.
    """
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as content:
            vectors = Vectors(content["image"], content["logits"])
    except FileNotFoundError:
        raise DataError(str(path), "does not exist; it stands beside an exported model", "Export again.") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(str(path), f"is damaged ({type(error).__name__})", "Export again.") from None
    if vectors.sha256 != sha256:
        raise DataError(str(path), "has another checksum than the model states", "Export again, or copy both files.")
    return vectors
