"""Export in less precision: real networks, measured on real predictions."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest

import volseg_core
from volseg_core.errors import DataError, PluginError, UsageError
from volseg_core.exporting.loss import MAX_LOSS
from volseg_core.model import read_model


@pytest.fixture(scope="module")
def halved(trained, tmp_path_factory):
    return volseg_core.export(trained.run, output=tmp_path_factory.mktemp("half") / "m.onnx", fp16=True)


@pytest.fixture(scope="module")
def integer(trained, tmp_path_factory):
    output = tmp_path_factory.mktemp("int8") / "m.onnx"
    return volseg_core.export(trained.run, output=output, int8=trained.volume, force=True)


def test_half_precision_is_measured_on_the_held_out_part_and_recorded(trained, halved):
    model = read_model(halved.path)
    assert (model.export["precision"], model.id) == ("float16", read_model(trained.run).id)
    loss = model.export["loss"]
    assert loss["on"].startswith("cube.h5 [z ")
    assert loss["lost"] == pytest.approx(loss["full"] - loss["reduced"])
    assert abs(loss["lost"]) < 0.005
    assert loss["allowed"] == MAX_LOSS == 0.01
    kinds = {item.data_type for item in onnx.load(halved.path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert all(item.good and item.precision == "float16" for item in halved.parity)


def test_integers_are_calibrated_measured_and_a_fraction_of_the_size(trained, integer, tmp_path):
    full = volseg_core.export(trained.run, output=tmp_path / "full.onnx").path
    assert integer.path.stat().st_size < 0.5 * full.stat().st_size
    export = read_model(integer.path).export
    assert (export["precision"], export["calibration"]) == ("int8", {"windows": 64})
    assert export["loss"]["same"] == integer.loss.same > 0.8
    same = volseg_core.predict(full, trained.volume).labels == volseg_core.predict(integer.path, trained.volume).labels
    assert same.mean() > 0.9


def test_verify_uses_the_tolerance_of_the_precision(integer, halved):
    for done, precision, difference in ((halved, "float16", 2e-2), (integer, "int8", 0.3)):
        parity, _ = volseg_core.verify(done.path, device="cpu")
        assert parity.good
        assert (parity.precision, parity.tolerance.difference) == (precision, difference)
    assert volseg_core.verify(integer.path, device="cpu")[0].difference > 1e-3, "float32 would not allow it"


def test_the_command_line_tells_precision_and_loss(volseg, integer):
    shown = volseg("inspect", integer.path)
    assert "precision      int8\n" in shown.out
    assert f"lost           {integer.loss.describe()}" in shown.out
    assert "good: allowed are 0.3 and 90.0% in int8" in volseg("verify", integer.path, "--device", "cpu").out
    facts = json.loads(volseg("inspect", integer.path, "--json").out)
    assert facts["precision"] == "int8"


def test_a_file_that_loses_too_much_is_refused_unless_forced(trained, tmp_path, monkeypatch, volseg):
    from volseg_core.exporting import reduce

    real = reduce.half

    def spoiled(content):
        proto = onnx.load_from_string(real(content))
        last = next(item for item in proto.graph.initializer if item.name.endswith("segmentation_head.0.bias"))
        bias = onnx.numpy_helper.to_array(last).copy()
        bias[0] += 100
        last.CopyFrom(onnx.numpy_helper.from_array(bias, last.name))
        return proto.SerializeToString()

    monkeypatch.setattr(reduce, "half", spoiled)
    with pytest.raises(PluginError, match=r"the float16 file is too far from the network: .*; leave --fp16 out"):
        volseg_core.export(trained.run, output=tmp_path / "m.onnx", fp16=True)
    monkeypatch.undo()
    options = ("export", trained.run, "-o", tmp_path / "m.onnx", "--int8", trained.volume, "--max-loss", "0")
    options = (*options, "--on", trained.volume)
    refused = volseg(*options)
    assert refused.code == 4
    assert "export: int8 loses too much: " in refused.err
    assert "of Dice on cube.h5" in refused.err
    assert "At most 0 may be lost; set --max-loss, or write it all the same with --force." in refused.err
    assert list(tmp_path.iterdir()) == []
    forced = volseg(*options, "--force")
    assert forced.ok
    assert "int8 loses too much: " in forced.err
    assert "int8 loses 0." in forced.out


def test_without_files_to_measure_on_it_is_said(untrained, tmp_path, caplog):
    run = untrained(tmp_path / "run", ["model.encoder=resnet18"])
    done = volseg_core.export(run, fp16=True)
    assert done.loss is None
    assert "what float16 loses was not measured: give --on VOLUME" in caplog.text
    from volseg_core.exporting.reading import describe_export

    assert describe_export(read_model(done.path))["lost"] == "not measured"


def test_a_run_is_not_predicted_by_a_file_of_less_precision_beside_it(trained, halved, tmp_path, caplog):
    run = shutil.copytree(trained.run, tmp_path / "run")
    shutil.copy(halved.path, run / "model.onnx")
    volume = np.random.default_rng(0).normal(size=(3, 40, 40)).astype(np.float32)
    with caplog.at_level("INFO", "volseg"):
        assert volseg_core.predict(run, volume, device="cpu").record["runtime"]["use"] == "volseg/torch"
    assert "model.onnx is in float16 and not used for the run; predict with it by its name" in caplog.text
    assert volseg_core.predict(run / "model.onnx", volume).record["runtime"]["use"] == "volseg/onnxruntime"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fp16": True, "int8": "a.h5"}, "--fp16: a file has one precision, and --int8 asks for another. Export twice"),
        ({"on": "a.h5"}, "--on: float32 loses nothing that could be measured. Add --fp16 or --int8 VOLUME"),
        ({"labels": "a.h5"}, "--labels: float32 loses nothing that could be measured"),
        ({"fp16": True, "labels": "a.h5"}, "--labels: belong to a volume, and none is given. Add --on VOLUME"),
        ({"fp16": True, "max_loss": 2}, "--max-loss: 2 is not between 0 and 1"),
    ],
)
def test_options_that_contradict_one_another_are_refused(trained, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        volseg_core.export(trained.run, output=tmp_path / "m.onnx", **options)


def test_volumes_that_do_not_fit_are_refused_before_anything_is_written(trained, tmp_path):
    channels = np.zeros((2, 8, 32, 32), np.float32)
    with pytest.raises(UsageError, match="array data: has 2 channels; the model was trained on 1"):
        volseg_core.export(trained.run, output=tmp_path / "m.onnx", int8=channels)
    with pytest.raises(DataError, match="gone.h5: does not exist"):
        volseg_core.export(trained.run, output=tmp_path / "m.onnx", fp16=True, on="gone.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_a_precision_of_the_future_is_not_verified(integer, tmp_path):
    proto = onnx.load(integer.path)
    for item in proto.metadata_props:
        if item.key == "volseg.export":
            item.value = json.dumps({**json.loads(item.value), "precision": "int2"})
    onnx.save(proto, tmp_path / "m.onnx")
    shutil.copy(integer.path.with_name("m.vectors.npz"), tmp_path)
    with pytest.raises(DataError, match=r"has the precision 'int2', unknown to this volseg. Update volseg"):
        volseg_core.verify(tmp_path / "m.onnx", device="cpu")


def test_a_damaged_record_of_the_export_is_an_error(integer, tmp_path, volseg):
    proto = onnx.load(integer.path)
    for item in proto.metadata_props:
        if item.key == "volseg.export":
            item.value = json.dumps({**json.loads(item.value), "loss": {"on": "x"}})
    onnx.save(proto, tmp_path / "m.onnx")
    shown = volseg("inspect", tmp_path / "m.onnx")
    assert shown.code == 4
    assert "has a damaged volseg.export (KeyError: 'same')" in shown.err
