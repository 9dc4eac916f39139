from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

from volseg_formats import plugin

COMPONENTS = [*plugin.volseg_readers(), *plugin.volseg_writers()]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: f"{component.kind}-{component.name}")
def test_descriptors_are_those_of_their_targets(component: Any) -> None:
    module, name = component.target.split(":")
    signature = inspect.signature(getattr(importlib.import_module(module), name))
    assert {key: param.default for key, param in component.params.items()} == {
        key: param.default for key, param in signature.parameters.items()
    }
    assert all(param.kind is param.KEYWORD_ONLY for param in signature.parameters.values())


def test_each_format_reads_what_it_writes() -> None:
    readers = {reader.name: (reader.suffixes, reader.directories) for reader in plugin.volseg_readers()}
    writers = {writer.name: (writer.suffixes, writer.directories) for writer in plugin.volseg_writers()}
    assert readers == writers
    assert sorted(readers) == ["hdf5", "numpy", "slices", "tiff"]


def test_describing_imports_nothing_heavy() -> None:
    code = "import sys, volseg_formats.plugin as p; p.volseg_readers(); p.volseg_writers(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "h5py", "tifffile", "imagecodecs", "torch"} & set(loaded)
