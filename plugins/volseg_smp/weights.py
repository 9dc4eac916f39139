"""Pretrained weights of encoders, from the model hub, from a package or from a file; never silently random."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file

from volseg_core.api import DataError, UsageError
from volseg_smp import hub, packaged, table
from volseg_smp.stem import fit

_WHERE = "model.encoder.weights"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
_LISTED = 12


def load_weights(encoder: torch.nn.Module, row: table.Row, weights: str, in_channels: int) -> None:
    """Load the ``weights`` of the encoder of a ``row`` into a module that was built for ``in_channels``.

    ``none`` leaves it random; ``imagenet`` is the encoder's own default when it has no weights of that name; any
    other name is one that the encoder's descriptor lists; a path is a safetensors file.

    Raises:
        UsageError: when the encoder has no such weights, or does not compute what they were trained for.
        DataError: when the file is missing, damaged or of another network, or a package's file was changed.
        PluginError: when the package that holds the weights is not installed.
        ResourceError: when the weights cannot be fetched.
    """
    if weights == "none":
        return
    if row.imitates:
        what = f"encoder {row.name!r} does not reproduce the network of such weights (padding and epsilon differ)"
        raise UsageError(_WHERE, what, f"Take -s model.encoder={row.imitates}, or weights: none.")
    source, label = _source(encoder, row, weights)
    state = fit(source, encoder.state_dict(), in_channels, label)
    torch.nn.Module.load_state_dict(encoder, state)  # smp's own versions rename and drop keys


def _source(encoder: Any, row: table.Row, weights: str) -> tuple[dict[str, torch.Tensor], str]:
    if weights.endswith(_SUFFIXES) or "/" in weights:
        return read_file(Path(weights).expanduser()), repr(weights)
    chosen = _choose(row, weights)
    label = f"{chosen!r} of encoder {row.name}"
    if row.weights[chosen].source.startswith(packaged.SCHEME):
        return packaged.load(row.timm, row.weights[chosen]), label
    return hub.load(row, chosen, len(encoder.out_channels) - (not row.vit)), label


def _choose(row: table.Row, weights: str) -> str:
    if weights in row.weights:
        return weights
    known = list(row.weights)
    random = "Write weights: none for random weights, or give a file PATH.safetensors"
    if not known:
        raise UsageError(_WHERE, f"encoder {row.name!r} has no pretrained weights", f"{random}.")
    if weights == "imagenet" and row.timm:
        return known[0]
    near = difflib.get_close_matches(weights, known, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(known[:_LISTED]) + (f" and {len(known) - _LISTED} more" if len(known) > _LISTED else "")
    raise UsageError(
        _WHERE, f"no weights named {weights!r} for encoder {row.name!r}", f"{guess}Known: {listed}. {random}."
    )


def read_file(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        DataError: when there is no such file or it is something else; nothing in it is executed.
    """
    if not path.is_file():
        raise DataError(_WHERE, f"no file {str(path)!r}")
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        what = f"{str(path)!r} is not a complete safetensors file ({error})"
        hint = "Weights are read from safetensors only; pickled checkpoints (.pth, .pt, .bin) are not opened."
        raise DataError(_WHERE, what, hint) from error
    return tensors
