from __future__ import annotations

import errno
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from volseg_core.api import ArraySpec
from volseg_formats.hdf5_reader import Hdf5Reader
from volseg_formats.hdf5_writer import Hdf5Writer, Output

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("compression", ["gzip", "lzf", "none"])
def test_datasets_are_chunked_and_compressed_as_asked(tmp_path: Path, compression: Any) -> None:
    path = tmp_path / "out.h5"
    specs = {"labels": ArraySpec((100, 80, 30), "uint8"), "probabilities": ArraySpec((3, 9, 80, 30), "float16", "czyx")}
    with Hdf5Writer(compression=compression).create(path, specs, {}) as sink:
        sink.commit()
    with h5py.File(path) as file:
        assert file["labels"].compression == (None if compression == "none" else compression)
        assert file["labels"].chunks == (64, 64, 30)
        assert file["probabilities"].chunks == (1, 9, 64, 30)


def test_every_dataset_carries_the_attributes_as_other_programs_read_them(tmp_path: Path) -> None:
    path = tmp_path / "out.h5"
    specs = {"labels": ArraySpec((2, 3, 4), "uint8"), "confidence": ArraySpec((2, 3, 4), "uint8")}
    attributes = {"spacing": (3, 2, 1), "unit": "nm", "classes": [{"id": 4, "name": "shell"}], "date": "2024-05-06"}
    Hdf5Writer().create(path, specs, attributes).commit()
    with h5py.File(path) as file:
        for name in specs:
            stored = dict(file[name].attrs)
            assert stored.pop("spacing").tolist() == [3, 2, 1]
            assert stored == {
                "axes": "zyx",
                "unit": "nm",
                "classes": '[{"id": 4, "name": "shell"}]',
                "date": "2024-05-06",
            }


def test_an_attribute_larger_than_an_object_header_fits(tmp_path: Path) -> None:
    recipe = {"steps": ["x" * 50] * 4000}
    Hdf5Writer().create(tmp_path / "out.h5", {"labels": ArraySpec((1, 2, 2), "uint8")}, {"recipe": recipe}).commit()
    assert Hdf5Reader().open(tmp_path / "out.h5").attributes["recipe"] == recipe


def test_labels_cost_little_space(tmp_path: Path) -> None:
    path = tmp_path / "out.h5"
    with Hdf5Writer().create(path, {"labels": ArraySpec((64, 128, 128), "uint16")}, {}) as sink:
        sink.write("labels", (slice(None),) * 3, np.full((64, 128, 128), 300, "uint16"))
        sink.commit()
    assert path.stat().st_size < 64 * 128 * 128 * 2 / 50


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from volseg_core.api import ArraySpec, ResourceError
from volseg_formats.hdf5_writer import Hdf5Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))  # a write beyond is an error, as on a full disk
values = np.random.default_rng(0).integers(0, 60000, (96, 128, 128)).astype("uint16")
try:
    with Hdf5Writer(compression=sys.argv[2]).create(
        Path(sys.argv[1]) / "out.h5", {"labels": ArraySpec(values.shape, "uint16")}, {}
    ) as sink:
        for z in range(0, 96, int(sys.argv[3])):
            box = (slice(z, z + int(sys.argv[3])), slice(0, 128), slice(0, 128))
            sink.write("labels", box, values[box])
        sink.commit()
except ResourceError as error:
    print("said:", error)
"""


@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize("step", [4, 96])
def test_a_file_that_cannot_grow_is_an_error_and_no_crash(tmp_path: Path, compression: Any, step: Any) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), compression, str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"said: {tmp_path / 'out.h5'}: cannot be written: ")
    assert list(tmp_path.iterdir()) == []


def test_the_first_error_of_an_output_is_kept(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    output = Output(tmp_path / "full")
    assert output.write(memoryview(b"abc")) == 3
    with pytest.raises(OSError, match="No space left") as caught:
        output.check()
    assert caught.value.errno == errno.ENOSPC
