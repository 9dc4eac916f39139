from __future__ import annotations

import gc
import weakref

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from volseg_core.exporting.quantise import quantised, size_nodes


@pytest.fixture
def padding(tmp_path):
    """A network that pads by its input's size, computed in floating point as exporters do, before a convolution."""
    weights = np.random.default_rng(1).normal(size=(3, 1, 3, 3)).astype(np.float32) * [[[[100]]], [[[1]]], [[[0.01]]]]
    constants = {
        "weights": weights.astype(np.float32),
        "height": np.array([2], np.int64),
        "share": np.array([0.125], np.float32),
        "none": np.zeros(3, np.int64),
        "four": np.zeros(4, np.int64),
    }
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"], "size"),
        helper.make_node("Gather", ["shape", "height"], ["edge"], "edge", axis=0),
        helper.make_node("Cast", ["edge"], ["real"], "real", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "share"], ["part"], "part"),
        helper.make_node("Ceil", ["part"], ["whole"], "whole"),
        helper.make_node("Cast", ["whole"], ["extra"], "extra", to=TensorProto.INT64),
        helper.make_node("Concat", ["four", "none", "extra"], ["pads"], "pads", axis=0),
        helper.make_node("Pad", ["image", "pads"], ["padded"], "pad"),
        helper.make_node("Conv", ["padded", "weights"], ["features"], "conv"),
        helper.make_node("Relu", ["features"], ["logits"], "relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3, "a", "b"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path = tmp_path / "full.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def windows(count=6, size=40):
    random = np.random.default_rng(0)
    return (random.normal(size=(1, 1, size, size)).astype(np.float32) for _ in range(count))


def run(content, image):
    return InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"image": image})[0]


def test_nodes_that_compute_with_sizes_are_told_from_those_that_see_the_image(padding):
    assert size_nodes(onnx.load(padding)) == ["size", "edge", "real", "part", "whole", "extra", "pads"]


def test_products_with_values_that_the_size_decides_are_left_out_too():
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"], "size"),
        helper.make_node("Cast", ["shape"], ["real"], "real", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["image", "real"], ["scaled"], "by size"),
        helper.make_node("Mul", ["scaled", "weight"], ["logits"], "by weight"),
    ]
    weight = numpy_helper.from_array(np.ones(1, np.float32), "weight")
    proto = helper.make_model(helper.make_graph(nodes, "net", [], [], [weight]))
    assert size_nodes(proto) == ["size", "real", "by size"]


def test_sizes_are_exact_and_values_near(padding, tmp_path):
    image = next(windows(1, size=44))
    wanted = run(padding.read_bytes(), image)
    found = run(quantised(padding, tmp_path / "int8.onnx", windows(), "image"), image)
    assert found.shape == wanted.shape == (1, 3, 42, 48)
    error = np.sqrt(np.square(found - wanted).mean()) / wanted.std()
    assert 0 < error < 0.05


def test_weights_have_a_scale_for_each_channel_and_seven_bits(padding, tmp_path):
    proto = onnx.load_from_string(quantised(padding, tmp_path / "int8.onnx", windows(), "image"))
    stored = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    weights = stored["weights_quantized"]
    assert weights.dtype == np.int8
    assert np.abs(weights).max(axis=(1, 2, 3)).tolist() == [64, 64, 64], "each channel uses the whole range"
    original = next(
        numpy_helper.to_array(item) for item in onnx.load(padding).graph.initializer if item.name == "weights"
    )
    np.testing.assert_allclose(stored["weights_scale"], np.abs(original).max(axis=(1, 2, 3)) / 64, rtol=1e-5)
    kinds = {node.op_type for node in proto.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= kinds


def test_windows_are_taken_one_by_one(padding, tmp_path):
    alive, most = [], 0

    def counted():
        nonlocal most
        for window in windows(8):
            alive.append(weakref.ref(window))
            yield window
            del window
            gc.collect()
            most = max(most, sum(reference() is not None for reference in alive))

    quantised(padding, tmp_path / "int8.onnx", counted(), "image")
    assert len(alive) == 8
    assert most <= 2
