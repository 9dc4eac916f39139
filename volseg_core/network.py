"""Building a recipe's network, and filling it with the weights of a model file. Torch is imported when one is built."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volseg_core.api import Architecture, Encoder
from volseg_core.errors import DataError
from volseg_core.model import ModelFile, read_header
from volseg_core.volume import SizeRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from volseg_core.catalog import Catalog, Provided
    from volseg_core.recipe import ComponentUse, Recipe

UNTRAINED = "none"
"""Value of an encoder's ``weights`` that means a random start."""


@dataclass(frozen=True)
class ChosenEncoder:
    """The recipe's encoder as an architecture receives it (`volseg_core.api.EncoderChoice`)."""

    catalog: Catalog
    use: ComponentUse
    params: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the component."""
        return self.use.provided.component.name

    @property
    def target(self) -> str:
        """Import string of the component."""
        return self.use.provided.component.target

    def build(self, *, in_channels: int, depth: int, output_stride: int = 32) -> Any:
        """Return the encoder as a torch module."""
        context = {"name": self.name, "in_channels": in_channels, "depth": depth, "output_stride": output_stride}
        return self.catalog.build(self.use.provided, self.params, context)


def build_network(
    catalog: Catalog, recipe: Recipe, in_channels: int, num_classes: int, *, pretrained: bool
) -> nn.Module:
    """Build the network ``(N, in_channels, *S) -> (N, num_classes, *S)`` of a recipe.

    Without ``pretrained`` the encoder's own weights are not fetched: those of a model file will replace them.
    """
    encoder = None
    if recipe.encoder is not None:
        params = dict(recipe.encoder.params)
        if not pretrained and "weights" in params:
            params["weights"] = UNTRAINED
        encoder = ChosenEncoder(catalog, recipe.encoder, params)
    context = {"in_channels": in_channels, "num_classes": num_classes, "dims": recipe.header.dims, "encoder": encoder}
    network = catalog.build(recipe.architecture.provided, recipe.architecture.params, context)
    from torch import nn

    assert isinstance(network, nn.Module)  # noqa: S101  (the conformance kit checks it for plugins)
    return network


def trained_network(catalog: Catalog, recipe: Recipe, model: ModelFile) -> nn.Module:
    """Return the network of a model file with its weights, ready for prediction.

    Raises:
        DataError: the tensors do not fit the recipe's network.
    """
    if model.export:
        what = "is an exported model: its network is in ONNX"
        raise DataError(str(model.path), what, "Use --runtime onnxruntime, or give the run.")
    spec = model.spec
    networks = [
        build_network(catalog, recipe, spec.in_channels, spec.out_channels, pretrained=False)
        for _ in range(spec.members)
    ]
    network = networks[0]
    if spec.members > 1:
        from volseg_core.ensemble import Ensemble

        network = Ensemble(networks, [(head.task, head.channels) for head in spec.heads])
    load_tensors(network, model, skip=())
    return network.eval()


def size_rules(catalog: Catalog, recipe: Recipe) -> SizeRule:
    """Return the sizes that a recipe's network takes: those of its architecture that its encoder takes too."""
    dims = recipe.header.dims
    rules = [
        sizes_of(catalog, use.provided, use.params, dims)
        for use in (recipe.architecture, recipe.encoder)
        if use is not None
    ]
    return functools.reduce(SizeRule.joined, rules)


def sizes_of(catalog: Catalog, provided: Provided, params: Mapping[str, Any], dims: int) -> SizeRule:
    """Return the sizes that an architecture or an encoder with these parameters takes in ``dims`` dimensions."""
    component = provided.component
    assert isinstance(component, (Architecture, Encoder))  # noqa: S101  (the catalog keeps kinds apart)
    if component.sizes:
        divisor, least = zip(*catalog.load_target(provided, component.sizes)(params, dims), strict=True)
        return SizeRule(divisor, least)
    if isinstance(component, Encoder):
        return SizeRule.same(component.strides[-1] if component.strides else 1, 1, dims)
    return SizeRule.same(component.divisor, component.min_size, dims)


def load_tensors(network: nn.Module, model: ModelFile, skip: tuple[str, ...]) -> None:
    """Fill a network with the tensors of a model file, leaving out those named in ``skip``."""
    from safetensors.torch import load_file

    own = network.state_dict()
    tensors = {name: tensor for name, tensor in load_file(model.path).items() if name not in skip}
    wrong = sorted((set(own) ^ set(tensors)) - set(skip))
    wrong += [name for name in tensors if name in own and tensors[name].shape != own[name].shape]
    if wrong:
        raise DataError(
            str(model.path),
            f"does not fit the network of its recipe: {len(wrong)} tensors differ, the first is {wrong[0]!r}",
            "Was it trained with other versions? See volseg inspect.",
        )
    network.load_state_dict({**{name: own[name] for name in skip if name in own}, **tensors})


def misfits(network: nn.Module, model: ModelFile) -> list[str]:
    """Return names of tensors whose shape in the file differs from the network's (a head for other classes)."""
    header, _ = read_header(model.path)
    return [
        name
        for name, tensor in network.state_dict().items()
        if name in header and list(tensor.shape) != header[name]["shape"]
    ]
