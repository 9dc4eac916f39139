"""What an ONNX file says about itself, read without ONNX, torch or the weights; nothing in it is executed.

An ONNX file is one protobuf message, ``ModelProto`` of onnx.proto3. Only the fields named below are looked at.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from volseg_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GRAPH, _OPSET, _METADATA = 7, 8, 14  # of ModelProto
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12  # of GraphProto
_NAME, _EXTERNAL, _LOCATION = 8, 13, 14  # of TensorProto
_TYPE, _TENSOR, _SHAPE, _DIM, _DIM_VALUE = (
    2,
    1,
    2,
    1,
    1,
)  # of ValueInfoProto, TypeProto, its Tensor, its shape, a Dimension
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MAX_VARINT = 10
_MAX_METADATA = 64 * 1024 * 1024

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Operator domains that a model may use: those that ONNX Runtime brings itself."""


Shape = tuple[int | None, ...]
"""Sizes of a tensor, None where a size is free."""


@dataclass
class Header:
    """Metadata by key, shapes of inputs and outputs by name, and what a file refers to beyond itself."""

    metadata: dict[str, str] = field(default_factory=dict)
    domains: list[str] = field(default_factory=list)
    inputs: dict[str, Shape] = field(default_factory=dict)
    outputs: dict[str, Shape] = field(default_factory=dict)
    external: bool = False
    graph: bool = False


def read_header(path: Path) -> Header:
    """Return the header of an ONNX file.

    Raises:
        DataError: it cannot be read, is not ONNX, is truncated, or its metadata is too large.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            header = _model(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror})") from None
    except _TooLargeError:
        what = f"carries more than {_MAX_METADATA >> 20} MiB of metadata; refused"
        raise DataError(where, what, "No model of volseg does.") from None
    except (ValueError, IndexError):
        raise DataError(where, "is not an ONNX file, or is truncated") from None
    if not header.graph:
        raise DataError(where, "is not an ONNX file: it holds no graph")
    return header


class _TooLargeError(Exception):
    """The metadata would fill the memory."""


def check_safe(header: Header, path: Path) -> None:
    """Refuse what reaches beyond the file.

    Raises:
        DataError: it has external data, or uses operators that only a library of its own could bring.
    """
    if header.external:
        raise DataError(str(path), "keeps weights in other files; refused", "Export it as a single file.")
    foreign = [domain for domain in header.domains if domain not in DOMAINS]
    if foreign:
        raise DataError(str(path), f"uses operators of the domain {foreign[0]!r}, which is no standard one; refused")


def _model(content: memoryview) -> Header:
    header = Header()
    size = 0
    for number, _, body in _fields(content):
        if body is None:
            continue
        if number == _METADATA:
            size += len(body)
            if size > _MAX_METADATA:
                raise _TooLargeError
            key, text = _strings(body, 1, 2)
            header.metadata[key] = text
        elif number == _OPSET:
            header.domains += _strings(body, 1)
        elif number == _GRAPH:
            header.graph = True
            _read_graph(header, body)
    return header


def _read_graph(header: Header, graph: memoryview) -> None:
    weights = set[str]()
    for number, _, body in _fields(graph):
        if body is None:
            continue
        if number == _INITIALIZER:
            weights.add(*_strings(body, _NAME))
            header.external |= _external(body)
        elif number in (_INPUT, _OUTPUT):
            name, shape = _value(body)
            (header.inputs if number == _INPUT else header.outputs)[name] = shape
    for name in weights:  # older files list them as inputs too
        header.inputs.pop(name, None)


def _external(tensor: memoryview) -> bool:
    """Return whether a tensor lies in another file."""
    return any(number == _EXTERNAL or (number == _LOCATION and value == 1) for number, value, _ in _fields(tensor))


def _value(message: memoryview) -> tuple[str, Shape]:
    """Return name and shape of an input or output; one that is no tensor has no sizes."""
    shape = [message]
    for wanted in (_TYPE, _TENSOR, _SHAPE, _DIM):
        shape = [body for part in shape for number, _, body in _fields(part) if number == wanted and body is not None]
    sizes = (next((value for number, value, _ in _fields(size) if number == _DIM_VALUE), None) for size in shape)
    return _strings(message, 1)[0], tuple(sizes)


def _strings(message: memoryview, *numbers: int) -> list[str]:
    found = {number: body for number, _, body in _fields(message) if body is not None}
    return [bytes(found.get(number, b"")).decode() for number in numbers]


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview | None]]:
    """Yield number, value and body of each field: a number has no body, bytes have no value.

    Raises ValueError or IndexError where it is no message.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if number == 0 or kind not in (_VARINT, _EIGHT, _BYTES, _FOUR):
            problem = f"field {number} of wire type {kind}"
            raise ValueError(problem)
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value, None
            continue
        length = 8 if kind == _EIGHT else 4
        if kind == _BYTES:
            length, at = _varint(message, at)
        if at + length > len(message):
            problem = f"field {number} ends behind the message"
            raise ValueError(problem)
        yield number, 0, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(_MAX_VARINT):
        byte = message[at + shift]
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:  # noqa: PLR2004  (the bit that says more follow)
            return value, at + shift + 1
    problem = "varint"
    raise ValueError(problem)
