"""The repository's layout, and its configuration by the messages of Triton's schema that it uses."""

from __future__ import annotations

import json

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

import volseg_core
from volseg_core.errors import DataError
from volseg_core.exporting.packages.triton import triton_config
from volseg_core.model import HeadSpec, ModelFile, ModelSpec, read_model
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule

MESSAGES = {
    "Tensor": {"name": "string", "data_type": "string", "dims": "*int64"},
    "Group": {"count": "int32", "kind": "string"},
    "Batching": {"preferred_batch_size": "*int32"},
    "Value": {"string_value": "string"},
    "Parameter": {"key": "string", "value": "Value"},
    "Data": {"data_type": "string", "dims": "*int64", "random_data": "bool"},
    "Input": {"key": "string", "value": "Data"},
    "Warmup": {"name": "string", "batch_size": "uint32", "inputs": "*Input"},
    "Config": {
        "name": "string",
        "backend": "string",
        "max_batch_size": "int32",
        "input": "*Tensor",
        "output": "*Tensor",
        "instance_group": "*Group",
        "dynamic_batching": "Batching",
        "parameters": "*Parameter",
        "model_warmup": "*Warmup",
    },
}
"""Fields of model_config.proto; enumerations are names here, maps are lists of entries, as they are written."""
QUOTED = ("TYPE_FP32", "KIND_GPU", "KIND_CPU")


def parsed(text):
    """Return a configuration; a field that the schema does not have is an error."""
    file = descriptor_pb2.FileDescriptorProto(name="config.proto", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            added = message.field.add(name=field, number=number, label=3 if kind.startswith("*") else 1)
            word = kind.removeprefix("*")
            if word in MESSAGES:
                added.type, added.type_name = added.TYPE_MESSAGE, f".{word}"
            else:
                added.type = getattr(added, f"TYPE_{word.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    for word in QUOTED:
        text = text.replace(word, f'"{word}"')
    return text_format.Parse(text, message_factory.GetMessageClass(pool.FindMessageTypeByName("Config"))())


def model(tmp_path, free, precision="float32", window=(), task="multiclass"):
    classes = ClassMap((ClassName(0, "a"), ClassName(1, "b")), ())
    spec = ModelSpec((HeadSpec(task, classes),), 1, Normalisation(), "z", SizeRule.same(32, 300, 2), window=window)
    return ModelFile(tmp_path / "m.onnx", spec, {}, "id", {"free": free, "precision": precision})


def test_free_sizes_are_minus_one_and_the_batch_is_left_to_the_server(tmp_path):
    config = parsed(triton_config(model(tmp_path, ["batch", "height", "width"]), "em"))
    assert (config.name, config.backend, config.max_batch_size) == ("em", "onnxruntime", 8)
    assert (config.input[0].name, config.input[0].data_type, list(config.input[0].dims)) == (
        "image",
        "TYPE_FP32",
        [1, -1, -1],
    )
    assert (config.output[0].name, list(config.output[0].dims)) == ("logits", [2, -1, -1])
    assert [(group.count, group.kind) for group in config.instance_group] == [(1, "KIND_GPU")]
    assert list(config.dynamic_batching.preferred_batch_size) == [8]
    assert [(each.key, each.value.string_value) for each in config.parameters] == [("cudnn_conv_algo_search", "1")]
    warmup = config.model_warmup[0]
    assert (warmup.batch_size, list(warmup.inputs[0].value.dims)) == (8, [1, 320, 320]), "300 at least, by 32"


def test_a_fixed_size_and_a_fixed_batch_are_dimensions(tmp_path):
    sized = parsed(triton_config(model(tmp_path, ["batch"], window=(64, 96), task="binary"), "em"))
    assert (sized.max_batch_size, list(sized.input[0].dims), list(sized.output[0].dims)) == (
        8,
        [1, 64, 96],
        [1, 64, 96],
    )
    fixed = parsed(triton_config(model(tmp_path, [], window=(64, 96)), "em"))
    assert (fixed.max_batch_size, list(fixed.input[0].dims)) == (0, [1, 1, 64, 96])
    assert list(fixed.output[0].dims) == [1, 2, 64, 96]
    assert not fixed.HasField("dynamic_batching")
    assert (fixed.model_warmup[0].batch_size, list(fixed.model_warmup[0].inputs[0].value.dims)) == (1, [1, 1, 64, 96])


def test_integers_run_on_the_cpu(tmp_path):
    config = parsed(triton_config(model(tmp_path, ["batch", "height", "width"], "int8"), "em"))
    assert config.instance_group[0].kind == "KIND_CPU"
    assert not config.parameters


def test_a_repository_gets_a_folder_for_the_model_and_keeps_others(untrained, tmp_path):
    run = untrained(tmp_path / "run", ["model.encoder=resnet18", "data.resample=[8, 4, 4]"], unit="nm")
    repository = tmp_path / "models"
    (repository / "other").mkdir(parents=True)
    volseg_core.export(run, output=tmp_path / "my em.onnx", triton=repository)
    folder = repository / "my_em"
    files = sorted(str(path.relative_to(repository)) for path in repository.rglob("*"))
    assert files == ["my_em", "my_em/1", "my_em/1/model.onnx", "my_em/config.pbtxt", "my_em/volseg.json", "other"]
    assert (folder / "1" / "model.onnx").read_bytes() == (tmp_path / "my em.onnx").read_bytes()
    assert parsed((folder / "config.pbtxt").read_text()).name == "my_em"
    facts = json.loads((folder / "volseg.json").read_text())
    made = read_model(run)
    assert facts["model_id"] == made.id
    assert (facts["resample"], facts["spec"]["unit"]) == ([8, 4, 4], "nm")
    assert facts["spec"] == json.loads(json.dumps(made.spec.to_dict()))
    (tmp_path / "my em.onnx").unlink()
    with pytest.raises(DataError, match=r"my_em: exists. Use --overwrite to replace it, or another --triton"):
        volseg_core.export(run, output=tmp_path / "my em.onnx", triton=repository)
    (folder / "stale.txt").write_text("of the version before")
    volseg_core.export(run, output=tmp_path / "my em.onnx", triton=repository, overwrite=True)
    assert not (folder / "stale.txt").exists()
    assert sorted(path.name for path in repository.iterdir()) == ["my_em", "other"]


def test_boxes_have_a_depth_small_batches_and_an_output_for_each_head(tmp_path):
    classes = ClassMap((ClassName(0, "a"), ClassName(1, "b"), ClassName(2, "c")), ())
    heads = (HeadSpec("regression", classes, "depth"), HeadSpec("binary", classes, "inside"))
    spec = ModelSpec(heads, 1, Normalisation(), "zyx", SizeRule.same(16, 16, 3))
    free = {"free": ["batch", "depth", "height", "width"], "precision": "float32"}
    config = parsed(triton_config(ModelFile(tmp_path / "m.onnx", spec, {}, "id", free), "em"))
    assert config.max_batch_size == 2
    assert list(config.input[0].dims) == [1, -1, -1, -1]
    assert [(output.name, list(output.dims)) for output in config.output] == [
        ("depth", [3, -1, -1, -1]),
        ("inside", [1, -1, -1, -1]),
    ]
    assert list(config.model_warmup[0].inputs[0].value.dims) == [1, 64, 64, 64]
