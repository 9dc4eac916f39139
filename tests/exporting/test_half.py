from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from volseg_core.exporting.half import half


def network(weights):
    """A convolution, doubled in size: the operator that other converters stumble over."""
    sizes = ["n", 1, "h", "w"]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "weights"], ["features"], pads=[1, 1, 1, 1]),
            helper.make_node("Resize", ["features", "", "scales"], ["logits"], mode="nearest"),
        ],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(weights), "a", "b"])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(made, {"key": "kept"})
    return made.SerializeToString()


def run(content, image):
    return InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"image": image})[0]


def test_weights_are_halves_and_input_and_output_stay_floats():
    random = np.random.default_rng(0)
    weights = random.normal(size=(4, 1, 3, 3)).astype(np.float32)
    image = random.normal(size=(2, 1, 8, 8)).astype(np.float32)
    content = network(weights)
    found = half(content)
    proto = onnx.load_from_string(found)
    onnx.checker.check_model(proto, full_check=True)
    stored = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    np.testing.assert_array_equal(stored["weights"], weights.astype(np.float16))
    ends = [*proto.graph.input, *proto.graph.output]
    assert {item.type.tensor_type.elem_type for item in ends} == {TensorProto.FLOAT}
    assert {item.key: item.value for item in proto.metadata_props} == {"key": "kept"}
    wanted = run(content, image)
    difference = np.abs(run(found, image) - wanted).max() / np.abs(wanted).max()
    assert 0 < difference < 2e-3, "halves have 11 bits"


def test_weights_beyond_the_range_of_halves_become_the_nearest_ones_quietly(recwarn):
    weights = np.array([1e6, -1e6, 1e-12, 0.5], np.float32).reshape(4, 1, 1, 1)
    proto = onnx.load_from_string(half(network(weights)))
    stored = next(numpy_helper.to_array(item) for item in proto.graph.initializer if item.name == "weights")
    assert stored.ravel().tolist() == [65504, -65504, float(np.float16(5.96e-8)), 0.5]
    assert not recwarn.list
