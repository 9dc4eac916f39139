"""Eight-bit integers: static quantisation, with ranges taken from real windows."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

_PRODUCTS = ("MatMul", "Mul", "Div")
_ERRORS, _WARNINGS = 3, 2  # severities of ONNX Runtime


class _Reader:
    """Hands windows to the calibration one by one; none is kept."""

    def __init__(self, name: str, windows: Iterator[np.ndarray[Any, Any]]) -> None:
        self._name, self._windows = name, windows

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        window = next(self._windows, None)
        return None if window is None else {self._name: window}


def quantised(source: Path, output: Path, windows: Iterator[np.ndarray[Any, Any]], name: str) -> bytes:
    """Quantise the ONNX file ``source`` by way of ``output`` and return its content; checked in full.

    Weights are quantised per channel, activations by the range that they have in the windows; nodes that quantise
    stand around the operators (QDQ). Input (``name``) and output stay float32. Weights take seven bits: with eight,
    CPUs without VNNI instructions overflow without a word.
    """
    import onnx
    from onnx_ir import from_proto, to_proto
    from onnx_ir.passes.common import RemoveUnusedNodesPass
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = onnx.load(source)
    with _quiet():
        quantize_static(
            model,
            output,
            _Reader(name, windows),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=size_nodes(model),
        )
    quantised_model = from_proto(onnx.load(output))
    RemoveUnusedNodesPass()(quantised_model)  # bounds of activations that became ranges
    proto = to_proto(quantised_model)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())


def size_nodes(model: Any) -> list[str]:
    """Return the nodes that compute with sizes: those fed by shapes and constants alone, and products with such values.

    Networks that pad by the size of their input do so in floating point; eight bits would pad by other sizes. Those
    that average over parts of an image multiply by weights that the size decides, beyond any range that was seen.
    """
    known = {"", *(tensor.name for tensor in model.graph.initializer)}
    sizes: set[str] = set()
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Shape" or known.issuperset(node.input):
            known.update(node.output)
            if node.op_type == "Shape" or not sizes.isdisjoint(node.input):
                sizes.update(node.output)
            nodes.append(node.name)
        elif node.op_type in _PRODUCTS and not sizes.isdisjoint(node.input):
            nodes.append(node.name)
    return nodes


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back ONNX Runtime's advice about its own preparation of models, which changes nothing here."""
    import onnxruntime

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(_ERRORS)
    try:
        yield
    finally:
        root.setLevel(level)
        onnxruntime.set_default_logger_severity(_WARNINGS)
