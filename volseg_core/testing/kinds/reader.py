"""Rules of readers."""

from __future__ import annotations

import os
import tempfile
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import VolsegError
from volseg_core.testing import files
from volseg_core.testing.alone import without_torch
from volseg_core.testing.findings import NotGivenError, rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "reader",
    works=("A reader opens a file with open(path, dataset=..., role=...), as data and as labels", "Mend it."),
    source=(
        "A source says truly what it holds: shape, dtype, axes, spacing, unit, dataset and attributes",
        "Set what volseg_core.api.Source lists; axes are letters of czyxn, y and x among them.",
    ),
    full=("Reading the whole box gives an array of the shape and dtype of the source", "Convert before returning."),
    written=(
        "A reader gives back the values and the spacing that the writer of its suffix wrote",
        "Compare the order of axes, the type, and the order of the spacing (z, y, x).",
    ),
    slices=("read() of slices is that slice of the whole", "Check the offsets of every axis."),
    own=("An array that was read belongs to the caller", "Return a copy of what is kept or mapped."),
    close=("close() releases the file, and a second call does nothing", "Keep the handle and close it once."),
    lazy=(
        "A reader that declares lazy=True reads no more than the box that is asked for",
        "Map the file or read its chunks, or declare lazy=False.",
    ),
    dataset=(
        "A dataset that the file does not have is refused with a VolsegError",
        "Raise DataError with the names that there are, also where a format knows no datasets.",
    ),
    absent=("A file that does not exist is refused with a VolsegError", "Raise DataError(str(path), what, hint)."),
    foreign=(
        "A file of another format is refused with a VolsegError",
        "Turn the library's exceptions into DataError(str(path), what, hint).",
    ),
    damaged=(
        "A file that is cut off is refused with a VolsegError when it is opened or read",
        "Compare its size with what its header promises, and turn exceptions into DataError.",
    ),
    torch_free=(
        "A reader works where torch is not installed",
        "Use numpy; files are read in environments without torch.",
    ),
)

_SMALL, _LARGE = (5, 6, 7), (48, 160, 160)
_SHARE = 4


def examine(trial: Trial, found: Findings) -> None:
    """Open the sample, or a file that a writer of the same suffix makes, for each suffix."""
    with tempfile.TemporaryDirectory() as folder:
        for number, suffix in enumerate(files.suffixes(trial.component)):
            place = Path(folder) / str(number)
            place.mkdir()
            stored = _stored(trial, place / f"small{suffix}", _SMALL)
            if stored is None:
                raise NotGivenError("sample", f"there is none, and no writer of {suffix or 'folders'!r}")
            with found.trying("works", f"of {stored.path.name}"):
                Examination(trial, found, stored, place).run()
            if trial.sample is not None:
                break
    if not found.broken:
        found.broke_if("torch-free", without_torch(trial))


def _stored(trial: Trial, path: Path, shape: tuple[int, ...]) -> files.Stored | None:
    if trial.sample is not None:
        return files.Stored(trial.sample)
    values = files.numbers(shape)
    written = files.write(trial, path, values)
    return None if written is None else files.Stored(written, values)


