"""Pretrained weights fitted to a module: names matched, stem convolutions adapted to the input channels."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch

from volseg_core.api import DataError

_WHERE = "model.encoder.weights"
_WRAPPERS = ("model.", "encoder.", "module.")
_RGB = 3
_PIXEL_STEMS = ("body_conv1.conv.weight", "embeds.proj.weight")
"""Stems of timm's tresnet and naflexvit: an axis of pixels, each with its channels side by side."""
_SHOWN = 4
_log = logging.getLogger("volseg")

Tensors = Mapping[str, torch.Tensor]


def fit(source: Tensors, target: Tensors, in_channels: int, label: str) -> dict[str, torch.Tensor]:
    """Return a complete state dict of ``target``'s names and shapes with the values of ``source``.

    Names match when they are equal but for wrappers in front (``model.``, ``encoder.``) and timm's flattening
    (``stages.0`` and ``stages_0``). What the module does not need, such as a classifier, is left over and logged.

    Raises:
        DataError: when a tensor is missing or has another shape; ``label`` names the file in the text.
    """
    by_name = {_canonical(name): name for name in source}
    fitted: dict[str, torch.Tensor] = {}
    wrong: list[str] = []
    used: set[str] = set()
    adapted = False
    for name, wanted in target.items():
        found = name if name in source else by_name.get(_canonical(name), "")
        if found:
            used.add(found)
            fitted[name] = _to_channels(found, source[found], wanted.shape, in_channels)
            adapted |= fitted[name].shape != source[found].shape
            if fitted[name].shape != wanted.shape:
                wrong.append(f"{name} is {_text(source[found].shape)} instead of {_text(wanted.shape)}")
        elif name.endswith("num_batches_tracked"):
            fitted[name] = wanted  # a counter that older files lack
        else:
            wrong.append(f"{name} is missing")
    if wrong:
        raise _misfit(label, wrong, len(target))
    if adapted:
        how = (
            "summed over RGB for 1 channel"
            if in_channels == 1
            else f"repeated for {in_channels} channels, times 3/{in_channels}"
        )
        _log.info("%s: the stem's weights were %s", label, how)
    if left := [name for name in source if name not in used]:
        _log.info("%s: %d tensors are not part of the encoder (%s ...)", label, len(left), ", ".join(left[:_SHOWN]))
    return fitted


def adapt_channels(weight: torch.Tensor, in_channels: int) -> torch.Tensor:
    """Return a convolution's weight ``(out, 3, *S)`` for another number of input channels.

    One channel: the sum, so that a grey image gives what it gave when repeated three times. More: the three are
    repeated in turn and scaled by 3 / ``in_channels``, so that equal channels give the same response when their
    number is a multiple of three, and about the same otherwise.
    """
    if in_channels == 1:
        return weight.sum(1, keepdim=True)
    turns = torch.arange(in_channels) % weight.shape[1]
    return weight[:, turns] * (weight.shape[1] / in_channels)


def _to_channels(name: str, weight: torch.Tensor, shape: torch.Size, in_channels: int) -> torch.Tensor:
    """Adapt a stem; any other tensor is returned as it is."""
    if weight.shape == shape or weight.ndim != len(shape) or weight.ndim == 1:
        return weight
    pixels = shape[1] // in_channels if name.endswith(_PIXEL_STEMS) else 1
    if (weight.shape[1], shape[1]) != (_RGB * pixels, in_channels * pixels):
        return weight
    rgb = weight.reshape(weight.shape[0] * pixels, _RGB, *weight.shape[2:])
    return adapt_channels(rgb, in_channels).reshape(shape)


def _canonical(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name.replace("_", ".")


def _misfit(label: str, wrong: list[str], total: int) -> DataError:
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    what = f"{label} does not fit the encoder: {'; '.join(wrong[:_SHOWN])}{more} (of {total} tensors)"
    return DataError(_WHERE, what, "The file must come from the same encoder, with every tensor of it.")


def _text(shape: torch.Size) -> str:
    return "x".join(map(str, shape)) or "a scalar"
