"""A right writer of raw files, a reader that is its partner, and for each rule a writer that breaks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from volseg_core.api import DataError, Reader, Writer

HEADER = 256


def described(target: str, summary: str) -> Writer:
    return Writer(name=target.lower(), target=f"writer:{target}", summary=summary, suffixes=(".acme",), licence="MIT")


PARTNERS = (Reader(name="acme", target="writer:AcmeReader", summary="raw files", suffixes=(".acme",), licence="MIT"),)


class AcmeReader:
    def open(self, path: Path, dataset: str = "", role: str = "data") -> Any:
        return AcmeSource(path)


class AcmeSource:
    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        header = json.loads(content[:HEADER])
        self.values = np.frombuffer(content[HEADER:], header["dtype"]).reshape(header["shape"])
        self.shape, self.spacing, self.unit = self.values.shape, tuple(header["spacing"]), header["unit"]

    def read(self, slices: Any) -> Any:
        return self.values[slices]

    def close(self) -> None:
        pass


class AcmeSink:
    """Keeps arrays in memory, and writes them beside the final names before it renames them."""

    def __init__(self, path: Path, arrays: Any, attributes: Any) -> None:
        self.attributes, self.done = attributes, False
        self.arrays = {name: np.zeros(spec.shape, spec.dtype) for name, spec in arrays.items()}
        names = [path, *(path.with_name(f"{path.stem}_{name}{path.suffix}") for name in list(arrays)[1:])]
        self.paths = names
        self.parts = [name.with_name(f".{name.name}.part") for name in names]
        for part in self.parts:
            part.touch()

    def write(self, name: str, slices: Any, values: Any) -> None:
        if name not in self.arrays:
            raise DataError("acme", f"no array {name!r} was declared")
        if self.arrays[name][slices].shape != values.shape:
            raise DataError("acme", "the box leaves the array")
        self.arrays[name][slices] = values

    def content(self, values: Any) -> bytes:
        attributes = self.attributes
        header = {"shape": values.shape, "dtype": values.dtype.name, "spacing": attributes["spacing"]}
        return json.dumps({**header, "unit": attributes["unit"]}).encode().ljust(HEADER) + values.tobytes()

    def commit(self) -> None:
        for part, path, values in zip(self.parts, self.paths, self.arrays.values(), strict=True):
            part.write_bytes(self.content(values))
            part.replace(path)
        self.done = True

    def abort(self) -> None:
        if not self.done:
            for part in self.parts:
                part.unlink(missing_ok=True)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


class Right:
    Sink: Any = AcmeSink

    def create(self, path: Path, arrays: Any, attributes: Any) -> Any:
        try:
            return self.Sink(path, arrays, attributes)
        except OSError as error:
            raise DataError(str(path), f"cannot be written ({error.strerror})") from None


class OneArray(Right):
    def create(self, path: Path, arrays: Any, attributes: Any) -> Any:
        (name,) = arrays
        return super().create(path, {name: arrays[name]}, attributes)


class VisibleParts(Right):
    class Sink(AcmeSink):
        def __init__(self, path: Path, arrays: Any, attributes: Any) -> None:
            super().__init__(path, arrays, attributes)
            self.parts = [part.rename(part.with_name(f"{part.name[1:]}")) for part in self.parts]


class WrongNames(Right):
    class Sink(AcmeSink):
        def commit(self) -> None:
            super().commit()
            self.paths = [path.with_suffix(".vol") for path in self.paths]


class KeepsParts(Right):
    class Sink(AcmeSink):
        def commit(self) -> None:
            super().commit()
            self.parts[0].touch()


class NoExit(Right):
    class Sink(AcmeSink):
        def __exit__(self, *_: object) -> None:
            pass


class AbortsAlways(Right):
    class Sink(AcmeSink):
        def abort(self) -> None:
            super().abort()
            if self.done:
                for path in self.paths:
                    path.unlink(missing_ok=True)

        def __exit__(self, *_: object) -> None:
            super().abort()


class RemovesFirst(Right):
    class Sink(AcmeSink):
        def __init__(self, path: Path, arrays: Any, attributes: Any) -> None:
            super().__init__(path, arrays, attributes)
            path.unlink(missing_ok=True)


class NoUnit(Right):
    class Sink(AcmeSink):
        def content(self, values: Any) -> bytes:
            self.attributes = {**self.attributes, "unit": ""}
            return super().content(values)


class Appends(Right):
    """Takes boxes as they come."""

    class Sink(AcmeSink):
        def __init__(self, path: Path, arrays: Any, attributes: Any) -> None:
            super().__init__(path, arrays, attributes)
            self.at = dict.fromkeys(arrays, 0)

        def write(self, name: str, slices: Any, values: Any) -> None:
            super().write(name, slices, values)
            flat = self.arrays[name].reshape(-1)
            flat[self.at[name] : self.at[name] + values.size] = values.reshape(-1)
            self.at[name] += values.size


class TakesAnything(Right):
    class Sink(AcmeSink):
        def write(self, name: str, slices: Any, values: Any) -> None:
            self.arrays.setdefault(name, np.zeros(values.shape, values.dtype))[slices] = values


class LetsThrough(Right):
    def create(self, path: Path, arrays: Any, attributes: Any) -> Any:
        return self.Sink(path, arrays, attributes)


class NeedsTorch(Right):
    class Sink(AcmeSink):
        def content(self, values: Any) -> bytes:
            import torch

            return super().content(torch.from_numpy(values).numpy())


RIGHT = [(described("Right", "raw files"), {})]
WRONG = {
    "works": (described("OneArray", "takes one array only"), "of '.acme' it raised ValueError: too many values"),
    "hidden": (described("VisibleParts", "writes to visible files"), "out.acme.part is there while it is written"),
    "paths": (described("WrongNames", "tells names that are not there"), "out.vol is not there"),
    "leftovers": (described("KeepsParts", "leaves a hidden file behind"), ".out.acme.part is still there"),
    "abort": (described("NoExit", "leaves its parts when it is left"), ".out.acme.part is there after an exception"),
    "abort-after": (described("AbortsAlways", "removes what was committed"), "it removes the output"),
    "replaced": (described("RemovesFirst", "removes the older file first"), "it changes while the new one is written"),
    "round-trip": (described("NoUnit", "drops the unit"), "of out.acme the unit 'um' comes back as ''"),
    "any-order": (described("Appends", "appends boxes as they come"), "written backwards other values come back"),
    "unknown": (described("TakesAnything", "makes arrays of any name"), "an undeclared array is taken"),
    "folder": (described("LetsThrough", "lets OSError through"), "a file as the folder raises NotADirectoryError"),
    "torch-free": (
        described("NeedsTorch", "imports torch in commit()"),
        "it breaks writer.works: of '.acme' it raised ModuleNotFoundError: No module named 'torch'",
    ),
}
