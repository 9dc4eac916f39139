"""Settings files of other tools: tolerant, and nothing is dropped."""

from __future__ import annotations

import pytest

from volseg_core.errors import DataError
from volseg_core.migration.settings import Settings, Transfer, read_settings


def read(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_settings(path)


def test_a_key_that_stands_twice_has_its_last_value_and_a_byte_order_mark_is_skipped(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfpatience: 3\npatience: 4\n1: x\n") == {"patience": 4, "1": "x"}


def test_bad_yaml_is_an_error_with_its_line(tmp_path):
    with pytest.raises(DataError, match=r"settings.yaml: is not YAML in line 3 \("):
        read(tmp_path, "a: 1\nb: 2\n c: [\n")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- a\n", "holds no mapping"),
        ("", "holds no mapping"),
        (b"\xff\xfe\x00", "is not YAML"),
        ("a: !!python/x 1", "in line 1"),
    ],
)
def test_what_is_no_mapping_is_an_error(tmp_path, text, what):
    with pytest.raises(DataError, match=what):
        read(tmp_path, text)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_settings(tmp_path / "none.yaml")


def test_numbers_that_are_not_understood_are_named_and_not_carried():
    transfer = Transfer()
    settings = Settings({"a": "1e-6", "b": "many", "c": 2.5, "d": None, "e": True, "f": -1}, transfer)
    assert settings.number("a") == 1e-6
    assert settings.number("b") is None
    assert settings.whole("c") is None
    assert settings.whole("d") is None
    assert settings.number("e") is None
    assert settings.whole("f") is None
    assert settings.number("absent") is None
    assert [str(item) for item in transfer.left] == [
        "b: the value 'many' is not understood",
        "c: the value 2.5 is not understood",
        "e: the value True is not understood",
        "f: the value -1 is not understood",
    ]


def test_words_and_switches():
    settings = Settings({"on": "True", "off": "no", "yes": True, "zero": 0, "word": " All "}, Transfer())
    assert [settings.flag(key) for key in ("on", "off", "yes", "zero", "absent")] == [True, False, True, False, False]
    assert (settings.word("word"), settings.word("absent")) == ("All", "")


def test_the_remaining_keys_are_those_that_nobody_asked_for():
    settings = Settings({"a": 1, "b": 2, "c": 3}, Transfer())
    settings.take("b")
    settings.flag("elsewhere")
    assert settings.remaining() == ["a", "c"]
    assert settings.asked == {"b", "elsewhere"}
