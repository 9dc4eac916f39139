"""A model repository of the Triton inference server: ``REPOSITORY/NAME/config.pbtxt`` and ``NAME/1/model.onnx``.

Fields are those of Triton's model_config.proto; parameters those of its onnxruntime backend.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from volseg_core.exporting.convert import output_names
from volseg_core.exporting.packages.choice import TRITON
from volseg_core.exporting.packages.page import resampling
from volseg_core.exporting.vectors import INT8, SPATIAL
from volseg_core.exporting.writing import replacing
from volseg_core.volume import BOXES, SLICES

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.model import ModelFile

MAX_BATCH = {SLICES: 8, BOXES: 2}
WINDOW = {SLICES: 256, BOXES: 64}
"""Edge of what the server warms up with, where all sizes fit."""
CONFIG, FACTS = "config.pbtxt", "volseg.json"

_CONFIG = """\
# Written by volseg. volseg.json says how to resample and normalise a volume, what each channel is and which sizes fit.
name: "{name}"
backend: "onnxruntime"
max_batch_size: {batch}
input [ {{ name: "image" data_type: TYPE_FP32 dims: [ {inputs} ] }} ]
output [ {outputs} ]
instance_group [ {{ count: 1 kind: {kind} }} ]
"""
_OUTPUT = '{{ name: "{name}" data_type: TYPE_FP32 dims: [ {dims} ] }}'
_BATCHING = "dynamic_batching {{ preferred_batch_size: [ {batch} ] }}\n"
_GPU = """\
# 1 is HEURISTIC: no search anew for each shape. Given as a CUDA accelerator's parameter it would be overwritten.
parameters { key: "cudnn_conv_algo_search" value: { string_value: "1" } }
"""
_WARMUP = """\
model_warmup [ {{
  name: "window" batch_size: {batch}
  inputs {{ key: "image" value: {{ data_type: TYPE_FP32 dims: [ {window} ] random_data: true }} }}
}} ]
"""


def write_triton(model: ModelFile, folder: Path) -> None:
    """Write the folder of an exported file; the repository is made where there is none.

    Raises:
        DataError: the folder cannot be written. ResourceError: the disk is full.
    """
    with replacing(folder, TRITON) as part:
        (part / "1").mkdir(parents=True)
        shutil.copyfile(model.path, part / "1" / "model.onnx")
        (part / CONFIG).write_text(triton_config(model, folder.name), encoding="utf-8")
        facts = {
            "model_id": model.id,
            "resample": resampling(model),
            "spec": model.spec.to_dict(),
            "export": dict(model.export),
        }
        (part / FACTS).write_text(json.dumps(facts, indent=2), encoding="utf-8")


def triton_config(model: ModelFile, name: str) -> str:
    """Return ``config.pbtxt``: free dimensions are -1, a fixed batch is a dimension, 8 bits run on the CPU.

    A server without a GPU refuses a model for GPUs; it never runs it on the CPU unasked.
    """
    spec, free = model.spec, model.export["free"]
    size = spec.window or spec.sizes.padded((WINDOW[spec.dims],) * spec.dims)
    sizes = [-1 if axis in free else edge for axis, edge in zip(SPATIAL[-spec.dims :], size, strict=True)]
    batch = MAX_BATCH[spec.dims] if "batch" in free else 0
    lead = [] if batch else [1]
    on_cpu = model.export["precision"] == INT8
    text = _CONFIG.format(
        name=name,
        batch=batch,
        inputs=_listed([*lead, spec.in_channels, *sizes]),
        outputs=", ".join(
            _OUTPUT.format(name=name, dims=_listed([*lead, head.channels, *sizes]))
            for name, head in zip(output_names(spec), spec.heads, strict=True)
        ),
        kind="KIND_CPU" if on_cpu else "KIND_GPU",
    )
    text += _BATCHING.format(batch=batch) if batch else ""
    text += "" if on_cpu else _GPU
    return text + _WARMUP.format(batch=max(1, batch), window=_listed([*lead, spec.in_channels, *size]))


def _listed(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes))
