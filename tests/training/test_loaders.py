from __future__ import annotations

import logging

import pytest

from volseg_core.recipe.blocks import TrainBlock
from volseg_core.training import loaders
from volseg_core.training.fit import _worker_died

MIB = 1 << 20
PLUGIN = """
from volseg_core.api import Augmentation, hookimpl

@hookimpl
def volseg_augmentations():
    return [Augmentation(name="deadly", target="deadly:Deadly", summary="Ends the process.", licence="MIT")]

class Deadly:
    def __call__(self, image, labels, seed):
        import os, signal
        os.kill(os.getpid(), signal.{signal})
"""


@pytest.mark.parametrize("signal", ["SIGBUS", "SIGKILL"])
def test_a_data_worker_that_dies_is_one_line_that_says_what_helps(volseg_project, signal):
    """What the kernel does to a worker that writes where shared memory is full, or when memory runs out."""
    registry = "version: 1\nplugins:\n  local: [deadly.py]\n"
    project = volseg_project({"registry.yaml": registry, "deadly.py": PLUGIN.replace("{signal}", signal)})
    project.run("generate", "blobs", "-o", "v.h5", "-s", "shape=[32,64,64]")
    words = ["train.epochs=1", "train.steps=2", "train.batch=1", "train.workers=1", "data.augment=deadly"]
    sets = [word for item in words for word in ("-s", item)]
    sets += ["-s", "model.encoder=resnet18", "-s", "model.encoder.weights=none"]
    result = project.run("train", "slices", "--data", "v.h5", "--labels", "v.h5", "-o", "run", *sets)
    assert result.code == 5, result.err
    assert "training: a data worker died" in result.err
    assert "-s train.workers=0." in result.err


BUS = (
    "DataLoader worker (pid 7) is killed by signal: Bus error. "
    "It is possible that dataloader's workers are out of shared memory. Please try to raise your shared memory limit."
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            BUS,
            "training: a data worker died (Bus error); shared memory (/dev/shm) is probably full. Give the container",
        ),
        (
            "DataLoader worker (pid 7) is killed by signal: Killed. ",
            "training: a data worker died (Killed). Memory may",
        ),
        (
            "DataLoader worker (pid(s) 7) exited unexpectedly None",
            "training: a data worker died; shared memory (/dev/shm) is probably full. Give the container more",
        ),
    ],
)
def test_the_signal_tells_which_memory_ran_out(text, line):
    """The texts are torch's own; which of them a dying worker leaves depends on who notices first."""
    assert _worker_died(text).line().startswith(line)


@pytest.mark.parametrize(
    ("free", "wanted", "workers"),
    [(None, "auto", 5), (100 * MIB, "auto", 5), (7 * MIB, "auto", 2), (2 * MIB, "auto", 0), (2 * MIB, 4, 4)],
)
def test_workers_fit_into_shared_memory_unless_their_number_is_given(monkeypatch, caplog, free, wanted, workers):
    monkeypatch.setattr(loaders, "shared_memory", lambda: free)
    monkeypatch.setattr(loaders, "cpu_count", lambda: 6)
    with caplog.at_level(logging.WARNING, logger="volseg"):
        assert loaders._workers(TrainBlock(workers=wanted), "cuda", MIB) == workers
    warned = [record.getMessage() for record in caplog.records]
    assert bool(warned) == (free is not None and free < 10 * MIB)
    assert all("docker run --shm-size 1g" in line for line in warned)


def test_workers_that_could_hand_over_nothing_are_not_started(monkeypatch, caplog):
    monkeypatch.setattr(loaders, "socket_fault", lambda: "AF_UNIX path too long")
    with caplog.at_level(logging.WARNING, logger="volseg"):
        assert loaders._workers(TrainBlock(workers=4), "cpu", MIB) == 0
    assert "AF_UNIX path too long); using none. Set TMPDIR to a local folder with a short path." in caplog.text


def test_without_a_gpu_no_worker_takes_the_network_s_cores():
    assert loaders._workers(TrainBlock(), "cpu", MIB) == 0
