"""What a training is put together of: the network, the losses and metrics of its heads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from volseg_core.api import Metric
from volseg_core.errors import UsageError
from volseg_core.machine import torch_device
from volseg_core.model import read_model
from volseg_core.network import build_network, load_tensors, misfits
from volseg_core.training.losses import SumOfHeads, WeightedLoss
from volseg_core.training.scores import Scorer
from volseg_core.volume import SLICES, View

if TYPE_CHECKING:
    from torch import nn

    from volseg_core.catalog import Catalog
    from volseg_core.model import ModelSpec
    from volseg_core.recipe import TrainBlock
    from volseg_core.training.run import Prepared, RunOptions

log = logging.getLogger("volseg")


def start_network(catalog: Catalog, prepared: Prepared, options: RunOptions) -> nn.Module:
    """Return the network as training begins: with the weights of its encoder, or those of a model to start from."""
    recipe, spec = prepared.recipe, prepared.spec
    fresh = not options.resume and options.start_from is None
    network = build_network(catalog, recipe, spec.in_channels, spec.out_channels, pretrained=fresh)
    if options.start_from is not None and not options.resume:
        model = read_model(options.start_from)
        if model.export:
            raise UsageError("--from", f"{model.path} is an exported model", "Give the run that it was made of.")
        if model.spec.members > 1:
            what = f"{model.path} holds {model.spec.members} networks, one for each fold"
            raise UsageError("--from", what, f"Choose one: --from {model.path.parent / 'fold-1'}")
        replaced = misfits(network, model)
        load_tensors(network, model, skip=tuple(replaced))
        if replaced:
            log.info("fine-tuning: %s start anew, their shapes differ from %s", ", ".join(replaced), model.path)
        elif _taught(spec) != _taught(model.spec):
            was, now = "; ".join(_taught(model.spec)), "; ".join(_taught(spec))
            log.info("fine-tuning: the last layer goes on from %s (%s), though it is to learn %s", model.path, was, now)
    layout = layout_of(recipe.train, network, spec.dims)
    return network if layout is None else network.to(memory_format=layout)


def _taught(spec: ModelSpec) -> list[str]:
    """Return what each head learns, in words."""
    return [f"{head.title}: {head.describe()}" for head in spec.heads]


def layout_of(rule: TrainBlock, network: nn.Module, dims: int) -> torch.memory_format | None:
    """Return the channels-last layout where it is wanted.

    Auto is for slices on a GPU, and for boxes on a CPU where batch norm is the only norm: backward passes then take two
    thirds of their time. Torch sums group norms less exactly in that layout, and copies for instance norms.
    """
    device = torch_device(rule.device)
    automatic = device == "cuda" if dims == SLICES else device == "cpu" and _only_batch_norms(network)
    if not (automatic if rule.channels_last == "auto" else rule.channels_last):
        return None
    return torch.channels_last if dims == SLICES else torch.channels_last_3d


def _only_batch_norms(network: nn.Module) -> bool:
    others = (torch.nn.GroupNorm, torch.nn.InstanceNorm3d, torch.nn.LayerNorm)
    modules = list(network.modules())
    return any(isinstance(module, torch.nn.BatchNorm3d) for module in modules) and not any(
        isinstance(module, others) for module in modules
    )


def build_loss(catalog: Catalog, prepared: Prepared) -> SumOfHeads:
    """Return the sum of the losses of all heads."""
    losses = []
    for spec, head in zip(prepared.spec.heads, prepared.recipe.heads, strict=True):
        counts = prepared.class_counts if spec.of_classes else None
        losses.append(WeightedLoss(catalog, head.losses, spec, counts))
    return SumOfHeads(prepared.spec, prepared.recipe.heads, losses)


def build_scorers(catalog: Catalog, prepared: Prepared) -> list[Scorer]:
    """Return what judges each head by its metrics."""
    scorers = []
    for spec, head in zip(prepared.spec.heads, prepared.recipe.heads, strict=True):
        context = {"classes": spec.classes.names, "spacing": window_spacing(prepared.spec), "task": spec.task}
        metrics = []
        for use in head.metrics:
            assert isinstance(use.provided.component, Metric)  # noqa: S101  (the catalog keeps kinds apart)
            metrics.append((use.provided.component, catalog.build(use.provided, use.params, context)))
        scorers.append(Scorer(spec, metrics))
    return scorers


def window_spacing(spec: ModelSpec) -> tuple[float, ...] | None:
    """Return the spacing that all validation windows share, or None: then distances are in voxels."""
    alike = spec.spacing is None or len(set(spec.spacing)) == 1
    if spec.spacing is None or spec.dims != SLICES or alike:
        return spec.spacing
    return tuple(spec.spacing[axis] for axis in View.parse(spec.axes).order) if len(spec.axes) == 1 else None
