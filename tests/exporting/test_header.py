from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from volseg_core.errors import DataError
from volseg_core.exporting.header import check_safe, read_header


def model(*, domain="", external=False, props=None):
    weight = numpy_helper.from_array(np.ones((4, 1, 3, 3), np.float32), "weight")
    if external:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="weights.data")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight"], ["logits"], domain=domain)],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4, "a", "b"])],
        [weight],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 20)])
    helper.set_model_props(made, props or {})
    return made


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=4))
def test_metadata_is_what_the_onnx_library_wrote(tmp_path_factory, props):
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    onnx.save(model(props=props), path)
    header = read_header(path)
    assert header.metadata == props
    assert header.domains == [""]
    assert not header.external
    check_safe(header, path)


@given(st.data())
def test_a_file_that_is_cut_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    content = model(props={"volseg.spec": "{}"}).SerializeToString()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    try:
        header = read_header(path)
    except DataError:
        return
    assert header.metadata == {}, "only whole fields at the end may be missing"


@given(st.binary(max_size=200))
def test_noise_is_an_error_or_harmless(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    path.write_bytes(noise)
    try:
        header = read_header(path)
    except DataError:
        return
    assert header.graph


def test_metadata_that_would_fill_the_memory_is_refused(tmp_path):
    key, value = b"\x0a\x01k", b"x" * (1 << 20)
    entry = key + b"\x12" + varint(len(value)) + value
    field = b"\x72" + varint(len(entry)) + entry  # metadata_props, field 14
    (tmp_path / "m.onnx").write_bytes(field * 65)
    with pytest.raises(DataError, match="carries more than 64 MiB of metadata; refused"):
        read_header(tmp_path / "m.onnx")


def varint(number):
    """Return a number as protobuf writes it."""
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def test_weights_in_other_files_are_refused(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(model(external=True).SerializeToString())
    with pytest.raises(DataError, match="keeps weights in other files; refused"):
        check_safe(read_header(path), path)


def test_operators_of_other_libraries_are_refused(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(model(domain="com.acme").SerializeToString())
    with pytest.raises(DataError, match="uses operators of the domain 'com.acme'"):
        check_safe(read_header(path), path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_header(tmp_path / "none.onnx")
