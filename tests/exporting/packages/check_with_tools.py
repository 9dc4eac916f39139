"""Check packages with the tools that read them; not part of the suite, since it makes an environment of its own.

    python tests/exporting/packages/check_with_tools.py [--venv FOLDER]

Networks with random weights are exported in every precision and with every normalisation. Their bioimage.io packages
go to `bioimageio.core.test_model`, which runs them at several sizes and compares the test tensors; their Triton
configurations are parsed with the schema of `tritonclient`. ``--venv`` keeps the environment for another time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from conftest import write_untrained

import volseg_core
from volseg_core.volume import Normalisation

REQUIREMENTS = [
    "bioimageio.core==0.11.0",
    "pydantic==2.12.5",  # the newest breaks bioimageio.spec 0.5.12
    "onnxruntime>=1.24",
    "tritonclient[grpc]>=2.60",
    "protobuf>=6",
]
TEST_MODEL = """
import sys
from bioimageio.core import test_model
summary = test_model(sys.argv[1], weight_format="onnx")
failed = [detail for detail in summary.details if detail.status == "failed"]
for detail in failed:
    print("   ", detail.name, *(error.msg[:300] for error in detail.errors))
print(f"{summary.status}, {len(summary.details)} checks")
sys.exit(summary.status != "passed")
"""
PARSE_CONFIG = """
import sys
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
config = text_format.Parse(open(sys.argv[1]).read(), model_config_pb2.ModelConfig())
print(f"{config.name}: {config.backend}, batch {config.max_batch_size}, {list(config.input[0].dims)}")
"""
SMALL = ["model.f_maps=8", "model.num_levels=3", "model.num_groups=4"]
HEADS = "heads={cells: {task: multilabel, loss: [bce]}, depth: {task: regression, loss: [mse], metrics: [mse]}}"
CASES = {
    "float32": ([], {}, {}),
    "float16": ([], {}, {"fp16": True}),
    "int8": ([], {}, {"int8": True}),
    "binary": (["task=binary", "loss=[bce]"], {"classes": 2}, {}),
    "neighbours": (["data.neighbours=1"], {"in_channels": 3, "neighbours": 1}, {}),
    "channels": ([], {"in_channels": 2}, {}),
    "percentile": ([], {"normalisation": Normalisation("percentile", (1, 99))}, {}),
    "range": ([], {"normalisation": Normalisation("range", (-100, 300))}, {}),
    "none": ([], {"normalisation": Normalisation("none")}, {}),
    "boxes": (SMALL, {"base": "patches"}, {}),
    "boxes-float16": (
        SMALL,
        {"base": "patches", "normalisation": Normalisation("percentile", (1, 99))},
        {"fp16": True},
    ),
    "multilabel": (["task=multilabel", "loss=[bce]", "metrics=[dice]"], {}, {}),
    "regression": (
        [*SMALL, "task=regression", "loss=[mse]", "metrics=[mse]"],
        {"base": "patches", "scaling": ((5.0, 6.0, 7.0), (2.0, 3.0, 4.0))},
        {},
    ),
    "heads": (
        [*SMALL, "task=null", "loss=null", "metrics=null", HEADS],
        {"base": "patches", "classes": 2},
        {},
    ),
    "resampled": (
        [*SMALL, "data.resample=[20, 5, 4]"],
        {"base": "patches", "spacing": (20.0, 5.0, 4.0), "unit": "nm"},
        {},
    ),
    "regression-one": (
        ["task=regression", "loss=[mse]", "metrics=[mse]"],
        {"classes": 1, "scaling": ((5.0,), (2.0,))},
        {},
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--venv", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = environment(arguments.venv or folder / "venv")
        failures = [case for case in CASES if not check(python, case, folder)]
    click.echo(f"failed: {', '.join(failures)}" if failures else "all passed")
    return len(failures)


def environment(folder: Path) -> Path:
    """Return the interpreter of an environment with the tools, made where there is none."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *REQUIREMENTS], check=True)
    return python


def check(python: Path, case: str, folder: Path) -> bool:
    overrides, facts, options = CASES[case]
    encoder = [] if facts.get("base") else ["model.encoder=resnet18"]
    run = write_untrained(folder / f"run-{case}", [*encoder, *overrides], **facts)
    jobs = [(PARSE_CONFIG, folder / "triton" / case / "config.pbtxt")]
    if options.get("int8"):
        options = {"int8": np.random.default_rng(0).normal(0, 1, (4, 96, 96)).astype(np.float32), "force": True}
    else:
        options = {**options, "bioimageio": folder / f"{case}.zip"}
        jobs.append((TEST_MODEL, folder / f"{case}.zip"))
    volseg_core.export(run, output=folder / f"{case}.onnx", triton=folder / "triton", **options)
    good = True
    for script, file in jobs:
        click.echo(f"{case}: ", nl=False)
        good &= subprocess.run([python, "-c", script, file], check=False).returncode == 0
    return good


if __name__ == "__main__":
    sys.exit(main())
