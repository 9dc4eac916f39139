"""Pretrained weights from the model hub, as smp and timm publish them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders import TimmViTEncoder, get_encoder

from volseg_core.api import ResourceError

if TYPE_CHECKING:
    import torch

    from volseg_smp.table import Row

_TIMEOUT = 5.0
_FILES = ("model.safetensors", "pytorch_model.bin")


def load(row: Row, weights: str, depth: int) -> dict[str, torch.Tensor]:
    """Return the state dict of the encoder for three channels with these weights.

    Raises:
        ResourceError: when they cannot be fetched, within seconds when there is no network.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # smp's advice on names does not apply to a chosen tag
            return _from_timm(row, weights, depth) if row.timm else _from_smp(row, weights, depth)
    except Exception as error:
        raise _unreachable(row, weights, error) from error


def _from_smp(row: Row, weights: str, depth: int) -> dict[str, torch.Tensor]:
    repository, _, revision = row.weights[weights].source.partition("@")
    _knock(repository, revision)
    path = huggingface_hub.hf_hub_download(repository, _FILES[0], revision=revision, etag_timeout=_TIMEOUT)
    encoder = get_encoder(row.name, depth=depth)
    encoder.load_state_dict(load_file(path))
    return dict(encoder.state_dict())


def _from_timm(row: Row, weights: str, depth: int) -> dict[str, torch.Tensor]:
    source = row.weights[weights].source
    if "://" not in source:
        _knock(source, None)
    name = f"{row.timm}.{weights}"
    if row.vit:
        encoder = TimmViTEncoder(name, pretrained=True, depth=depth, **row.options)
    else:
        encoder = get_encoder(f"tu-{name}", depth=depth, weights=True, **row.options)
    return dict(encoder.state_dict())


def _knock(repository: str, revision: str | None) -> None:
    """Raise at once when the hub does not answer: its own client retries for most of a minute."""
    cached = (huggingface_hub.try_to_load_from_cache(repository, name, revision=revision) for name in _FILES)
    if any(isinstance(path, str) for path in cached):
        return
    try:
        url = huggingface_hub.hf_hub_url(repository, "config.json", revision=revision)
        huggingface_hub.get_hf_file_metadata(url, timeout=_TIMEOUT)
    except HfHubHTTPError:
        return  # it answers; what is wrong with the file is said when it is fetched


def _unreachable(row: Row, weights: str, error: Exception) -> ResourceError:
    cause = (str(error).strip() or "no answer").splitlines()[0].rstrip(".")
    source = row.weights[weights].source.partition("@")[0]
    return ResourceError(
        "model.encoder.weights",
        f"the weights {weights!r} of encoder {row.name!r} could not be fetched from {source} "
        f"({type(error).__name__}: {cause})",
        "Give a local file (-s model.encoder.weights=PATH.safetensors), start from random weights "
        "(-s model.encoder.weights=none), or take the encoder whose weights come as a package "
        "(-s model.encoder=tu-tf_efficientnet_lite0).",
    )
