"""Export of real networks: the file gives the logits of the trained network, at sizes it was not traced at."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest

import volseg_core
from volseg_core.errors import DataError, PluginError, UsageError
from volseg_core.model import read_model

PAIRS = [
    ("unet", "tu-tf_efficientnet_lite0"),
    ("unetplusplus", "resnet18"),
    ("manet", "resnet18"),
    ("linknet", "resnet18"),
    ("fpn", "resnet18"),
    ("pspnet", "resnet18"),
    ("deeplabv3", "resnet18"),
    ("deeplabv3plus", "resnet18"),
    ("pan", "resnet18"),
    ("upernet", "resnet18"),
    ("segformer", "mit_b0"),
    ("unet", "tu-convnext_atto"),
]


@pytest.mark.parametrize(("architecture", "encoder"), PAIRS)
def test_an_architecture_exports_with_all_sizes_free(untrained, tmp_path, architecture, encoder):
    run = untrained(tmp_path / "run", [f"model={architecture}", f"model.encoder={encoder}"])
    done = volseg_core.export(run, exporter="legacy")
    assert done.attempt.free == ("batch", "height", "width"), done.failed
    assert len({item.shape for item in done.parity}) == 3
    assert all(item.good for item in done.parity)


def test_the_newer_exporter_gives_the_same(untrained, tmp_path):
    run = untrained(tmp_path / "run", ["model.encoder={use: resnet18, depth: 3}", "model.decoder_channels=[32,16,8]"])
    done = volseg_core.export(run, exporter="dynamo")
    assert (done.attempt.exporter, done.attempt.free) == ("dynamo", ("batch", "height", "width")), done.failed
    parity, device = volseg_core.verify(run / "model.onnx", device="cpu")
    assert parity.good
    assert device == "cpu"


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        (["task=binary", "loss=[bce]"], {"classes": 2}),
        (["data.neighbours=1"], {"in_channels": 3, "neighbours": 1}),
    ],
    ids=["binary", "neighbours"],
)
def test_binary_networks_and_those_with_neighbours_predict_the_same_from_onnx(untrained, tmp_path, overrides, options):
    run = untrained(tmp_path / "run", ["model.encoder=resnet18", *overrides], **options)
    volume = np.random.default_rng(0).normal(100, 20, (5, 40, 72)).astype(np.float32)
    before = volseg_core.predict(run, volume, probabilities=True).arrays
    volseg_core.export(run)
    after = volseg_core.predict(run / "model.onnx", volume, probabilities=True).arrays
    np.testing.assert_allclose(after["probabilities"], before["probabilities"], atol=2e-3)
    assert (after["labels"] == before["labels"]).mean() >= 0.9999


@pytest.fixture(scope="module")
def exported(untrained, tmp_path_factory):
    run = untrained(tmp_path_factory.mktemp("exported") / "run", ["model.encoder=resnet18"])
    volseg_core.export(run)
    return run


def test_a_run_and_its_onnx_file_give_the_same_labels(exported, trained):
    volume = trained.volume
    torch_side = volseg_core.predict(exported, volume, runtime="torch", quality="low")
    onnx_side = volseg_core.predict(exported, volume, device="cpu", quality="low")
    assert torch_side.record["runtime"]["use"] == "volseg/torch"
    assert onnx_side.record["runtime"]["use"] == "volseg/onnxruntime", "faster on a CPU"
    assert (torch_side.labels == onnx_side.labels).mean() >= 0.9999


def test_on_a_real_volume_they_do_too(exported):
    path = Path(__file__).resolve().parents[2].parent / "shared/data/isbi2012_em/train.h5"
    if not path.exists():
        pytest.skip("the development data is not here")
    with h5py.File(path) as file:
        volume = file["data"][:6, :256, :256]
    labels = [
        volseg_core.predict(exported, volume, runtime=runtime, device="cpu", quality="low").labels
        for runtime in ("torch", "onnxruntime")
    ]
    assert len(np.unique(labels[0])) > 1
    assert (labels[0] == labels[1]).mean() >= 0.9999


ALONE = """
import sys

