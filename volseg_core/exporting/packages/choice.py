"""Which packages are wanted, checked before any work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from volseg_core.errors import DataError, UsageError
from volseg_core.exporting.vectors import FLOAT32, INT8

if TYPE_CHECKING:
    import os

    from volseg_core.model import ModelFile

BIOIMAGEIO, TRITON = "--bioimageio", "--triton"


@dataclass(frozen=True)
class Packages:
    """Where packages go: the ZIP file for bioimage.io, and the model's folder in a Triton repository."""

    bioimageio: Path | None = None
    triton: Path | None = None

    @classmethod
    def of(
        cls,
        output: Path,
        bioimageio: str | os.PathLike[str] | None,
        triton: str | os.PathLike[str] | None,
        precision: str = FLOAT32,
    ) -> Packages:
        """Return the packages of an exported file; its name, in letters that Triton takes, is that of the folder.

        Raises:
            UsageError: the package is no ZIP file, or holds integers. DataError: its folder does not exist.
        """
        package = None if bioimageio is None else Path(bioimageio)
        if package is not None and package.suffix.lower() != ".zip":
            raise UsageError(BIOIMAGEIO, f"{package.name} does not end in .zip")
        if package is not None and precision == INT8:
            what = "its test compares outputs to a hundredth, and integers differ by more from machine to machine"
            raise UsageError(BIOIMAGEIO, what, "Leave --int8 out, or use --fp16.")
        if package is not None and not package.parent.is_dir():
            raise DataError(str(package.parent), "does not exist")
        folder = None if triton is None else Path(triton) / re.sub(r"[^A-Za-z0-9_.-]", "_", output.stem)
        return cls(package, folder)

    def targets(self) -> list[tuple[Path, str]]:
        """Return what will be written, each with its option."""
        wanted = ((self.bioimageio, BIOIMAGEIO), (self.triton, TRITON))
        return [(path, option) for path, option in wanted if path is not None]

    def write(self, model: ModelFile) -> None:
        """Write them, each complete or absent.

        Raises:
            DataError: a folder cannot be written. ResourceError: the disk is full.
        """
        if self.bioimageio is not None:
            from volseg_core.exporting.packages.bioimageio import write_bioimageio

            write_bioimageio(model, self.bioimageio)
        if self.triton is not None:
            from volseg_core.exporting.packages.triton import write_triton

            write_triton(model, self.triton)
