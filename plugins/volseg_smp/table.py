"""The encoders that smp and timm offer, read from encoders.json (made by tools/make_encoder_table.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from volseg_core.api import Encoder, Param, UsageError, Weights

TARGET = "volseg_smp.encoders:build"
NEEDS = ("segmentation-models-pytorch>=0.6,<0.7",)

_ENCODER = "model.encoder"
_FILE = Path(__file__).with_name("encoders.json")
_OPTIONS = {"d": {"dynamic_img_size": True}, "w": {"strict_img_size": False}}
_REDIRECTED = ("regnet", "res2", "resnest", "gernet")
_WEIGHTS = Param("str", "imagenet", "Pretrained weights: none, imagenet, another name that the encoder has, or a file "
                 "PATH.safetensors.")  # fmt: skip
_PYRAMID_PARAMS = {
    "weights": _WEIGHTS,
    "depth": Param(
        "int?", None, "Stages, each of half the size; null: as many as the architecture wants.", min=1, max=5
    ),
}
_VIT_PARAMS = {
    "weights": _WEIGHTS,
    "depth": Param("int?", None, "Blocks whose output is used, evenly spread; null: four.", min=1, max=4),
}
_INPUT_SIZE = Param("int?", None, "Side of the square inputs that it is built for; null: its own.", min=32)


class WeightNames(Mapping[str, Weights]):
    """The weights of one encoder by name, the default first; parsed when first looked at."""

    def __init__(self, encoder: str, text: str) -> None:
        self._encoder = encoder
        self._text = text
        self._parsed: dict[str, Weights] | None = None

    def __getitem__(self, name: str) -> Weights:
        return self._items()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items())

    def __len__(self) -> int:
        return len(self._items())

    def __repr__(self) -> str:
        return ", ".join(self._items())

    def _items(self) -> dict[str, Weights]:
        if self._parsed is None:
            self._parsed = dict(self._parse(item) for item in self._text.split())
        return self._parsed

    def _parse(self, item: str) -> tuple[str, Weights]:
        name, licence, source, channels, sha256 = (item.split("|") + [""] * 4)[:5]
        source = source or f"timm/{self._encoder.removeprefix('tu-')}.{name}"
        return name, Weights(source, sha256, licence, int(channels or 3))


@dataclass(frozen=True)
class Row:
    """What the table knows about one encoder."""

    name: str
    flags: str
    depth: int
    size: int
    stride: int
    weights: WeightNames
    input_size: int | None = None

    @property
    def vit(self) -> bool:
        """Whether it is a vision transformer: features of one stride, for dpt only."""
        return "v" in self.flags

    @property
    def exact(self) -> bool:
        """Whether each feature has exactly half the size of the one before."""
        return "o" not in self.flags

    @property
    def timm(self) -> str:
        """Name of the timm model, empty for an encoder of smp's own."""
        return self.name[3:] if self.name.startswith("tu-") else ""

    @property
    def imitates(self) -> str:
        """Name of the encoder whose network this one is said to be but is not, else empty."""
        return f"tu-{self.name[5:]}" if self.name.startswith("timm-tf_efficientnet_lite") else ""

    @property
    def options(self) -> dict[str, Any]:
        """Keywords of timm's constructor that make it take any size, or the wanted one."""
        chosen: dict[str, Any] = {"num_classes": 0} if self.vit else {}
        for flag in self.flags:
            chosen |= _OPTIONS.get(flag, {})
        return chosen | ({"img_size": self.input_size} if self.input_size else {})


@cache
def _rows() -> dict[str, list[Any]]:
    content: dict[str, dict[str, list[Any]]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return content["encoders"]


def find(name: str, input_size: int | None = None) -> Row:
    """Return the row of an encoder, to be built for ``input_size`` when it takes but one.

    Raises:
        UsageError: when the table has no encoder of that name.
    """
    try:
        flags, depth, size, stride, weights = _rows()[name]
    except KeyError:
        raise UsageError(_ENCODER, f"no encoder named {name!r} in smp or timm") from None
    return Row(name, flags, depth, size, stride, WeightNames(name, weights), input_size)


def descriptors() -> list[Encoder]:
    """Return the descriptors of all encoders."""
    return [_descriptor(name, *row) for name, row in _rows().items()]


def _descriptor(name: str, flags: str, depth: int, size: int, stride: int, weights: str) -> Encoder:
    vit = "v" in flags
    params = _VIT_PARAMS if vit else _PYRAMID_PARAMS
    return Encoder(
        name=name,
        target=TARGET,
        summary=_summary(name, flags, depth, size, stride),
        params=params | {"input_size": _INPUT_SIZE} if "i" in flags else params,
        aliases=_aliases(name),
        wants=("name", "in_channels", "depth", "output_stride"),
        dims=(2,),
        needs=NEEDS,
        extra="train",
        licence="Apache-2.0" if name.startswith("tu-") else "MIT",
        deprecated=_deprecated(name),
        strides=(stride,) * depth if vit else (1, 2, 4, 8, 16, 32)[: depth + 1],
        weights=WeightNames(name, weights),
    )


def _summary(name: str, flags: str, depth: int, size: int, stride: int) -> str:
    family = "timm" if name.startswith("tu-") else "smp"
    if name.startswith("timm-tf_efficientnet_lite"):
        return "smp: does not reproduce the network of its ImageNet weights (padding and epsilon differ)"
    what = f"vision transformer for dpt, patches of {stride}" if "v" in flags else f"feature pyramid of {depth} stages"
    if size:
        what += f", only for inputs of {size} x {size}" + (" or another input_size" if "i" in flags else "")
    if "o" in flags:
        what += ", sizes not exact halves: for unet only"
    return f"{family}: {what}"


def _aliases(name: str) -> tuple[str, ...]:
    """Return the ``timm-`` name under which smp still knows a timm model."""
    if name.startswith("tu-tf_mobilenetv3"):
        return (f"timm-{name[6:]}",)
    return (f"timm-{name[3:]}",) if name[3:].startswith(_REDIRECTED) and name.startswith("tu-") else ()


def _deprecated(name: str) -> str | None:
    if not name.startswith("timm-"):
        return None
    model = name.removeprefix("timm-")
    successor = f"tu-tf_{model.replace('-', '_')}" if model.startswith("efficientnet-") else f"tu-{model}"
    return f"use {successor!r} (smp is about to remove its timm- encoders)"
