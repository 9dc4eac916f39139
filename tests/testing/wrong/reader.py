"""A right reader of raw files, a writer that is its partner, and for each rule a reader that breaks it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from volseg_core.api import DataError, Reader, Writer

HEADER = 256


def described(target: str, summary: str, **fields: Any) -> Reader:
    values: dict[str, Any] = {"suffixes": (".acme",), "licence": "MIT"}
    return Reader(name=target.lower(), target=f"reader:{target}", summary=summary, **(values | fields))


PARTNERS = (Writer(name="acme", target="reader:AcmeWriter", summary="raw files", suffixes=(".acme",), licence="MIT"),)


class AcmeWriter:
    """A header of 256 bytes, then the values."""

    def create(self, path: Path, arrays: Any, attributes: Any) -> Any:
        return AcmeSink(path, arrays["labels"], attributes)


class AcmeSink:
    def __init__(self, path: Path, spec: Any, attributes: Any) -> None:
        self.paths, self.values = [path], np.zeros(spec.shape, spec.dtype)
        self.header = {"shape": spec.shape, "dtype": spec.dtype, "spacing": attributes["spacing"]}

    def write(self, name: str, slices: Any, values: Any) -> None:
        self.values[slices] = values

    def commit(self) -> None:
        self.paths[0].write_bytes(json.dumps(self.header).encode().ljust(HEADER) + self.values.tobytes())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Right:
    """Opens the file and reads rows of planes."""

    def open(self, path: Path, dataset: str = "", role: str = "data") -> Any:
        if not path.is_file():
            raise DataError(str(path), "does not exist")
        if dataset:
            raise DataError(str(path), f"has no dataset {dataset!r}")
        return self.source(path)

    def source(self, path: Path) -> Any:
        return Source(path)


class Source:
    axes, unit, dataset, attributes = "zyx", "um", "", {}

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        try:
            header = json.loads(self.file.read(HEADER))
        except ValueError:
            self.file.close()
            raise DataError(str(path), "is no acme file") from None
        self.shape, self.dtype = tuple(header["shape"]), np.dtype(header["dtype"])
        self.spacing = tuple(header["spacing"])
        self.plane = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        if path.stat().st_size != HEADER + self.shape[0] * self.plane:
            self.file.close()
            raise DataError(str(path), "is cut off")

    def read(self, slices: Any) -> Any:
        z, *rest = slices
        self.file.seek(HEADER + z.start * self.plane)
        content = self.file.read((z.stop - z.start) * self.plane)
        planes = np.frombuffer(content, self.dtype).reshape(-1, *self.shape[1:])
        return planes[(slice(None), *rest)].copy()

    def close(self) -> None:
        self.file.close()


class OneRole(Right):
    def open(self, path: Path, dataset: str = "") -> Any:
        return super().open(path, dataset)


class Variant(Right):
    """A reader whose source is another class."""

    Kind: Any = Source

    def source(self, path: Path) -> Any:
        return self.Kind(path)


class Lists(Variant):
    class Kind(Source):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self.shape = list(self.shape)


class Floats(Variant):
    class Kind(Source):
        def read(self, slices: Any) -> Any:
            return super().read(slices).astype(float)


class Backwards(Variant):
    class Kind(Source):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self.spacing = self.spacing[::-1]


class FromTheStart(Variant):
    class Kind(Source):
        def read(self, slices: Any) -> Any:
            z, *rest = slices
            return super().read((slice(0, z.stop - z.start), *rest))


class Whole(Variant):
    """Loads everything when it is opened."""

    class Kind(Source):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self.content = super().read(tuple(slice(0, size) for size in self.shape))

        def read(self, slices: Any) -> Any:
            return self.content[slices].copy()


class Shared(Variant):
    class Kind(Whole.Kind):
        def read(self, slices: Any) -> Any:
            return self.content[slices]


class StaysOpen(Variant):
    class Kind(Source):
        def close(self) -> None:
            pass


class AnyDataset(Right):
    def open(self, path: Path, dataset: str = "", role: str = "data") -> Any:
        return super().open(path)


class NotFound(Right):
    def open(self, path: Path, dataset: str = "", role: str = "data") -> Any:
        path.stat()
        return super().open(path, dataset)


class Trusting(Variant):
    class Kind(Source):
        def __init__(self, path: Path) -> None:
            with path.open("rb") as file:
                if not file.read(1) == b"{":
                    raise ValueError("Expecting value: line 1 column 1")
            super().__init__(path)


class Pads(Variant):
    """Fills what is cut off with zeros."""

    class Kind(Source):
        def __init__(self, path: Path) -> None:
            content = path.read_bytes()
            full = path.with_name(f"full{path.name}")
            if content[:1] == b"{":
                header = json.loads(content[:HEADER])
                size = HEADER + int(np.prod(header["shape"])) * np.dtype(header["dtype"]).itemsize
                full.write_bytes(content.ljust(size, b"\0"))
            else:
                shutil.copy(path, full)
            super().__init__(full)


class NeedsTorch(Variant):
    class Kind(Source):
        def read(self, slices: Any) -> Any:
            import torch

            return torch.from_numpy(super().read(slices)).numpy()


RIGHT = [(described("Right", "planes of a raw file"), {})]
WRONG = {
    "works": (described("OneRole", "takes no role"), "of small.acme it raised TypeError"),
    "source": (described("Lists", "tells its shape as a list"), "shape is [5, 6, 7], not a tuple of int"),
    "full": (described("Floats", "reads floats of integers"), "float64 (5, 6, 7) is read of a source of uint16"),
    "written": (
        described("Backwards", "tells the spacing as x, y, z"),
        "the spacing (2.0, 0.5, 0.25) comes back as (0.25, 0.5, 2.0)",
    ),
    "slices": (described("FromTheStart", "reads every box from the first plane"), "the box (slice(1, 4, None)"),
    "own": (
        described("Shared", "hands out views of its own array", lazy=False),
        "writing to it changes what is read next",
    ),
    "close": (described("StaysOpen", "leaves the file open"), "small.acme is still open after it"),
    "lazy": (described("Whole", "loads everything and says lazy"), "one plane of 2.3 MiB takes"),
    "dataset": (described("AnyDataset", "ignores the name of a dataset"), "it is opened all the same"),
    "absent": (described("NotFound", "lets FileNotFoundError through"), "it raises FileNotFoundError"),
    "foreign": (described("Trusting", "lets its parser's error through"), "it raises ValueError: Expecting value"),
    "damaged": (described("Pads", "fills what is cut off with zeros", lazy=False), "half of it is read all the same"),
    "torch-free": (
        described("NeedsTorch", "imports torch in read()"),
        "it breaks reader.works: of small.acme it raised ModuleNotFoundError: No module named 'torch'",
    ),
}