@dataclass(frozen=True)
class Examination:
    """One reader on files of one suffix."""

    trial: Trial
    found: Findings
    stored: files.Stored
    folder: Path

    def run(self) -> None:
        """Apply every rule."""
        source = self._open()
        if not self._describes(source):
            return
        self._reads(source)
        self._closes(source)
        self._open(role="labels").close()
        if self.trial.component.lazy:
            self._lazy()
        self._refusals()

    def _open(self, path: Path | None = None, dataset: str = "", role: str = "data") -> Any:
        return self.trial.build().open(path or self.stored.path, dataset=dataset, role=role)

    def _describes(self, source: Any) -> bool:
        seen = ""
        shape, axes, spacing = source.shape, source.axes, source.spacing
        if not (isinstance(shape, tuple) and all(type(size) is int for size in shape)):
            seen = f"shape is {shape!r}, not a tuple of int"
        elif not (isinstance(source.dtype, np.dtype) and source.dtype.kind in "biuf"):
            seen = f"dtype is {source.dtype!r}, not a numpy.dtype of numbers"
        elif not (set("yx") <= set(axes) <= set("czyxn") and len(set(axes)) == len(axes) == len(shape)):
            seen = f"axes is {axes!r} of {len(shape)} dimensions"
        elif spacing is not None and not (len(spacing) == len("zyx") and all(size > 0 for size in spacing)):
            seen = f"spacing is {spacing!r}"
        elif not (isinstance(source.unit, str) and isinstance(source.dataset, str)):
            seen = f"unit is {source.unit!r} and dataset {source.dataset!r}"
        elif not hasattr(source.attributes, "items"):
            seen = f"attributes is {type(source.attributes).__name__}, not a mapping"
        self.found.broke_if("source", seen)
        return not seen

    def _reads(self, source: Any) -> None:
        full = source.read(files.whole(source))
        if not isinstance(full, np.ndarray) or full.shape != source.shape or full.dtype != source.dtype:
            what = f"{getattr(full, 'dtype', type(full).__name__)} {getattr(full, 'shape', '')}"
            self.found.broke("full", f"{what} is read of a source of {source.dtype} {source.shape}")
            return
        self._as_written(source, full)
        for box in self._boxes(full.shape):
            if not np.array_equal(source.read(box), full[box]):
                self.found.broke("slices", f"the box {box} is not")
                break
        if full.flags.writeable:
            before = full.copy()
            full[...] = 0
            if not np.array_equal(source.read(files.whole(source)), before):
                self.found.broke("own", "writing to it changes what is read next")

    def _as_written(self, source: Any, full: Any) -> None:
        values = self.stored.values
        if values is None:
            return
        if full.squeeze().shape != values.squeeze().shape or not np.array_equal(full.squeeze(), values.squeeze()):
            self.found.broke("written", f"{self.stored.path.name} holds {values.shape}, and others come back")
        if source.spacing is not None and not np.allclose(source.spacing, files.SPACING, rtol=1e-3):
            self.found.broke("written", f"the spacing {files.SPACING} comes back as {tuple(source.spacing)}")

    @staticmethod
    def _boxes(shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
        middle = tuple(slice(size // 3, max(size // 3 + 1, size - 1)) for size in shape)
        planes = [
            tuple(
                slice(size // 2, size // 2 + 1) if axis == chosen else slice(0, size) for axis, size in enumerate(shape)
            )
            for chosen in range(len(shape))
        ]
        return [middle, *planes]

    def _closes(self, source: Any) -> None:
        with self.found.trying("close", "twice"):
            source.close()
            source.close()
        held = [target for target in _open_files() if target.startswith(str(self.stored.path.resolve()))]
        if held:
            self.found.broke("close", f"{Path(held[0]).name} is still open after it")

    def _lazy(self) -> None:
        large = _stored(self.trial, self.folder / f"large{self.stored.path.suffix}", _LARGE)
        if large is None or (self.stored.values is None and _megabytes(self._open()) < 1):
            return
        tracemalloc.start()
        try:
            source = self._open(large.path)
            axis = source.axes.index("z") if "z" in source.axes else 0
            box = list(files.whole(source))
            box[axis] = slice(0, 1)
            source.read(tuple(box))
            peak = tracemalloc.get_traced_memory()[1] / 2**20
        finally:
            tracemalloc.stop()
        size = _megabytes(source)
        source.close()
        if peak > size / _SHARE:
            self.found.broke("lazy", f"one plane of {size:.1f} MiB takes {peak:.1f} MiB")

    def _refusals(self) -> None:
        path = self.stored.path
        self._refused("dataset", lambda: self._open(dataset="/no/such/dataset"), "it is opened all the same")
        self._refused("absent", lambda: self._open(path.with_name(f"absent{path.suffix}")), "it is opened all the same")
        foreign = self.folder / f"foreign{path.suffix}"
        if path.is_dir():
            foreign.mkdir()
            (foreign / "notes.txt").write_text("no volume", encoding="utf-8")
        else:
            foreign.write_bytes(b"no volume at all\n" * 64)
        self._refused("foreign", lambda: self._read_all(foreign), "it is read all the same")
        if path.is_file():
            content = path.read_bytes()
            cut = self.folder / f"cut{path.suffix}"
            cut.write_bytes(content[: len(content) // 2])
            self._refused("damaged", lambda: self._read_all(cut), "half of it is read all the same")

    def _read_all(self, path: Path) -> None:
        source = self._open(path)
        source.read(files.whole(source))
        source.close()

    def _refused(self, rule: str, action: Callable[[], Any], otherwise: str) -> None:
        try:
            action()
        except VolsegError:
            return
        except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
            self.found.broke(rule, f"it raises {type(error).__name__}: {error}")
        else:
            self.found.broke(rule, otherwise)


def _megabytes(source: Any) -> float:
    return float(np.prod(source.shape) * np.dtype(source.dtype).itemsize / 2**20)


def _open_files() -> list[str]:
    """Return the files that this process holds open, as far as the system tells."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return []
    found = []
    for link in folder.iterdir():
        try:
            found.append(os.readlink(link))  # noqa: PTH115  (readlink of what may just have gone)
        except OSError:
            continue
    return found
