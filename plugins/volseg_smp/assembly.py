"""One way to put an smp decoder on an encoder, whoever provides the encoder."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import segmentation_models_pytorch as smp

from volseg_core.api import UsageError
from volseg_smp import table
from volseg_smp.foreign import adopt, registered
from volseg_smp.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from volseg_core.api import EncoderChoice

_MODEL, _ENCODER, _DEPTH = "model", "model.encoder", "model.encoder.depth"
_PYRAMIDS = "'resnet34' or 'tu-convnext_tiny'"
_VITS = "'tu-vit_small_patch16_224' or 'tu-vit_base_patch16_224'"


@dataclass(frozen=True)
class Assembly:
    """A network about to be built.

    ``stages`` are the depths that the decoder works with: least, default, most.
    """

    architecture: str
    encoder: EncoderChoice
    in_channels: int
    num_classes: int
    stages: tuple[int, int, int] = (1, 5, 5)

    @property
    def own(self) -> bool:
        """Whether the encoder is one of smp's or timm's."""
        return self.encoder.target == table.TARGET

    @property
    def depth(self) -> int:
        """The recipe's ``model.encoder.depth``, or what the decoder prefers and the encoder has.

        Raises:
            UsageError: when the decoder or the encoder cannot have that many stages.
        """
        least, default, most = self.stages
        available = table.find(self.encoder.name).depth if self.own else most
        depth = int(self.encoder.params.get("depth") or min(default, available))
        if depth > available:
            what = f"{depth} is more than the {available} stages of encoder {self.encoder.name!r}"
            raise UsageError(_DEPTH, what)
        if not least <= depth <= most:
            what = f"{self.architecture!r} works with {least} to {most} stages, not {depth}"
            raise UsageError(_DEPTH, what)
        return depth

    def build(
        self, *, finest: int | None = None, levels: int = 1, output_stride: int = 32, **options: Any
    ) -> torch.nn.Module:
        """Return the network with the encoder's weights loaded.

        ``finest`` is the first stage whose features the decoder cannot do without (by default only the last is),
        ``levels`` the number of branches that share the last feature's channels.

        Raises:
            UsageError: when decoder and encoder do not go together.
        """
        options["encoder_depth"] = self.depth
        model: Any = self._on_own(options) if self.own else self._on_foreign(output_stride, options)
        channels = list(model.encoder.out_channels)
        if channels[-1] == 0 or (finest is not None and channels[finest] == 0):
            what = f"{self.architecture!r} with {self.depth} stages needs a feature that {self.encoder.name!r} lacks"
            raise UsageError(_DEPTH, what, "This encoder starts at stride 4: take a larger depth.")
        if channels[-1] % levels:
            what = (
                f"{self.architecture!r} needs a multiple of {levels} channels; {self.encoder.name!r} has {channels[-1]}"
            )
            raise UsageError(_ENCODER, what, "Take another encoder or model.encoder.depth.")
        model.name = f"{self.architecture}-{self.encoder.name}"
        network: torch.nn.Module = model
        return network

    def _on_own(self, options: dict[str, Any]) -> Any:
        row = table.find(self.encoder.name, self.encoder.params.get("input_size"))
        if row.vit != (self.architecture == "dpt"):
            raise self._wrong_family(row)
        if not row.exact and self.architecture != "unet":
            what = (
                f"{self.architecture!r} needs features of exactly half the size each; encoder {row.name!r} has others"
            )
            raise UsageError(_ENCODER, what, "Only 'unet' works with it (-s model=unet).")
        model = self._create(row.name, options | row.options)
        load_weights(model.encoder, row, str(self.encoder.params["weights"]), self.in_channels)
        return model

    def _on_foreign(self, output_stride: int, options: dict[str, Any]) -> Any:
        if self.architecture == "dpt":
            what = (
                f"'dpt' works on timm's vision transformers only, not on another plugin's encoder {self.encoder.name!r}"
            )
            raise UsageError(_ENCODER, what, f"Take for example {_VITS}.")
        with registered(adopt(self.encoder, self.in_channels, self.depth, output_stride)) as name:
            return self._create(name, options)

    def _create(self, encoder_name: str, options: dict[str, Any]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our descriptors say what is deprecated
            try:
                return smp.create_model(
                    self.architecture.replace("-", ""),
                    encoder_name,
                    None,
                    self.in_channels,
                    self.num_classes,
                    **options,
                )
            except (AssertionError, LookupError, NotImplementedError, TypeError, ValueError) as error:
                what = f"{self.architecture!r} cannot be built on encoder {self.encoder.name!r}: {error}"
                raise UsageError(_MODEL, what, "Take another encoder, or change the options of the model.") from error

    def _wrong_family(self, row: table.Row) -> UsageError:
        if row.vit:
            what = f"encoder {row.name!r} is a vision transformer without a feature pyramid; only 'dpt' works with it"
            return UsageError(_ENCODER, what, f"Take -s model=dpt, or an encoder such as {_PYRAMIDS}.")
        what = f"'dpt' works on vision transformers; encoder {row.name!r} is a feature pyramid"
        return UsageError(_ENCODER, what, f"Take an encoder such as {_VITS}, or another architecture.")


def per_stage(channels: Sequence[int], depth: int, *, coarsest_first: bool = True) -> tuple[int, ...]:
    """Return the channels of ``depth`` stages, so that a shallower network keeps its finest ones.

    Raises:
        UsageError: when there are too few.
    """
    if len(channels) < depth:
        what = f"{list(channels)!r} has {len(channels)} items for {depth} stages of the encoder"
        raise UsageError(_MODEL, what, "Give one number of channels per stage, or a smaller model.encoder.depth.")
    return tuple(channels[len(channels) - depth :] if coarsest_first else channels[:depth])