ABSENT = "torch", "onnx", "onnxscript", "lightning", "segmentation_models_pytorch", "timm"

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
sys.argv = ["volseg", *sys.argv[1:]]
from volseg_core.cli import main
main()
"""


def test_verify_predict_and_inspect_work_where_the_libraries_of_training_are_not_installed(exported, trained, tmp_path):
    model = exported / "model.onnx"
    for words in (
        ["verify", model, "--device", "cpu"],
        ["inspect", model],
        ["predict", model, trained.volume, "-o", tmp_path / "seg.h5", "--quality", "low", "--device", "cpu"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", ALONE, *map(str, words)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "seg.h5") as file:
        alone = file["labels"][()]
    together = volseg_core.predict(exported, trained.volume, runtime="torch", device="cpu", quality="low").labels
    assert (alone == together).mean() >= 0.9999


def test_the_file_carries_its_recipe_and_no_path_of_this_machine(exported):
    path = exported / "model.onnx"
    model, run = read_model(path), read_model(exported)
    assert (model.id, model.recipe, model.spec) == (run.id, run.recipe, run.spec)
    assert model.export["precision"] == "float32"
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert not any(node.doc_string or node.metadata_props for node in proto.graph.node)
    assert b"site-packages" not in path.read_bytes()


def test_other_vectors_do_not_verify(exported, tmp_path):
    for name in ("model.onnx", "model.vectors.npz"):
        shutil.copy(exported / name, tmp_path)
    with np.load(tmp_path / "model.vectors.npz") as content:
        image, logits = content["image"], content["logits"]
    np.savez(tmp_path / "model.vectors.npz", image=image, logits=logits + 1)
    with pytest.raises(DataError, match="another checksum"):
        volseg_core.verify(tmp_path / "model.onnx")


def test_a_run_trained_further_does_not_use_its_old_export(untrained, exported, tmp_path, caplog):
    run = untrained(tmp_path / "run", ["model.encoder=resnet18"], seed=1)
    shutil.copy(exported / "model.onnx", run / "model.onnx")
    volume = np.zeros((1, 32, 32), np.float32) + np.arange(32)
    assert volseg_core.predict(run, volume, device="cpu").record["runtime"]["use"] == "volseg/torch"
    assert "holds other weights than weights.safetensors and is not used; export again" in caplog.text


def test_what_cannot_be_exported_or_used_is_refused(untrained, exported, tmp_path):
    with pytest.raises(DataError, match="exists"):
        volseg_core.export(exported)
    with pytest.raises(UsageError, match=r"does not end in \.onnx"):
        volseg_core.export(exported, output=tmp_path / "m.pt")
    with pytest.raises(UsageError, match="is an exported model already"):
        volseg_core.export(exported / "model.onnx", output=tmp_path / "m.onnx")
    with pytest.raises(DataError, match="is not an exported model"):
        volseg_core.verify(untrained(tmp_path / "run", ["model.encoder=resnet18"]))
    with pytest.raises(DataError, match="its network is in ONNX. Use --runtime onnxruntime"):
        volseg_core.predict(exported / "model.onnx", np.zeros((2, 32, 32), np.float32), runtime="torch")
    with pytest.raises(UsageError, match="is an exported model. Give the run"):
        volseg_core.train(
            "slices",
            data=np.random.default_rng(0).normal(size=(9, 32, 32)),
            labels=np.arange(9 * 32 * 32).reshape(9, 32, 32) % 3,
            output=tmp_path / "t",
            start_from=exported / "model.onnx",
            overrides=["model.encoder=resnet18"],
        )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"in_channels": 2}, "takes 1 channels, but its volseg.spec says 2. Export the model again."),
        ({"task": "binary"}, "gives 3 channels of logits, but its volseg.spec means 1. Export the model again."),
    ],
)
def test_a_graph_that_does_not_fit_its_spec_is_refused(exported, tmp_path, change, text):
    proto = onnx.load(exported / "model.onnx")
    for item in proto.metadata_props:
        if item.key == "volseg.spec":
            item.value = json.dumps(json.loads(item.value) | change)
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(DataError, match=re.escape(text)):
        read_model(tmp_path / "other.onnx")


def test_a_model_of_others_is_named_for_what_it_lacks(exported, tmp_path):
    proto = onnx.load(exported / "model.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "foreign.onnx")
    with pytest.raises(DataError, match=r"was not made by volseg: it carries no volseg\.spec"):
        read_model(tmp_path / "foreign.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(DataError, match="is not an ONNX file, or is truncated"):
        read_model(tmp_path / "text.onnx")


def test_a_network_that_no_exporter_takes_lists_every_attempt(untrained, tmp_path, monkeypatch):
    run = untrained(tmp_path / "run", ["model.encoder=resnet18"])

    def refuse(*_args):
        message = "no such operator\nsecond line"
        raise RuntimeError(message)

    monkeypatch.setattr("volseg_core.exporting.convert.converted", refuse)
    with pytest.raises(PluginError) as raised:
        volseg_core.export(run)
    assert str(raised.value).count("RuntimeError: no such operator") == 4
    assert not (run / "model.onnx").exists()


def test_a_network_of_one_size_is_narrowed_and_predicts_any_volume(untrained, tmp_path, monkeypatch):
    """Where parity fails with all sizes free the size is fixed; planes of other sizes are covered by windows."""
    from volseg_core.exporting import convert

    run = untrained(tmp_path / "run", ["model.encoder=resnet18", "data.window=[64, 64]"])
    real = convert.converted

    def only_batch(network, image, attempt, outputs):
        if "height" in attempt.free:
            raise RuntimeError(attempt.exporter)
        return real(network, image, attempt, outputs)

    monkeypatch.setattr(convert, "converted", only_batch)
    done = volseg_core.export(run)
    assert (done.attempt.free, len(done.failed)) == (("batch",), 2)
    assert read_model(run / "model.onnx").spec.window == (64, 64)
    volume = np.random.default_rng(0).normal(100, 20, (3, 40, 150)).astype(np.float32)
    found = volseg_core.predict(run / "model.onnx", volume)
    wanted = volseg_core.predict(run, volume, runtime="torch", overrides=["predict.window=[64, 64]"])
    assert found.labels.shape == (3, 40, 150)
    assert (found.labels == wanted.labels).mean() > 0.99
