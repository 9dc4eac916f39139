"""The section ``model``: the network, and what it says about the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volseg_core.errors import did_you_mean
from volseg_core.migration.pytorch_3dunet.vocabulary import NETWORKS, TEMPLATES, Network

if TYPE_CHECKING:
    from volseg_core.migration.settings import Settings, Transfer

_ELSEWHERE = "unknown to pytorch-3dunet as a key of a model, which ignores it"
_REASONS = {
    key: f"pytorch-3dunet ignores it, so its checkpoints do not have it; for a new training set model.{key}"
    for key in ("conv_kernel_size", "pool_kernel_size")
}
_LINEAR = {2: "bilinear", 3: "trilinear"}
_KINDS = ("nearest", "bilinear", "trilinear", "deconv")


@dataclass(frozen=True)
class Outputs:
    """What the section says of the network: its kind, its channels, and the activation of its predictions."""

    network: Network | None
    in_channels: int
    channels: int
    sigmoid: bool
    segments: bool
    padded: bool

    @property
    def dims(self) -> int:
        """Dimensions of the images."""
        return self.network.dims if self.network else 3


def carry_network(settings: Settings, transfer: Transfer) -> Outputs:
    """Carry the network with its options."""
    name = settings.word("name")
    network = NETWORKS.get(name)
    dims = network.dims if network else 3
    transfer.carry("extends", TEMPLATES[dims], "everything that this configuration does not say")
    transfer.carry("dims", dims, f"model.name {name}")
    if network is not None:
        transfer.carry("model.use", network.use, f"model.name {name}")
    elif name:
        hint = did_you_mean(name, NETWORKS)
        settings.leave("name", f"{name} has no equivalent here; the recipe keeps its own network. {hint}".rstrip())
    inputs, outputs = settings.whole("in_channels", 1), settings.whole("out_channels", 1)
    if inputs is not None:
        settings.leave("in_channels", "follows from the data")
    sigmoid, segments = settings.take("final_sigmoid", default=True), settings.take("is_segmentation", default=True)
    if network is None:
        settings.leave(tuple(settings.remaining()), "belongs to a network that has no equivalent here")
        return Outputs(None, inputs or 1, outputs or 1, bool(sigmoid), bool(segments), padded=False)
    _sizes(settings, transfer)
    _layers(settings, transfer, network)
    _upsampling(settings, transfer, network)
    padded = _padding(settings, network)
    settings.leave_the_rest(_REASONS, _ELSEWHERE)
    return Outputs(network, inputs or 1, outputs or 1, bool(sigmoid), bool(segments), padded)


def _sizes(settings: Settings, transfer: Transfer) -> None:
    maps = settings.take("f_maps")
    if isinstance(maps, (list, tuple)):
        transfer.carry("model.f_maps", list(maps), "model.f_maps")
        settings.leave("num_levels", "without effect: f_maps is a list, of one number for each level")
        return
    if maps is not None:
        transfer.carry("model.f_maps", maps, "model.f_maps")
    levels = settings.whole("num_levels", 2)
    if levels is not None:
        transfer.carry("model.num_levels", levels, "model.num_levels")


def _layers(settings: Settings, transfer: Transfer, network: Network) -> None:
    order = settings.word("layer_order")
    if order:
        transfer.carry("model.layer_order", order, "model.layer_order")
    order = order or "gcr"
    if "g" not in order:
        settings.leave("num_groups", f"without effect: {order} has no group norm")
    elif (groups := settings.whole("num_groups", 1)) is not None:
        transfer.carry("model.num_groups", groups, "model.num_groups")
    if not set("dD") & set(order):
        settings.leave("dropout_prob", f"without effect: {order} has no dropout")
    elif (dropout := settings.number("dropout_prob", lambda value: 0 <= value <= 1)) is not None:
        ignored = ", which its residual blocks ignore" if network.residual else ""
        transfer.carry("model.dropout_prob", dropout, f"model.dropout_prob{ignored}")
    if network.residual:
        settings.leave("conv_upscale", "without effect on residual blocks, there too")
    elif (upscale := settings.whole("conv_upscale", 1)) is not None:
        transfer.carry("model.conv_upscale", upscale, "model.conv_upscale")


def _upsampling(settings: Settings, transfer: Transfer, network: Network) -> None:
    value: Any = settings.take("upsample", default="default")
    if value == "default":
        return
    linear = _LINEAR[network.dims]
    ours = {"linear": linear, "bilinear": linear, "trilinear": linear, "area": "nearest"}.get(value, value)
    if ours not in _KINDS:
        settings.leave("upsample", f"{value!r} cannot join features of two sizes, there neither")
        return
    why = f"model.upsample {value}"
    if value == "area":
        why += ", which is nearest where the size doubles exactly; where it does not, as of odd sizes, values differ"
    elif ours != value:
        why += f", which in {network.dims}D is {ours}"
    transfer.carry("model.upsample", ours, why)
    if network.residual:
        transfer.carry("model.joining", "concat", f"an upsample that is set joins so there ({value})")


def _padding(settings: Settings, network: Network) -> bool:
    """Return whether convolutions keep the size of an image, as they do here."""
    value = settings.take("conv_padding", default=1)
    sizes = set(value) if isinstance(value, (list, tuple)) else {value}
    if network.residual or sizes == {1}:
        settings.leave("conv_padding", "as here: convolutions keep the size of an image")
        return True
    settings.leave("conv_padding", f"{value!r}; here convolutions keep the size of an image")
    return False
