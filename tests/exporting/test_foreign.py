"""Models that volseg did not make: a graph without metadata, and one whose metadata does not fit it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import volseg_core
from volseg_core.errors import DataError, UsageError
from volseg_core.exporting.foreign import adopt
from volseg_core.exporting.header import read_header
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

REGISTRY = load_registry(builtin_only=True)


def write_threshold(path, classes=2, channels=1, window=("h", "w"), batch="n", inputs=("image",)):
    """Write a network whose class is 1 where the input is above 0.5, of ``classes`` channels of logits."""
    weights = np.zeros((classes, channels, 1, 1), np.float32)
    bias = np.full(classes, -100, np.float32)
    weights[-1, 0], bias[-1] = 2, -1
    bias[0] = 0 if classes > 1 else bias[0]
    graph = helper.make_graph(
        [helper.make_node("Conv", [inputs[0], "weights", "bias"], ["logits"])],
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, channels, *window]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes, *window])],
        [onnx.numpy_helper.from_array(weights, "weights"), onnx.numpy_helper.from_array(bias, "bias")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.fixture
def volume():
    """Values clearly on one side of the threshold: merges round probabilities to 16 bits."""
    random = np.random.default_rng(0)
    return random.choice(np.float32([0.1, 0.4, 0.6, 0.9]), (6, 40, 72))


def predicted(path, volume, *overrides):
    return volseg_core.predict(
        path, volume, recipe="slices", device="cpu", overrides=["data.normalise.kind=none", *overrides]
    ).labels


@pytest.mark.parametrize(("window", "batch"), [(("h", "w"), "n"), ((32, 32), "n"), ((64, 32), 1), ((32, 64), 3)])
def test_a_recipe_speaks_for_a_file_that_carries_none(tmp_path, volume, window, batch):
    """Whatever sizes the graph fixes, every voxel gets the class that the network gives it."""
    path = write_threshold(tmp_path / "m.onnx", window=window, batch=batch)
    assert (predicted(path, volume) == (volume > 0.5)).all()


def test_classes_task_and_ids_are_the_recipe_s(tmp_path, volume):
    path = write_threshold(tmp_path / "m.onnx", classes=1)
    labels = predicted(path, volume, "task=binary", "classes={outside: 3, inside: 7}")
    assert (labels == np.where(volume > 0.5, 7, 3)).all()


def test_neighbouring_slices_are_channels(tmp_path, volume):
    path = write_threshold(tmp_path / "m.onnx", channels=3)
    labels = predicted(path, volume, "data.neighbours=1", "predict.quality=low")
    above = np.concatenate(
        [volume[1::-1][:1], volume[:-1]]
    )  # the first channel is the slice before, mirrored at the end
    assert (labels[1:] == (above > 0.5)[1:]).all()


@pytest.mark.parametrize(
    ("graph", "overrides", "error", "text"),
    [
        ({"classes": 3}, ["task=binary"], UsageError, "gives 3 channels; task binary has one. Use task: multiclass."),
        ({"classes": 1}, [], UsageError, "gives one channel, the logit of a binary task. Use task: binary."),
        ({"classes": 3}, ["classes=[a, b]"], UsageError, "gives 3 classes, but the recipe names 2. Change classes."),
        ({"channels": 4}, ["data.neighbours=1"], UsageError, "takes 4 channels, not a multiple of the 3 slices"),
        ({"channels": "c"}, [], DataError, "leaves its number of channels or classes open; volseg needs both fixed"),
        ({"window": ("h",)}, [], DataError, r"has input and output of 3 and 3 dimensions; a network of images has"),
        ({"inputs": ("image", "mask")}, [], DataError, "has 2 inputs; volseg runs networks with one"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, graph, overrides, error, text):
    changed = {"channels": 1} | graph
    path = tmp_path / "m.onnx"
    if changed["channels"] == "c":
        sizes = ["n", "c", "h", "w"]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in ("image", "logits")]
        nodes = [helper.make_node("Identity", ["image"], ["logits"])]
        onnx.save(helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:])), path)
    else:
        write_threshold(path, **changed)
    with pytest.raises(error, match=text):
        adopt(REGISTRY.catalog, path, resolve_recipe(REGISTRY, "slices", overrides))


def test_without_a_recipe_the_way_out_is_named(tmp_path, volume):
    path = write_threshold(tmp_path / "m.onnx")
    text = "was not made by volseg: it carries no volseg.spec. To predict with a model of others, give --recipe"
    with pytest.raises(DataError, match=text):
        volseg_core.predict(path, volume)


def test_a_recipe_for_a_run_is_refused(tmp_path, volume):
    with pytest.raises(UsageError, match="--recipe: is for ONNX files that carry none, not for"):
        volseg_core.predict(tmp_path, volume, recipe="slices")


def test_shapes_of_inputs_and_outputs_are_read_and_weights_are_not_inputs(tmp_path):
    path = write_threshold(tmp_path / "m.onnx", classes=3, window=(32, "w"))
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("bias", TensorProto.FLOAT, [3]))  # as older exporters do
    onnx.save(model, path)
    header = read_header(path)
    assert header.inputs == {"image": (None, 1, 32, None)}
    assert header.outputs == {"logits": (None, 3, 32, None)}


def test_values_of_a_file_are_its_output(tmp_path, volume):
    path = write_threshold(tmp_path / "m.onnx", classes=2)
    task = {"task": "regression", "loss": None, "metrics": None}
    recipe = {"extends": "volseg/slices", **task, "data": {"normalise": {"kind": "none"}}}
    found = volseg_core.predict(path, volume, recipe=recipe, device="cpu").arrays
    assert list(found) == ["values"]
    np.testing.assert_allclose(found["values"][1], 2 * volume - 1, atol=1e-5)
    (head,) = adopt(REGISTRY.catalog, path, resolve_recipe(REGISTRY, recipe)).spec.heads
    assert (head.classes.names, head.offset, head.scale) == (("channel 0", "channel 1"), (), ())


def test_an_only_head_keeps_its_name(tmp_path, volume):
    path = write_threshold(tmp_path / "m.onnx", classes=2)
    recipe = {"extends": "volseg/slices", "heads": {"rims": {"task": "multilabel", "classes": ["a", "b"]}}}
    assert list(volseg_core.predict(path, volume, recipe=recipe, device="cpu").arrays) == ["rims_probabilities"]


def test_one_output_is_not_for_several_heads(tmp_path):
    path = write_threshold(tmp_path / "m.onnx", classes=2)
    recipe = {"extends": "volseg/slices", "heads": {"a": {}, "b": {"task": "binary"}}}
    with pytest.raises(UsageError) as caught:
        adopt(REGISTRY.catalog, path, resolve_recipe(REGISTRY, recipe))
    assert str(caught.value) == f"{path}: has one output, but the recipe has 2 heads. Give one head."


def test_a_recipe_that_names_other_channels_is_refused(tmp_path):
    path = write_threshold(tmp_path / "m.onnx", classes=2)
    recipe = {"extends": "volseg/slices", "task": "multilabel", "loss": None, "classes": ["a", "b", "c"]}
    with pytest.raises(UsageError, match="gives 2 classes, but the recipe names 3"):
        adopt(REGISTRY.catalog, path, resolve_recipe(REGISTRY, recipe))
