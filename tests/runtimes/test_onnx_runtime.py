from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from volseg_core.errors import DataError, ResourceError, UsageError
from volseg_runtimes.onnx_runtime import OnnxRuntime, smallest_input


def write_doubling(path, batch="n", kind=TensorProto.FLOAT, window=("h", "w")):
    """Write a network that doubles its input."""
    sizes = [batch, 2, *window]
    graph = helper.make_graph(
        [helper.make_node("Add", ["image", "image"], ["logits"])],
        "net",
        [helper.make_tensor_value_info("image", kind, sizes)],
        [helper.make_tensor_value_info("logits", kind, sizes)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.fixture
def doubling(tmp_path):
    return write_doubling(tmp_path / "m.onnx")


def test_it_runs_the_model_on_the_cpu(doubling):
    runtime = OnnxRuntime(model=doubling, device="auto", threads=1)
    batch = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(runtime.run(batch), 2 * batch)
    assert (runtime.device, runtime.free_bytes()) == ("cpu", None)


@pytest.mark.parametrize(("size", "count"), [(1, 3), (2, 3), (4, 3), (3, 3)])
def test_a_model_of_one_batch_size_gets_batches_of_that_size(tmp_path, size, count):
    runtime = OnnxRuntime(model=write_doubling(tmp_path / "m.onnx", batch=size), device="cpu", threads=1)
    batch = np.random.default_rng(0).normal(size=(count, 2, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(runtime.run(batch), 2 * batch)


def test_a_model_of_other_numbers_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"takes tensor\(uint8\); volseg gives tensor\(float\)"):
        OnnxRuntime(model=write_doubling(tmp_path / "m.onnx", kind=TensorProto.UINT8), device="cpu", threads=1)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_gpu_that_is_not_there_is_an_error_and_never_a_silent_cpu(doubling, device):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ResourceError, match=rf"device: {device} was asked for, but"):
        OnnxRuntime(model=doubling, device=device, threads=1)


def test_without_an_exported_model_it_says_how_to_make_one():
    with pytest.raises(UsageError, match="needs an exported model. Make one: volseg export RUN"):
        OnnxRuntime(model=None, device="cpu", threads=1)


def test_a_damaged_model_is_an_error(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"\x08\x0a" + b"nonsense")
    with pytest.raises(DataError, match="cannot be loaded by ONNX Runtime"):
        OnnxRuntime(model=tmp_path / "m.onnx", device="cpu", threads=1)


def test_on_a_gpu_the_last_batch_gets_the_shape_of_the_first(doubling):
    """The padding is looked at on the CPU: the shapes that reach the session."""
    runtime = OnnxRuntime(model=doubling, device="cpu", threads=1)
    shapes, session = [], runtime._session

    class Recorder:
        def run(self, names, inputs):
            shapes.append(inputs["image"].shape)
            return session.run(names, inputs)

    runtime._session, runtime.device = Recorder(), "cuda"
    for count in (4, 4, 1):
        batch = np.full((count, 2, 4, 4), count, np.float32)
        np.testing.assert_array_equal(runtime.run(batch), 2 * batch)
    assert shapes == [(4, 2, 4, 4)] * 3


@pytest.mark.parametrize(
    ("shape", "spec", "expected"),
    [
        (["batch", 1, "height", "width"], {"divisor": 32, "min_size": 40}, (1, 1, 64, 64)),
        (["batch", 3, "height", "width"], {"divisor": 1, "min_size": 16}, (1, 3, 16, 16)),
        ([2, 1, 96, 128], None, (2, 1, 96, 128)),
        (["batch", 1, "depth", "height", "width"], {"divisor": 8, "min_size": 8}, (1, 1, 8, 8, 8)),
        (["batch", 1, "depth", "height", 64], {"divisor": [1, 4, 4], "min_size": [2, 9, 9]}, (1, 1, 2, 12, 64)),
        (["batch", 1, "height", "width"], None, None),
        (["batch", "channels", 64, 64], {"divisor": 8, "min_size": 8}, None),
    ],
)
def test_the_smallest_batch_suits_the_network(shape, spec, expected):
    metadata = {} if spec is None else {"volseg.spec": json.dumps(spec)}
    assert smallest_input(shape, metadata) == expected


def test_a_model_is_warmed_up_with_one_batch_that_leaves_no_trace(tmp_path):
    """What happens on a GPU, looked at on the CPU: the batch is executed, and later batches choose their own size."""
    runtime = OnnxRuntime(model=write_doubling(tmp_path / "m.onnx", window=(8, 16)), device="cpu", threads=1)
    ran, session = [], runtime._session

    class Recorder:
        def __getattr__(self, name):
            return getattr(session, name)

        def run(self, names, feeds):
            ran.append(feeds["image"].shape)
            return session.run(names, feeds)

    runtime._session = Recorder()
    runtime._warm_up("m.onnx")
    assert ran == [(1, 2, 8, 16)]
    assert runtime._batches == {}

    def fails(*_):
        message = "no kernel image is available"
        raise RuntimeError(message)

    runtime.run = fails
    with pytest.raises(ResourceError, match=r"m\.onnx: cannot be executed on cpu \(no kernel image is available\)"):
        runtime._warm_up("m.onnx")


def test_memory_that_runs_out_on_the_device_is_a_memory_error(doubling):
    runtime = OnnxRuntime(model=doubling, device="cpu", threads=1)

    class Full:
        def run(self, *_args):
            message = "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer"
            raise RuntimeError(message)

    runtime._session = Full()
    with pytest.raises(MemoryError, match="Failed to allocate memory"):
        runtime.run(np.zeros((1, 2, 4, 4), np.float32))
