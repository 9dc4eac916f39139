"""What the example of each kind computes; their contracts are checked where they are installed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from volseg_core.api import ArraySpec, DataError, PluginError, UsageError
from volseg_core.scaffold.components import (
    architecture,
    augmentation,
    encoder,
    generator,
    loss,
    merge,
    metric,
    postprocess,
    reader,
    runtime,
    target,
    writer,
)

# --- loss


def test_the_loss_counts_wrong_and_missed_voxels_by_their_weights() -> None:
    # a voxel of class 1 with p1 = 0.8 and one of class 0 with p1 = 0.4
    # class 1 has TP 0.8, FP 0.4, FN 0.2 and class 0 has TP 0.6, FP 0.2, FN 0.4
    foreground = torch.tensor([0.8, 0.4])
    output = torch.stack([1 - foreground, foreground]).log()[None]
    expected = 1 - (1.8 / (1.8 + 0.3 * 0.4 + 0.7 * 0.2) + 1.6 / (1.6 + 0.3 * 0.2 + 0.7 * 0.4)) / 2
    value = loss.ComponentClass(task="multiclass")(output, torch.tensor([[1, 0]]))
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_the_binary_loss_scores_the_foreground() -> None:
    output = torch.logit(torch.tensor([0.8, 0.4]))[None, None]
    value = loss.ComponentClass(alpha=0.5, beta=0.5, smooth=0, task="binary")(output, torch.tensor([[[1.0, 0.0]]]))
    assert value.item() == pytest.approx(1 - 2 * 0.8 / (1.2 + 1.0), rel=1e-6)


# --- networks


@pytest.mark.parametrize(("dims", "size"), [(2, (16, 20)), (3, (16, 16, 20))])
def test_the_network_keeps_the_size_and_sees_its_neighbourhood(dims: int, size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = architecture.ComponentClass(width=4, in_channels=2, num_classes=3, dims=dims).eval()
    image = torch.zeros(1, 2, *size)
    still = network(image)
    assert still.shape == (1, 3, *size)
    image[(0, 0, *[length // 2 for length in size])] = 100
    moved = (network(image) - still).abs().sum(dim=(0, 1)).nonzero()
    reach = (moved.max(dim=0).values - moved.min(dim=0).values).max()
    assert reach > 8  # beyond what its four convolutions at the finest scale would see


@pytest.mark.parametrize(
    ("depth", "stride", "strides"), [(5, 32, (1, 2, 4, 8, 16, 32)), (3, 32, (1, 2, 4, 8)), (4, 8, (1, 2, 4, 8, 8))]
)
def test_the_encoder_gives_what_it_says(depth: int, stride: int, strides: tuple[int, ...]) -> None:
    module = encoder.ComponentClass(width=2, in_channels=1, depth=depth, output_stride=stride)
    features = module(torch.zeros(2, 1, 64, 96))
    assert module.strides == strides
    assert module.out_channels == [2, 4, 8, 16, 16, 16][: depth + 1]
    shapes = [
        (2, channels, 64 // each, 96 // each) for channels, each in zip(module.out_channels, strides, strict=True)
    ]
    assert [tuple(feature.shape) for feature in features] == shapes


# --- metric


def test_the_metric_is_the_difference_of_shares() -> None:
    score = metric.ComponentClass(classes=["background", "cell", "wall"])
    score.update(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, -1, 1]))
    score.update(np.array([2]), np.array([0]), np.array([False]))
    # of four labelled voxels: predicted 2, 1, 1; true 1, 3, 0
    assert score.compute() == {
        "component-name": 0.375,
        "component-name/background": 0.25,
        "component-name/cell": 0.5,
        "component-name/wall": 0.25,
    }
    score.reset()
    assert all(math.isnan(value) for value in score.compute().values())


def test_the_metric_refuses_other_shapes_and_classes() -> None:
    score = metric.ComponentClass(classes=["background", "cell"])
    with pytest.raises(DataError, match=r"prediction \(3,\) and target \(2,\) differ in shape"):
        score.update(np.zeros(3, int), np.zeros(2, int))
    with pytest.raises(DataError, match="an index is none of the 2 classes"):
        score.update(np.array([2]), np.array([0]))


# --- files


def described(**more: Any) -> str:
    return json.dumps({"shape": [2, 3, 4], "dtype": "<u2", **more})


def test_the_reader_maps_what_its_json_describes(tmp_path: Path) -> None:
    values = np.arange(24, dtype=">u2").reshape(2, 3, 4)
    values.tofile(tmp_path / "scan.raw")
    facts = described(dtype=">u2", axes="zyx", spacing=[3, 1, 1], unit="nm", sample="S7")
    (tmp_path / "scan.raw.json").write_text(facts)
    source = reader.ComponentClass().open(tmp_path / "scan.raw")
    assert (source.shape, source.axes, source.spacing, source.unit) == ((2, 3, 4), "zyx", (3.0, 1.0, 1.0), "nm")
    assert source.attributes == {"sample": "S7"}
    box = (slice(1, 2), slice(0, 2), slice(1, 4))
    np.testing.assert_array_equal(source.read(box), values[box])
    assert source.read(box).dtype == source.dtype == np.dtype("uint16")


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (None, "scan.raw.json: cannot be read: No such file or directory. It says shape and dtype."),
        ("{", "scan.raw.json: is not JSON"),
        ("[]", "scan.raw.json: is not a JSON object with shape and dtype."),
        ("{}", "scan.raw.json: does not describe a volume (KeyError: 'shape')."),
        (described(dtype="U3"), "scan.raw.json: shape (2, 3, 4), axes 'zyx' and dtype <U3 are no volume of numbers."),
        (described(spacing=[1, 2]), "scan.raw.json: does not describe a volume (ValueError: not enough values"),
        (described(shape=[2, 3, 5]), "scan.raw: has 48 bytes; (2, 3, 5) of uint16 are 60."),
    ],
)
def test_the_reader_refuses_what_is_no_such_file(tmp_path: Path, facts: str | None, text: str) -> None:
    (tmp_path / "scan.raw").write_bytes(bytes(48))
    if facts is not None:
        (tmp_path / "scan.raw.json").write_text(facts)
    with pytest.raises(DataError) as error:
        reader.ComponentClass().open(tmp_path / "scan.raw")
    assert str(error.value).startswith(f"{tmp_path}/{text}")


def test_the_writer_makes_pairs_that_the_reader_opens(tmp_path: Path) -> None:
    values = np.arange(24, dtype="uint16").reshape(2, 3, 4)
    arrays = {"labels": ArraySpec((2, 3, 4), "uint16"), "confidence": ArraySpec((2, 3, 4), "uint8")}
    path = tmp_path / "deep" / "out.raw"
    with writer.ComponentClass().create(path, arrays, {"spacing": (2.0, 1.0, 1.0), "unit": "um"}) as sink:
        for z in (1, 0):
            sink.write("labels", (slice(z, z + 1), slice(0, 3), slice(0, 4)), values[z : z + 1])
        assert [file for file in path.parent.iterdir() if not file.name.startswith(".")] == []
        sink.commit()
        sink.abort()
    names = ["out.raw", "out.raw.json", "out_confidence.raw", "out_confidence.raw.json"]
    assert sorted(file.name for file in path.parent.iterdir()) == names
    assert [file.name for file in sink.paths] == names
    source = reader.ComponentClass().open(path)
    np.testing.assert_array_equal(source.read((slice(None),) * 3), values)
    assert (source.spacing, source.unit) == ((2.0, 1.0, 1.0), "um")


def test_the_writer_refuses_what_does_not_fit_and_leaves_nothing(tmp_path: Path) -> None:
    box = (slice(0, 2),)
    with writer.ComponentClass().create(tmp_path / "out.raw", {"labels": ArraySpec((2,), "uint8")}, {}) as sink:
        with pytest.raises(DataError, match="array 'labels' is uint8 and cannot hold the values"):
            sink.write("labels", box, np.array([1, 300]))
        with pytest.raises(DataError, match=r"values \(3,\) do not fill the box"):
            sink.write("labels", box, np.array([1, 2, 3]))
        with pytest.raises(DataError, match="has no array 'probabilities' to write to"):
            sink.write("probabilities", box, np.array([1, 2]))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        writer.ComponentClass().create(tmp_path / "file" / "out.raw", {"labels": ArraySpec((2,), "uint8")}, {})


# --- merge


def test_the_merge_prefers_the_class_that_no_view_doubts() -> None:
    # class 1 has the higher mean (0.6), but one view gives it 0.2; class 0 never falls below 0.4 where it counts
    first, second = np.array([[0.0], [1.0]]), np.array([[0.8], [0.2]])
    third = np.array([[0.45], [0.55]])
    block = (slice(0, 1), slice(0, 1), slice(0, 1))
    state = merge.ComponentClass()
    state.start((1, 1, 1), 2, 2)
    for view, values in enumerate((second, third)):
        state.add(values.reshape(2, 1, 1, 1), block, view)
    result = state.result(block, ("labels", "confidence", "probabilities"))
    assert result.labels.item() == 0
    assert result.confidence.item() == pytest.approx(0.45 / 0.65)
    state.add(first.reshape(2, 1, 1, 1), block, 2)
    assert state.result(block).labels.item() == 1  # the first class has been vetoed


def test_the_merge_says_what_it_lacks() -> None:
    state = merge.ComponentClass()
    state.start((1, 1, 2), 2, 1)
    box = (slice(0, 1), slice(0, 1), slice(0, 1))
    with pytest.raises(PluginError, match="merge 'component-name': no view was added"):
        state.result(box)
    state.add(np.full((2, 1, 1, 1), 0.5), box, 0)
    assert state.result(box).labels.shape == (1, 1, 1)
    with pytest.raises(PluginError, match="the box was not covered"):
        state.result((slice(0, 1), slice(0, 1), slice(0, 2)))
    with pytest.raises(UsageError, match="cannot give 'entropy'; it gives labels, confidence, probabilities"):
        state.result(box, ("entropy",))


# --- the others


def test_the_augmentation_mirrors_both_and_blanks_a_box_of_the_image() -> None:
    image = np.random.default_rng(0).random((16, 12, 2), np.float32)
    labels = np.arange(192, dtype=np.int32).reshape(16, 12)
    drawn, marks = augmentation.ComponentClass(size=0.5, p=1)(image, labels, 7)
    np.testing.assert_array_equal(marks, labels[::-1, ::-1])
    mirrored = image[::-1, ::-1]
    blank = (drawn != mirrored).any(axis=2)
    rows, columns = blank.any(axis=1).nonzero()[0], blank.any(axis=0).nonzero()[0]
    assert (len(rows), len(columns), int(blank.sum())) == (8, 6, 48)
    np.testing.assert_allclose(drawn[blank], np.broadcast_to(image.mean(axis=(0, 1)), (48, 2)), rtol=1e-5)
    same, labels_too = augmentation.ComponentClass(p=0)(image, labels, 7)
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(labels_too, labels)


def test_the_target_marks_what_is_deep_in_an_object_and_leaves_open_what_is_not_known() -> None:
    row = np.array([[0, 0, 1, 1, 1, 1, 1, 2, 2, 2, -1, 2]], np.int32).repeat(3, axis=0)
    (made,) = target.ComponentClass(depth=1)(row)
    assert np.isnan(made[[0, 2]]).all()
    np.testing.assert_array_equal(made[1], [math.nan, 0, 0, 1, 1, 1, 0, 0, 1, *[math.nan] * 3])


def test_the_generator_draws_balls_that_are_brighter() -> None:
    sample = generator.ComponentClass(shape=[24, 32, 40], balls=3, noise=2, seed=1).generate()
    assert sample.data.shape == sample.labels.shape == (24, 32, 40)
    inside, outside = sample.data[sample.labels == 1], sample.data[sample.labels == 0]
    assert inside.mean() == pytest.approx(160, abs=1)
    assert outside.mean() == pytest.approx(96, abs=0.2)
    assert len(inside) <= 3 * 4.2 * 3.5**3  # at most three balls of an eighth of 24 voxels, on a grid


def test_the_postprocess_removes_objects_by_their_size() -> None:
    labels = np.zeros((1, 6, 6), np.uint8)
    labels[0, 0, 0:2] = 1  # two voxels
    labels[0, 3, 0:3] = 1  # three
    labels[0, 4, 0:2] = 2  # two, touching three of another class
    labels[0, 1, 2] = 1  # touches only by an edge: an object of its own
    cleaned = postprocess.ComponentClass(voxels=3)(labels)
    assert cleaned.dtype == np.uint8
    assert np.argwhere(cleaned).tolist() == [[0, 3, 0], [0, 3, 1], [0, 3, 2]]
    np.testing.assert_array_equal(postprocess.ComponentClass(voxels=1)(labels), labels)


def test_the_runtime_computes_in_double_precision() -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 2, 3, padding=1)
    context = SimpleNamespace(network=lambda: network, device="cpu", threads=torch.get_num_threads())
    made = runtime.ComponentClass(**vars(context))
    batch = np.random.default_rng(0).random((2, 1, 5, 6), np.float32)
    logits = made.run(batch)
    assert logits.dtype == torch.float64
    weight, bias = network.weight.detach().double(), network.bias.detach().double()
    expected = torch.nn.functional.conv2d(torch.from_numpy(batch).double(), weight, bias, padding=1)
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)
    assert (made.device, made.free_bytes()) == ("cpu", None)
