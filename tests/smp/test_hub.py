"""The model hub out of reach: an error within seconds, never a random network."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CODE = """
import sys, time, torch
torch.set_num_threads(1)
from volseg_core.api import VolsegError
from volseg_smp.encoders import build
start = time.perf_counter()
for name, weights in (("resnet18", "imagenet"), ("tu-resnet18", "imagenet"), ("tu-resnet18", "a2_in1k"), ("tu-test_vit", "imagenet")):
    try:
        build(name=name, in_channels=1, weights=weights)
        print("BUILT")
    except VolsegError as error:
        print(int(error.code), error)
print("slow" if time.perf_counter() - start > 20 else "quick")
"""
WAYS_ON = (
    "Give a local file (-s model.encoder.weights=PATH.safetensors), start from random weights "
    "(-s model.encoder.weights=none), or take the encoder whose weights come as a package "
    "(-s model.encoder=tu-tf_efficientnet_lite0)."
)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def run(folder: Path, **environment: str) -> list[str]:
    hidden = {"HF_HOME": str(folder), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=True, env=os.environ | hidden
    )
    return done.stdout.splitlines()


def test_a_refused_connection_is_a_resource_error(tmp_path: Path, closed_port: int) -> None:
    smp, timm, tagged, vit, pace = run(tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{closed_port}")
    what = "the weights {!r} of encoder {!r} could not be fetched from {} ("
    assert smp.startswith("5 model.encoder.weights: " + what.format("imagenet", "resnet18", "smp-hub/resnet18.imagenet"))
    assert timm.startswith("5 model.encoder.weights: " + what.format("a1_in1k", "tu-resnet18", "timm/resnet18.a1_in1k"))
    assert tagged.startswith("5 model.encoder.weights: " + what.format("a2_in1k", "tu-resnet18", "timm/resnet18.a2_in1k"))
    assert vit.startswith("5 model.encoder.weights: the weights ")
    assert "Connection refused" in smp
    assert all(line.endswith(WAYS_ON) for line in (smp, timm, tagged, vit))
    assert pace == "quick"


def test_the_hubs_offline_mode_is_the_same_error(tmp_path: Path) -> None:
    *errors, pace = run(tmp_path, HF_HUB_OFFLINE="1")
    assert all(line.startswith("5 model.encoder.weights: ") and line.endswith(WAYS_ON) for line in errors)
    assert len(errors) == 4
    assert pace == "quick"
