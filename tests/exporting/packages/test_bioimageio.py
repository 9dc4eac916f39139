"""The package's structure and arithmetic; `check_with_tools.py` runs it in bioimageio.core."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import yaml
from onnxruntime import InferenceSession

import volseg_core
from volseg_core.errors import DataError, UsageError
from volseg_core.exporting.packages.bioimageio import _scale
from volseg_core.exporting.packages.steps import network_values, preprocessing, raw_values
from volseg_core.model import HeadSpec, ModelSpec, read_model
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule


def spec(kind="zscore", clip=(0.5, 99.5), channels=1, neighbours=0):
    classes = ClassMap((ClassName(0, "a"), ClassName(1, "b")), ())
    normalisation = Normalisation(kind, clip)
    return ModelSpec(
        (HeadSpec("multiclass", classes),),
        channels * (2 * neighbours + 1),
        normalisation,
        "z",
        SizeRule.same(32, 32, 2),
        neighbours,
    )


def applied(steps, image):
    """Apply steps as the specification defines them, statistics taken before the first (as bioimageio.core does)."""
    axes = {"channel": 1, "z": -3, "y": -2, "x": -1}
    raw = image.astype(np.float64)
    now = raw
    for step in steps:
        kwargs = step["kwargs"]
        over = tuple(axes[axis] for axis in kwargs.get("axes", ()))
        if "min_percentile" in kwargs:
            limits = [kwargs["min_percentile"], kwargs["max_percentile"]]
            low, high = np.percentile(raw, limits, axis=over, keepdims=True)
        if step["id"] == "scale_range":
            now = (now - low) / (high - low + 1e-6)
        elif step["id"] == "clip":
            now = np.clip(now, kwargs["min"], kwargs["max"]) if "min" in kwargs else np.clip(now, low, high)
        elif step["id"] == "scale_linear":
            now = now * kwargs["gain"] + kwargs["offset"]
        else:
            assert step["id"] == "zero_mean_unit_variance"
            now = (now - raw.mean(over, keepdims=True)) / (raw.std(over, keepdims=True) + 1e-6)
    return now


@pytest.mark.parametrize(
    "made",
    [
        spec(),
        spec("percentile", (1, 99)),
        spec("range", (-100, 300)),
        spec("none"),
        spec(channels=2),
        spec(neighbours=1),
        spec(channels=2, neighbours=1),
    ],
    ids=["zscore", "percentile", "range", "none", "channels", "neighbours", "both"],
)
def test_the_steps_normalise_the_test_input_as_volseg_does(made):
    noise = np.random.default_rng(0).normal(size=(2, made.in_channels, 64, 96)).astype(np.float32)
    noise *= np.arange(1, made.in_channels + 1)[:, None, None]
    image = raw_values(noise.astype(np.float32), made)
    np.testing.assert_allclose(applied(preprocessing(made), image), network_values(image, made), atol=2e-3)


def test_several_channels_are_normalised_each_by_itself_and_neighbours_together():
    assert preprocessing(spec(channels=2))[0]["kwargs"]["axes"] == ["y", "x"]
    assert preprocessing(spec(neighbours=2))[0]["kwargs"]["axes"] == ["channel", "y", "x"]


@pytest.fixture(scope="module")
def package(untrained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    run = untrained(folder / "run", ["model.encoder=resnet18"])
    volseg_core.export(run, output=folder / "m.onnx", bioimageio=folder / "m.zip")
    with zipfile.ZipFile(folder / "m.zip") as file:
        return folder, {name: file.read(name) for name in file.namelist()}


def test_it_holds_the_exported_file_and_hashes_that_fit(package):
    folder, files = package
    assert set(files) == {"rdf.yaml", "weights.onnx", "README.md", "test_input.npy", "test_output.npy"}
    assert files["weights.onnx"] == (folder / "m.onnx").read_bytes()
    rdf = yaml.safe_load(files["rdf.yaml"])
    named = [
        rdf["documentation"],
        rdf["weights"]["onnx"],
        *(rdf[end][0]["test_tensor"] for end in ("inputs", "outputs")),
    ]
    assert {item["source"] for item in named} == set(files) - {"rdf.yaml"}
    for item in named:
        assert item["sha256"] == hashlib.sha256(files[item["source"]]).hexdigest()


def test_axes_say_which_sizes_fit(package):
    rdf = yaml.safe_load(package[1]["rdf.yaml"])
    assert (rdf["type"], rdf["format_version"], rdf["weights"]["onnx"]["opset_version"]) == ("model", "0.5.12", 20)
    batch, channel, y, x = rdf["inputs"][0]["axes"]
    assert batch == {"type": "batch"}
    assert channel["channel_names"] == ["channel0"]
    assert (y["id"], y["size"], x["id"], x["size"]) == ("y", {"min": 32, "step": 32}, "x", {"min": 32, "step": 32})
    output = rdf["outputs"][0]
    assert output["axes"][1]["channel_names"] == ["class0", "class1", "class2"]
    assert output["axes"][2]["size"] == {"tensor_id": "image", "axis_id": "y"}
    assert output["postprocessing"] == [{"id": "softmax", "kwargs": {"axis": "channel"}}]
    assert rdf["config"]["volseg"]["model_id"] == read_model(package[0] / "m.onnx").id


def test_the_test_output_is_what_the_file_makes_of_the_test_input(package):
    folder, files = package
    image, wanted = (np.load(io.BytesIO(files[name])) for name in ("test_input.npy", "test_output.npy"))
    session = InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    steps = yaml.safe_load(files["rdf.yaml"])["inputs"][0]["preprocessing"]
    logits = session.run(None, {"image": applied(steps, image).astype(np.float32)})[0].astype(np.float64)
    power = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(power / power.sum(1, keepdims=True), wanted, atol=0.02)
    assert wanted.sum(1) == pytest.approx(1, abs=1e-5)


def test_the_page_says_what_only_its_author_can_add(package):
    page = package[1]["README.md"].decode()
    assert "## Validation" in page
    assert "`authors`, `license`, `cite`, `covers`" in page
    assert "percentiles 0.5 and 99.5" in page
    assert "class0 (id 0), class1 (id 1), class2 (id 2)" in page
    assert str(package[0]) not in page


def test_a_network_of_one_size_and_a_binary_one_say_so(untrained, tmp_path, monkeypatch):
    from volseg_core.exporting import convert

    overrides = ["model.encoder=resnet18", "task=binary", "loss=[bce]", "data.window=[64, 96]"]
    run = untrained(tmp_path / "run", overrides, classes=2, normalisation=Normalisation("none"))
    monkeypatch.setitem(convert.ATTEMPTS, "auto", [convert.Attempt("legacy", ())])
    volseg_core.export(run, output=tmp_path / "m.onnx", bioimageio=tmp_path / "m.zip")
    with zipfile.ZipFile(tmp_path / "m.zip") as file:
        rdf = yaml.safe_load(file.read("rdf.yaml"))
        page = file.read("README.md").decode()
    batch, _, y, x = rdf["inputs"][0]["axes"]
    assert (batch, y["size"], x["size"]) == ({"type": "batch", "size": 1}, 64, 96)
    assert rdf["inputs"][0]["preprocessing"] == []
    assert rdf["outputs"][0]["axes"][1]["channel_names"] == ["class1"]
    assert rdf["outputs"][0]["postprocessing"] == [{"id": "sigmoid"}]
    assert "Its size is 64 x 96." in page
    assert "None: the network takes values as they are." in page


def test_outputs_that_cannot_be_are_refused_before_any_work(package, tmp_path):
    folder, _ = package
    wrong = [
        ({"bioimageio": tmp_path / "m.tar"}, UsageError, r"--bioimageio: m.tar does not end in .zip"),
        ({"bioimageio": tmp_path / "none" / "m.zip"}, DataError, r"none: does not exist"),
        (
            {"bioimageio": folder / "m.zip"},
            DataError,
            r"m.zip: exists. Use --overwrite to replace it, or another --bio",
        ),
        ({"bioimageio": tmp_path / "m.zip", "int8": "a.h5"}, UsageError, r"integers differ by more from machine to"),
    ]
    for options, kind, message in wrong:
        with pytest.raises(kind, match=message):
            volseg_core.export(folder / "run", output=tmp_path / "m.onnx", **options)
    assert list(tmp_path.iterdir()) == []


SMALL = ["model.f_maps=4", "model.num_levels=2", "model.num_groups=2"]


def packaged(untrained, folder, overrides, **facts):
    """Return the description, the page and both test tensors of a network with random weights."""
    run = untrained(folder / "run", overrides, **facts)
    volseg_core.export(run, output=folder / "m.onnx", bioimageio=folder / "m.zip")
    with zipfile.ZipFile(folder / "m.zip") as file:
        rdf = yaml.safe_load(file.read("rdf.yaml"))
        sources = [item["test_tensor"]["source"] for end in ("inputs", "outputs") for item in rdf[end]]
        tensors = [np.load(io.BytesIO(file.read(name))) for name in sources]
        return rdf, file.read("README.md").decode(), *tensors


def logits_of(folder, rdf, image):
    seen = applied(rdf["inputs"][0]["preprocessing"], image).astype(np.float32)
    return InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"]).run(None, {"image": seen})


def test_a_3d_network_has_three_axes_and_statistics_over_all_of_them(untrained, tmp_path):
    rdf, page, image, wanted = packaged(untrained, tmp_path, SMALL, base="patches", classes=2)
    assert [axis.get("id") for axis in rdf["inputs"][0]["axes"]] == [None, "channel", "z", "y", "x"]
    assert rdf["inputs"][0]["axes"][2]["size"] == {"min": 2, "step": 1}
    assert rdf["outputs"][0]["axes"][2] == {
        "type": "space", "id": "z", "size": {"tensor_id": "image", "axis_id": "z"},
    }  # fmt: skip
    assert rdf["inputs"][0]["preprocessing"][0]["kwargs"]["axes"] == ["channel", "z", "y", "x"]
    assert "3d" in rdf["tags"]
    assert "Depth, height and width are multiples of 1, 2 or more" in page
    assert "windows that overlap" in page
    power = np.exp(logits_of(tmp_path, rdf, image)[0].astype(np.float64))
    np.testing.assert_allclose(power / power.sum(1, keepdims=True), wanted, atol=0.02)


def test_values_of_a_regression_come_in_their_unit(untrained, tmp_path):
    overrides = [*SMALL, "task=regression", "loss=[mse]", "metrics=[mse]"]
    facts = {"base": "patches", "normalisation": Normalisation("none")}
    (tmp_path / "one").mkdir()
    rdf, page, image, wanted = packaged(
        untrained, tmp_path / "one", overrides, classes=1, scaling=((5.0,), (2.0,)), **facts
    )
    assert rdf["outputs"][0]["id"] == "values"
    assert rdf["outputs"][0]["postprocessing"] == [{"id": "scale_linear", "kwargs": {"gain": 2.0, "offset": 5.0}}]
    assert "The output holds values of class0." in page
    np.testing.assert_allclose(logits_of(tmp_path / "one", rdf, image)[0] * 2 + 5, wanted, atol=1e-4)
    rdf, *_ = packaged(untrained, tmp_path, overrides, classes=2, scaling=((5.0, 6.0), (2.0, 3.0)), **facts)
    kwargs = {"axis": "channel", "gain": [2.0, 3.0], "offset": [5.0, 6.0]}
    assert rdf["outputs"][0]["postprocessing"] == [{"id": "scale_linear", "kwargs": kwargs}]


def test_every_head_has_an_output_with_steps_of_its_own(untrained, tmp_path):
    heads = (
        "heads={cells: {task: multilabel, loss: [bce]}, depth: {task: regression, loss: [mse], metrics: [mse]}, "
        "inside: {task: binary, loss: [bce]}}"
    )
    overrides = [*SMALL, "task=null", "loss=null", "metrics=null", heads]
    rdf, page, image, *wanted = packaged(
        untrained, tmp_path, overrides, base="patches", classes=2, normalisation=Normalisation("none")
    )
    assert [output["id"] for output in rdf["outputs"]] == ["cells", "depth", "inside"]
    assert [output["postprocessing"] for output in rdf["outputs"]] == [[{"id": "sigmoid"}], [], [{"id": "sigmoid"}]]
    assert [output["axes"][1]["channel_names"] for output in rdf["outputs"]][2] == ["class1"]
    assert "The output depth holds values of class0, class1. The output inside holds probabilities of class1." in page
    cells, depth, inside = logits_of(tmp_path, rdf, image)
    for logits, found in ((cells, wanted[0]), (inside, wanted[2])):
        np.testing.assert_allclose(1 / (1 + np.exp(-logits)), found, atol=1e-5)
    np.testing.assert_allclose(depth, wanted[1], atol=1e-5)


NANOMETRES = {"spacing": (20.0, 5.0, 4.0), "unit": "nm"}


def test_a_network_of_resampled_volumes_says_so_and_what_its_voxels_are(untrained, tmp_path):
    overrides = [*SMALL, "data.resample=[20, 5, 4]"]
    rdf, page, *_ = packaged(untrained, tmp_path, overrides, base="patches", classes=2, **NANOMETRES)
    for axes in (rdf["inputs"][0]["axes"], rdf["outputs"][0]["axes"]):
        assert [axis.get("unit") for axis in axes] == [None, None, *["nanometer"] * 3]
        assert [axis.get("scale") for axis in axes] == [None, None, 20, 5, 4]
    assert rdf["config"]["volseg"]["resample"] == [20, 5, 4]
    assert "Resample every volume to voxels of 20 x 5 x 4 nm (z, y, x) before anything else" in page


def test_without_resampling_the_page_says_on_what_voxels_it_was_trained(package, untrained, tmp_path):
    rdf, page, *_ = packaged(untrained, tmp_path, SMALL, base="patches", classes=2, spacing=(1.0, 1.0, 1.0))
    assert "has voxels of 1 x 1 x 1 (z, y, x); volumes are not resampled" in page
    assert not {"unit", "scale"} & set(rdf["inputs"][0]["axes"][2]), "without a unit a scale means nothing"
    assert "do not say their voxel size" in package[1]["README.md"].decode()
    assert yaml.safe_load(package[1]["rdf.yaml"])["config"]["volseg"]["resample"] is None


@pytest.mark.parametrize(
    ("axes", "unit", "scales"),
    [
        ("z", "nm", [{"unit": "nanometer", "scale": 5.0}, {"unit": "nanometer", "scale": 4.0}]),
        ("x", "µm", [{"unit": "micrometer", "scale": 20.0}, {"unit": "micrometer", "scale": 5.0}]),
        ("zy", "mm", [{}, {"unit": "millimeter", "scale": 4.0}]),
        ("z", "px", [{}, {}]),
    ],
)
def test_axes_of_slices_have_a_scale_where_all_slices_share_it(axes, unit, scales):
    made = replace(spec(), axes=axes, spacing=(20.0, 5.0, 4.0), unit=unit)
    assert [_scale(made, axis) for axis in "yx"] == scales
