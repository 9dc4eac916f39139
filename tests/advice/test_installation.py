from __future__ import annotations

import copy

import pytest

from volseg_core.advice.installation import look, problems
from volseg_core.errors import ExitCode
from volseg_core.machine import cpu_count
from volseg_core.provenance import installed_version, own_version
from volseg_core.registry import load_registry

GPU = {"name": "First GPU", "memory": 1 << 34}


@pytest.fixture(scope="module")
def facts():
    return look(load_registry(builtin_only=True))


@pytest.fixture
def with_gpu(facts):
    """The facts of a machine on which everything can use its GPU."""
    good = copy.deepcopy(facts)
    good["driver"] = {"version": "580.12", "cuda": "13.2", "gpus": [GPU]}
    good["torch"] = {"cuda": "13.0", "gpus": 1}
    good["onnxruntime"]["cuda"] = "usable"
    good["machine"]["shared_memory"] = 1 << 34
    good["machine"]["socket_fault"] = ""
    return good


def lines(facts, *, gpu=False):
    return [(problem.code, f"{problem.what}. {problem.hint}") for problem in problems(facts, gpu=gpu)]


def test_the_facts_are_those_of_this_installation(facts):
    assert facts["volseg"] == own_version()
    assert facts["machine"]["cpus"] == cpu_count()
    assert facts["libraries"]["numpy"] == installed_version("numpy")
    assert facts["plugins"]["volseg"]["status"] == "ok"
    assert set(facts["onnxruntime"]) == {"cuda", "tensorrt"}


def test_a_machine_without_a_gpu_is_a_problem_only_where_one_is_asked_for(facts):
    without = {**facts, "driver": None}
    assert lines(without) == []
    ((code, line),) = lines(without, gpu=True)
    assert code == ExitCode.RESOURCE
    assert line.startswith("there is no GPU driver (libcuda.so.1). In a container give --gpus all")
    ((_, line),) = lines({**facts, "driver": {"version": "", "cuda": "13.2", "gpus": []}}, gpu=True)
    assert line.startswith("the driver shows no GPU. ")


def test_a_gpu_that_everything_can_use_is_no_problem(with_gpu):
    assert lines(with_gpu, gpu=True) == []


@pytest.mark.parametrize(
    ("torch", "text"),
    [
        ({"cuda": None, "gpus": 0}, "It was built without CUDA; install the CUDA build."),
        ({"cuda": "14.1", "gpus": 0}, "It needs CUDA 14.1 and the driver runs 13.2 at most: update the driver."),
        ({"cuda": "13.0", "gpus": 0}, "to see why."),
    ],
)
def test_a_gpu_that_torch_does_not_see_is_explained(with_gpu, torch, text):
    ((code, line),) = lines({**with_gpu, "torch": torch})
    assert code == ExitCode.RESOURCE
    assert "sees no GPU. " in line
    assert line.endswith(text)


def test_a_gpu_that_onnx_runtime_cannot_use_is_explained(with_gpu):
    with_gpu["onnxruntime"]["cuda"] = "libcurand.so.10 missing"
    ((code, line),) = lines(with_gpu)
    assert code == ExitCode.RESOURCE
    assert line.startswith("ONNX Runtime cannot use the GPU: libcurand.so.10 missing. ")


def test_little_shared_memory_beside_a_gpu_names_the_option_of_docker(with_gpu):
    with_gpu["machine"]["shared_memory"] = 64 << 20
    ((_, line),) = lines(with_gpu)
    assert line.startswith(
        "shared memory (/dev/shm) has 64 MiB free, too little for data workers. docker run --shm-size"
    )


def test_sockets_that_cannot_be_made_are_a_problem_with_and_without_a_gpu(facts, with_gpu):
    for each in (copy.deepcopy(facts), with_gpu):
        before = lines(each)
        each["machine"]["socket_fault"] = "AF_UNIX path too long"
        ((code, line),) = [found for found in lines(each) if found not in before]
        assert code == ExitCode.RESOURCE
        assert line.endswith("(AF_UNIX path too long). set TMPDIR to a local folder with a short path")


def test_a_plugin_that_does_not_load_is_a_problem_and_a_blocked_one_is_not(facts):
    plugins = {
        "acme": {"version": "1", "status": "broken", "reason": "no such module", "mend": "pip install acme"},
        "other": {"version": "1", "status": "blocked", "reason": "--block", "mend": "leave out --block"},
    }
    assert lines({**facts, "plugins": plugins}) == [
        (ExitCode.PLUGIN, "plugin acme is broken: no such module. Try: pip install acme")
    ]
