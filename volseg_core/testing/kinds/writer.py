"""Rules of writers."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import VolsegError
from volseg_core.testing import files
from volseg_core.testing.alone import without_torch
from volseg_core.testing.findings import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.testing.findings import Findings
    from volseg_core.testing.trial import Trial

RULES = rules(
    "writer",
    works=("A writer makes a file of one array and of several, box by box", "Mend it."),
    hidden=(
        "Nothing is visible before commit()",
        "Write to hidden temporary files in the same folder and rename them in commit().",
    ),
    paths=("paths are the files that are there after commit()", "List the final names of all that is written."),
    leftovers=(
        "After commit() the folder holds the files of paths and what belongs beside them, and nothing temporary",
        "Remove what was needed while writing.",
    ),
    abort=(
        "An output that is aborted or left by an exception leaves nothing behind",
        "Remove every temporary file in abort(), and call it in __exit__ unless committed.",
    ),
    abort_after=("abort() after commit() does nothing", "Remember that the output was committed."),
    replaced=(
        "An older file stays as it was until commit() replaces it",
        "Write beside it and rename in commit().",
    ),
    round_trip=(
        "The reader of its suffix gives back the values, the spacing and the unit",
        "Write all of them; the spacing is (z, y, x).",
    ),
    any_order=("Boxes may come in any order", "Write each to its place, and append nothing."),
    unknown=(
        "An array that was not declared, and a box outside of the array, are refused with a VolsegError",
        "Check the name and the box in write().",
    ),
    folder=(
        "A folder that cannot be made is refused with a VolsegError",
        "Turn OSError into DataError(str(path), what, hint) in create().",
    ),
    torch_free=(
        "A writer works where torch is not installed",
        "Use numpy; predictions are written in environments without torch.",
    ),
)

_SHAPE = (5, 6, 7)


class _MishapError(Exception):
    """What goes wrong while a file is written."""


def examine(trial: Trial, found: Findings) -> None:
    """Write small volumes, for each suffix."""
    for suffix in files.suffixes(trial.component):
        with tempfile.TemporaryDirectory() as folder, found.trying("works", f"of {suffix or 'folders'!r}"):
            Examination(trial, found, Path(folder), f"out{suffix}").run()
    if not found.broken:
        found.broke_if("torch-free", without_torch(trial))


@dataclass(frozen=True)
class Examination:
    """One writer on one suffix."""

    trial: Trial
    found: Findings
    folder: Path
    name: str

    def run(self) -> None:
        """Apply every rule, each in a folder of its own."""
        for rule in (
            self._commits, self._round_trip, self._aborts, self._aborts_after, self._replaces, self._any_order,
            self._refuses,
        ):  # fmt: skip
            place = self.folder / rule.__name__
            place.mkdir()
            rule(place / self.name)
        file = self.folder / "file"
        file.touch()
        self._refused("folder", lambda: self._create(file / self.name), "a file as the folder")

    def _create(self, path: Path, *names: str) -> Any:
        spec = files.spec(files.numbers(_SHAPE))
        attributes = {"spacing": files.SPACING, "unit": files.UNIT, "classes": [{"id": 0, "name": "background"}]}
        return self.trial.build().create(path, dict.fromkeys(names or (files.NAME,), spec), attributes)

    @staticmethod
    def _fill(sink: Any, values: Any, name: str = files.NAME) -> None:
        for z in range(len(values)):
            sink.write(name, (slice(z, z + 1), *files.whole(values)[1:]), values[z : z + 1])

    def _commits(self, path: Path) -> None:
        values = files.numbers(_SHAPE)
        with self._create(path, files.NAME, "confidence") as sink:
            self._fill(sink, values)
            self._fill(sink, values, "confidence")
            seen = sorted(item.name for item in path.parent.glob("[!.]*"))
            if seen:
                self.found.broke("hidden", f"{seen[0]} is there while it is written")
            sink.commit()
        absent = [each for each in sink.paths if not Path(each).exists()]
        if absent or not sink.paths:
            seen_paths = f"{Path(absent[0]).name} is not there" if absent else "there are none"
            self.found.broke("paths", seen_paths)
        hidden = sorted(item.name for item in path.parent.glob(".*"))
        if hidden:
            self.found.broke("leftovers", f"{hidden[0]} is still there")

    def _written(self, path: Path, values: Any) -> Any:
        with self._create(path) as sink:
            self._fill(sink, values)
            sink.commit()
        return sink

    def _read(self, path: Path) -> Any:
        """Return the values, the spacing and the unit of a file; None where no reader takes it."""
        provided = files.partner(self.trial, "reader", path.suffix)
        if provided is None:
            return None
        source = files.build(self.trial, provided).open(path, dataset="", role="labels")
        try:
            return source.read(files.whole(source)), source.spacing, source.unit
        finally:
            source.close()

    def _round_trip(self, path: Path) -> None:
        values = files.numbers(_SHAPE)
        self._written(path, values)
        with self.found.trying("round-trip", "opened"):
            read = self._read(path)
            if read is None:
                return
            if not np.array_equal(read[0], values):
                self.found.broke("round-trip", f"of {path.name} other values come back")
            elif read[1] is None or not np.allclose(read[1], files.SPACING, rtol=1e-3):
                self.found.broke("round-trip", f"of {path.name} the spacing {files.SPACING} comes back as {read[1]}")
            elif read[2] != files.UNIT:
                self.found.broke("round-trip", f"of {path.name} the unit {files.UNIT!r} comes back as {read[2]!r}")

    def _aborts(self, path: Path) -> None:
        values = files.numbers(_SHAPE)
        with self.found.trying("abort", "called in the middle"):
            sink = self._create(path)
            sink.write(files.NAME, files.whole(values), values)
            sink.abort()
            self._nothing_in(path.parent, "abort()")
            with suppress(_MishapError), self._create(path) as sink:
                self._fail(sink, values)
            self._nothing_in(path.parent, "an exception")
            with self._create(path) as sink:
                sink.write(files.NAME, files.whole(values), values)
            self._nothing_in(path.parent, "a block without commit()")

    @staticmethod
    def _fail(sink: Any, values: Any) -> None:
        sink.write(files.NAME, files.whole(values), values)
        raise _MishapError

    def _nothing_in(self, folder: Path, after: str) -> None:
        left = sorted(item.name for item in folder.iterdir())
        if left:
            self.found.broke("abort", f"{left[0]} is there after {after}")

    def _aborts_after(self, path: Path) -> None:
        with self.found.trying("abort-after", "called"):
            sink = self._written(path, files.numbers(_SHAPE))
            before = _content(path.parent)
            sink.abort()
            if _content(path.parent) != before:
                self.found.broke("abort-after", "it removes the output")

    def _replaces(self, path: Path) -> None:
        self._written(path, files.numbers(_SHAPE))
        before = _content(path.parent)
        with self._create(path) as sink:
            self._fill(sink, files.numbers(_SHAPE) + 1)
            if not before.items() <= _content(path.parent).items():
                self.found.broke("replaced", "it changes while the new one is written")
        if not before.items() <= _content(path.parent).items():
            self.found.broke("replaced", "it is not the same after the new one was abandoned")

    def _any_order(self, path: Path) -> None:
        values = files.numbers(_SHAPE)
        boxes = [
            (slice(z, z + 1), *rest)
            for z in range(len(values))
            for rest in ((slice(0, 3), slice(0, 7)), (slice(3, 6), slice(0, 4)), (slice(3, 6), slice(4, 7)))
        ]
        with self.found.trying("any-order", "written backwards"):
            with self._create(path) as sink:
                for box in reversed(boxes):
                    sink.write(files.NAME, box, values[box])
                sink.commit()
            read = self._read(path)
            if read is not None and not np.array_equal(read[0], values):
                self.found.broke("any-order", "written backwards other values come back")

    def _refuses(self, path: Path) -> None:
        values = files.numbers(_SHAPE)
        with self._create(path) as sink:
            self._refused("unknown", lambda: sink.write("other", files.whole(values), values), "an undeclared array")
            outside = (slice(4, 9), *files.whole(values)[1:])
            self._refused("unknown", lambda: sink.write(files.NAME, outside, values), "a box outside")

    def _refused(self, rule: str, action: Callable[[], Any], what: str) -> None:
        try:
            action()
        except VolsegError:
            return
        except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
            self.found.broke(rule, f"{what} raises {type(error).__name__}: {error}")
        else:
            self.found.broke(rule, f"{what} is taken")


def _content(folder: Path) -> dict[str, bytes]:
    """Return the visible files below a folder with their bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
