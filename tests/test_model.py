from __future__ import annotations

import dataclasses
import json
import os
import pickle
import resource
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.errors import DataError, UsageError
from volseg_core.model import WEIGHTS, HeadSpec, ModelSpec, find_weights, read_header, read_model, write_model
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

torch = pytest.importorskip("torch")

SPEC = ModelSpec(
    heads=(HeadSpec("multiclass", ClassMap((ClassName(0, "ground"), ClassName(7, "cell")), (-1, 255))),),
    in_channels=1,
    normalisation=Normalisation("percentile", (1.0, 99.0)),
    axes="zyx",
    sizes=SizeRule.same(32, 32, 2),
    window=(1, 256, 256),
    spacing=(2.0, 1.0, 1.0),
    unit="nm",
    made_with={"volseg": "0.1.0"},
)
RECIPE = {"name": "slices", "model": {"use": "volseg/unet"}}


def tensors() -> dict[str, Any]:
    shared = torch.arange(6.0)
    return {"weight": shared.reshape(2, 3), "twin": shared, "turned": torch.ones(3, 2).T, "count": torch.tensor(5)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / WEIGHTS
    write_model(path, tensors(), SPEC, RECIPE)
    return path


def rewrite(path: Path, change: Any) -> Path:
    """Write the file again with its header changed by a function of it, the tensors as they were."""
    header, length = read_header(path)
    body = path.read_bytes()[8 + length :]
    text = json.dumps(change(header)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def with_metadata(**values: str) -> Any:
    def change(header: dict[str, Any]) -> dict[str, Any]:
        keys = {f"volseg.{key}": value for key, value in values.items()}
        return {**header, "__metadata__": {**header["__metadata__"], **keys}}

    return change


def with_spec(**values: Any) -> Any:
    return with_metadata(spec=json.dumps({**SPEC.to_dict(), **values}))


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ").rstrip(".")


def test_a_model_says_what_was_written(model: Path) -> None:
    read = read_model(model)
    assert (read.spec, read.recipe, read.path) == (SPEC, RECIPE, model)


def test_a_spec_may_leave_out_what_it_does_not_know(tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, spacing=None, window=(), unit="", made_with={})
    write_model(tmp_path / "m.safetensors", tensors(), spec, RECIPE)
    assert read_model(tmp_path / "m.safetensors").spec == spec


def test_tensors_survive_shared_and_transposed_ones_too(model: Path) -> None:
    from safetensors.torch import load_file

    loaded = load_file(model)
    for name, tensor in tensors().items():
        np.testing.assert_array_equal(loaded[name].numpy(), tensor.numpy())


def test_a_run_folder_stands_for_its_weights(model: Path) -> None:
    assert read_model(model.parent).path == model
    assert read_model(str(model.parent)).id == read_model(model).id
    assert find_weights(model) == model


def test_the_id_is_that_of_the_weights_whatever_is_said_about_them(model: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(SPEC, unit="um")
    first = read_model(model).id
    assert write_model(tmp_path / "told.safetensors", tensors(), other, {"name": "other"}) == first
    changed = {**tensors(), "count": torch.tensor(6)}
    assert write_model(tmp_path / "changed.safetensors", changed, SPEC, RECIPE) != first


def test_writing_replaces_at_once_and_leaves_nothing_else(model: Path) -> None:
    write_model(model, {"one": torch.zeros(1)}, SPEC, RECIPE)
    assert [entry.name for entry in model.parent.iterdir()] == [WEIGHTS]
    assert set(read_header(model)[0]) == {"one", "__metadata__"}


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_model(tmp_path / "nowhere" / WEIGHTS, tensors(), SPEC, RECIPE)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def little_room() -> Iterator[None]:
    """Files end at 64 KiB, as on a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_failed_write_keeps_the_model_that_was_there(model: Path, little_room: None) -> None:
    before = model.read_bytes()
    with pytest.raises(DataError, match=r"weights\.safetensors: cannot be written \(.*too large"):
        write_model(model, {"big": torch.zeros(100_000)}, SPEC, RECIPE)
    assert model.read_bytes() == before
    assert [entry.name for entry in model.parent.iterdir()] == [WEIGHTS]


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.safetensors") == "does not exist"
    with pytest.raises(DataError, match=r"is not a finished run: it holds no weights\.safetensors\. Train first"):
        read_model(tmp_path)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(model: Path, kept: Any) -> None:
    content = model.read_bytes()
    model.write_bytes(content[: int(len(content) * kept)])
    assert "truncated" in refusal(model)


def test_a_file_with_something_behind_it_is_refused(model: Path) -> None:
    model.write_bytes(model.read_bytes() + b"more")
    assert refusal(model) == "is damaged: 4 bytes follow its last tensor"


class Trap:
    """What a pickle may do when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_refused_and_nothing_in_it_runs(tmp_path: Path, protocol: Any) -> None:
    sprung = tmp_path / "sprung"
    path = tmp_path / "model.pytorch"
    path.write_bytes(pickle.dumps({"model_state_dict": Trap(sprung)}, protocol))
    text = refusal(path)
    assert not sprung.exists()
    if protocol > 1:
        assert text.startswith("is a pickle or archive, which can run code when loaded; refused")
    pickle.loads(path.read_bytes())  # noqa: S301  (the trap works)
    assert sprung.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_checkpoint_is_refused(tmp_path: Path, zipped: Any) -> None:
    path = tmp_path / "model.pytorch"
    torch.save(
        {"weights": torch.zeros(3), "trap": Trap(tmp_path / "sprung")}, path, _use_new_zipfile_serialization=zipped
    )
    assert refusal(path).startswith("is a pickle or archive")
    assert not (tmp_path / "sprung").exists()


def test_an_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("weights", "x" * 100)
    assert refusal(tmp_path / "model.zip").startswith("is a pickle or archive")


@pytest.mark.parametrize("content", [b"", b"abc", b"\x00" * 64, b"\xff" * 64, b"not a model at all, but long enough"])
def test_other_files_are_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    assert refusal(tmp_path / "model.bin") == "is not a safetensors file, or is truncated"


@pytest.mark.parametrize(
    "header",
    [
        b"{broken",
        b"\xff\xfe{}",
        b"[1, 2]",
        b'"text"',
        b'{"a": 1}',
        b'{"a": {}}',
        b'{"a": {"data_offsets": [1]}}',
        b'{"a": {"data_offsets": [4, 2]}}',
        b'{"a": {"data_offsets": ["x", 2]}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, header: Any) -> None:
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert refusal(tmp_path / "model.safetensors") == "is not a safetensors file: its header is damaged"


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}, None, "text", {"volseg.spec": "{}"}])
def test_safetensors_of_others_are_refused(model: Path, metadata: Any) -> None:
    rewrite(model, lambda header: {**header, "__metadata__": metadata})
    missing = "volseg.recipe" if isinstance(metadata, dict) and "volseg.spec" in metadata else "volseg.spec"
    assert refusal(model) == f"was not made by volseg: it carries no {missing}"


@pytest.mark.parametrize("damage", ["{", "[]", "7", "null", "[" * 5000])
@pytest.mark.parametrize("key", ["spec", "recipe"])
def test_damaged_documents_are_named(model: Path, key: Any, damage: Any) -> None:
    rewrite(model, with_metadata(**{key: damage}))
    assert refusal(model) == f"has a damaged volseg.{key}"


@pytest.mark.parametrize("version", [2, 99, "1", None])
def test_a_newer_spec_asks_for_a_newer_volseg(model: Path, version: Any) -> None:
    rewrite(model, with_spec(spec_version=version))
    assert refusal(model) == f"has spec version {version!r}; this volseg reads 1. Update volseg"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"classes": [{"id": 0}]}, "KeyError: 'name'"),
        ({"classes": [{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]}, "classes: id 0 stands for two classes"),
        ({"classes": 3}, "TypeError"),
        ({"normalisation": {"kind": "zcsore", "clip": [1, 2]}}, "normalisation 'zcsore' is not one of"),
        ({"normalisation": {"kind": "zscore", "clip": [1]}}, "ValueError"),
        ({"normalisation": "zscore"}, "TypeError"),
        ({"spacing": [1, 2]}, "ValueError"),
        ({"divisor": "many"}, "ValueError"),
        ({"divisor": [1, 2, 2]}, "3 divisors and 2 sizes for 2 dimensions"),
        ({"made_with": 3}, "TypeError"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(model: Path, values: Any, text: str) -> None:
    rewrite(model, with_spec(**values))
    assert refusal(model).startswith("has a damaged volseg.spec (")
    assert text in refusal(model)


def test_sizes_are_those_of_each_axis() -> None:
    spec = dataclasses.replace(SPEC, sizes=SizeRule((1, 4, 4), (2, 16, 16)))
    content = spec.to_dict()
    assert (content["dims"], content["divisor"], content["min_size"]) == (3, [1, 4, 4], [2, 16, 16])
    assert ModelSpec.from_dict(json.loads(json.dumps(content)), "m") == spec
    same = {**content, "divisor": 8, "min_size": 16}
    assert ModelSpec.from_dict(same, "m").sizes == SizeRule.same(8, 16, 3), "as one number for every axis"


def test_a_missing_key_is_named(model: Path) -> None:
    content = SPEC.to_dict()
    del content["axes"]
    rewrite(model, with_metadata(spec=json.dumps(content)))
    assert refusal(model) == "has a damaged volseg.spec (KeyError: 'axes')"


# --- heads --------------------------------------------------------------------------------------------------------

TASKS = ("multiclass", "binary", "multilabel", "regression")


@st.composite
def heads(draw: Any, name: str) -> HeadSpec:
    task = draw(st.sampled_from(TASKS))
    count = 2 if task == "binary" else draw(st.integers(1, 4))
    ids = draw(st.lists(st.integers(0, 2**32 - 1), min_size=count, max_size=count, unique=True))
    classes = ClassMap(
        tuple(ClassName(number, f"class {number}") for number in ids), draw(st.sampled_from([(), (-1,)]))
    )
    row = st.lists(st.floats(-1e6, 1e6), min_size=count, max_size=count).map(tuple)
    scaling = (draw(row), draw(row)) if task == "regression" and draw(st.booleans()) else ((), ())
    return HeadSpec(task, classes, name, *scaling)


@given(
    st.integers(0, 3).flatmap(lambda count: st.tuples(*[heads(f"h{at}" if count else "") for at in range(count + 1)]))
)
def test_a_spec_is_read_as_it_was_written(several: tuple[HeadSpec, ...]) -> None:
    spec = dataclasses.replace(SPEC, heads=several)
    content = json.loads(json.dumps(spec.to_dict()))
    assert ModelSpec.from_dict(content, "x") == spec
    assert ("heads" in content) == (len(several) > 1)
    assert ("task" in content) == (len(several) == 1)
    assert spec.out_channels == sum(head.channels for head in several)


def test_heads_tell_their_channels_and_names() -> None:
    classes = SPEC.heads[0].classes
    binary, values = HeadSpec("binary", classes), HeadSpec("regression", classes, "depth")
    assert (binary.channels, values.channels) == (1, 2)
    assert (binary.title, values.title) == ("classes", "depth regression")
    assert (binary.describe(), values.describe()) == ("0 = ground (id 0), 1 = cell (id 7)", "ground, cell")
    assert (binary.array("labels"), values.array("values")) == ("labels", "depth_values")


def test_what_needs_one_class_for_every_voxel_says_so() -> None:
    classes = SPEC.heads[0].classes
    assert SPEC.only_classes("fit-merge") is SPEC.heads[0]
    for several, has in (
        ((HeadSpec("multilabel", classes),), "has task multilabel"),
        ((HeadSpec("binary", classes, "a"), HeadSpec("binary", classes, "b")), "has 2 heads"),
    ):
        with pytest.raises(UsageError) as caught:
            dataclasses.replace(SPEC, heads=several).only_classes("fit-merge")
        assert str(caught.value) == (f"fit-merge: is for networks that give one class for every voxel; this one {has}.")


@pytest.mark.parametrize(
    "change",
    [
        {"heads": []},
        {"heads": [{"task": "binary"}]},
        {"task": "segmentation"},
        {"task": "regression", "offset": [1.0], "scale": [1.0, 1.0]},
        {"task": "regression", "offset": [1.0], "scale": [1.0]},
        {"task": "regression", "scale": [1.0, 1.0]},
    ],
)
def test_damaged_heads_are_an_error_with_the_file(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"^runs/em: has a damaged volseg\.spec"):
        ModelSpec.from_dict(SPEC.to_dict() | change, "runs/em")
