from __future__ import annotations

import subprocess
import sys

from volseg_formats import plugin


def test_each_format_reads_what_it_writes() -> None:
    readers = {reader.name: (reader.suffixes, reader.directories) for reader in plugin.volseg_readers()}
    writers = {writer.name: (writer.suffixes, writer.directories) for writer in plugin.volseg_writers()}
    assert readers == writers
    assert sorted(readers) == ["hdf5", "numpy", "slices", "tiff"]


def test_describing_imports_nothing_heavy() -> None:
    code = "import sys, volseg_formats.plugin as p; p.volseg_readers(); p.volseg_writers(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "h5py", "tifffile", "imagecodecs", "torch"} & set(loaded)
