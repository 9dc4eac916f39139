"""The hooks of volseg. Collecting hooks take no arguments; arguments of others may be added, never removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from volseg_core import api

hookspec = pluggy.HookspecMarker("volseg")


@hookspec
def volseg_architectures() -> Iterable[api.Architecture]:  # type: ignore[empty-body]
    """Return networks."""


@hookspec
def volseg_encoders() -> Iterable[api.Encoder]:  # type: ignore[empty-body]
    """Return encoders that architectures may be built on."""


@hookspec
def volseg_losses() -> Iterable[api.Loss]:  # type: ignore[empty-body]
    """Return losses."""


@hookspec
def volseg_metrics() -> Iterable[api.Metric]:  # type: ignore[empty-body]
    """Return metrics."""


@hookspec
def volseg_readers() -> Iterable[api.Reader]:  # type: ignore[empty-body]
    """Return readers of volumes."""


@hookspec
def volseg_writers() -> Iterable[api.Writer]:  # type: ignore[empty-body]
    """Return writers of volumes."""


@hookspec
def volseg_merges() -> Iterable[api.Merge]:  # type: ignore[empty-body]
    """Return strategies that merge the predictions of views."""


@hookspec
def volseg_augmentations() -> Iterable[api.Augmentation]:  # type: ignore[empty-body]
    """Return augmentations of training windows."""


@hookspec
def volseg_targets() -> Iterable[api.Target]:  # type: ignore[empty-body]
    """Return makers of what a head learns of the labels."""


@hookspec
def volseg_generators() -> Iterable[api.Generator]:  # type: ignore[empty-body]
    """Return generators of synthetic volumes."""


@hookspec
def volseg_postprocessors() -> Iterable[api.Postprocess]:  # type: ignore[empty-body]
    """Return steps that follow the merge."""


@hookspec
def volseg_runtimes() -> Iterable[api.Runtime]:  # type: ignore[empty-body]
    """Return runtimes that execute networks."""


@hookspec
def volseg_recipes() -> Iterable[Path]:  # type: ignore[empty-body]
    """Return YAML files of recipes, used by their qualified names ``ID/NAME``."""


@hookspec
def volseg_run_started(run: api.RunInfo) -> None:
    """Act when a training run starts."""


@hookspec
def volseg_run_finished(run: api.RunInfo, status: str) -> None:
    """Act when a training run ended with ``done``, ``failed`` or ``interrupted``."""


@hookspec
def volseg_export_metadata(run: api.RunInfo) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Return metadata for the exported model, stored under ``ID.key``."""


COLLECTING = {
    "architecture": "volseg_architectures",
    "encoder": "volseg_encoders",
    "loss": "volseg_losses",
    "metric": "volseg_metrics",
    "reader": "volseg_readers",
    "writer": "volseg_writers",
    "merge": "volseg_merges",
    "augmentation": "volseg_augmentations",
    "target": "volseg_targets",
    "generator": "volseg_generators",
    "postprocess": "volseg_postprocessors",
    "runtime": "volseg_runtimes",
}
"""Hook that collects each kind of component."""
