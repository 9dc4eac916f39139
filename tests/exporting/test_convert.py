"""Networks of several heads in parts: what their outputs are called, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from volseg_core.errors import DataError
from volseg_core.exporting.convert import ALL, Attempt, Split, converted, output_names, parities
from volseg_core.exporting.foreign import check_channels
from volseg_core.exporting.header import read_header
from volseg_core.exporting.vectors import Vectors
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule
from volseg_runtimes.onnx_runtime import OnnxRuntime

IMAGE = torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(0))


def spec(*heads):
    made = []
    for task, count, name in heads:
        classes = ClassMap(tuple(ClassName(number, f"{number}") for number in range(count)))
        made.append(HeadSpec(task, classes, name))
    return ModelSpec(tuple(made), 1, Normalisation(), "z", SizeRule.same(8, 8, 2))


TWO = spec(("multiclass", 3, "kinds"), ("regression", 2, "depth"))


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (spec(("multiclass", 3, "")), ["logits"]),
        (spec(("multilabel", 1, "")), ["logits"]),
        (spec(("regression", 1, "")), ["values"]),
        (spec(("binary", 2, "cells")), ["logits"]),
        (TWO, ["kinds", "depth"]),
    ],
)
def test_outputs_are_called_by_their_heads(made, names):
    assert output_names(made) == names


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Return a network, and the file of its parts."""
    torch.manual_seed(0)
    network = nn.Conv2d(1, 5, 3, padding=1).eval()
    content = converted(Split(network, [3, 2]), IMAGE.numpy(), Attempt("legacy", ALL).of(2), output_names(TWO))
    path = tmp_path_factory.mktemp("split") / "model.onnx"
    path.write_bytes(content)
    return network, path


def test_parts_are_the_channels_of_the_heads(split):
    network, path = split
    with torch.inference_mode():
        whole = network(IMAGE)
        parts = Split(network, [3, 2])(IMAGE)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    assert [part.shape[1] for part in parts] == [3, 2]
    assert all(parity.good for parity in parities(path.read_bytes(), [Vectors(IMAGE.numpy(), whole.numpy())]))
    outputs = {item.name: item.type.tensor_type.shape.dim for item in onnx.load(path).graph.output}
    assert {name: shape[1].dim_value for name, shape in outputs.items()} == {"kinds": 3, "depth": 2}
    assert all(shape[0].dim_param == "batch" for shape in outputs.values())


def test_the_runtime_joins_the_parts(split):
    network, path = split
    runtime = OnnxRuntime(model=path, device="cpu", threads=1)
    with torch.inference_mode():
        np.testing.assert_allclose(runtime.run(IMAGE.numpy()), network(IMAGE).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (spec(("multiclass", 3, "")), "has 2 outputs, but its volseg.spec 1 heads. Export the model again."),
        (
            spec(("multiclass", 3, "kinds"), ("regression", 1, "depth")),
            "gives 2 channels of logits, but its volseg.spec means 1. Export the model again.",
        ),
    ],
)
def test_a_graph_with_other_outputs_than_its_spec_is_refused(split, made, text):
    _, path = split
    check_channels(read_header(path), TWO, path)
    with pytest.raises(DataError) as caught:
        check_channels(read_header(path), made, path)
    assert str(caught.value) == f"{path}: {text}"
