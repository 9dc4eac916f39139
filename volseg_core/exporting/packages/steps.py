"""Steps of a bioimage.io package before and after the network, and the same in volseg's arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.exporting.packages.page import axes
from volseg_core.prediction.segment import result
from volseg_core.volume.normalise import Normaliser

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.model import HeadSpec, ModelSpec

    Array = np.ndarray[Any, np.dtype[np.float32]]


def preprocessing(spec: ModelSpec) -> list[dict[str, Any]]:
    """Return the steps of the normalisation, with statistics of the input instead of the volume.

    The slices that a network with neighbours sees are pooled, as they are one channel of the volume; of several
    channels each slice counts by itself. bioimageio.core measures mean and deviation before the first step, on values
    that are not clipped yet.
    """
    low, high = spec.normalisation.clip
    pooled = [*(["channel"] if spec.volume_channels == 1 else []), *axes(spec)]
    percentiles = {"min_percentile": low, "max_percentile": high}
    if spec.normalisation.kind == "none":
        return []
    if spec.normalisation.kind == "range":
        gain = 2 / (high - low)
        return [_step("clip", min=low, max=high), _step("scale_linear", gain=gain, offset=-1 - low * gain)]
    if spec.normalisation.kind == "percentile":
        return [_step("scale_range", axes=pooled, **percentiles), _step("clip", min=0.0, max=1.0)]
    return [_step("clip", axes=pooled, **percentiles), _step("zero_mean_unit_variance", axes=pooled)]


def postprocessing(head: HeadSpec) -> list[dict[str, Any]]:
    """Return the step that makes probabilities of a head's logits, or gives values their unit."""
    if head.task == "multiclass":
        return [_step("softmax", axis="channel")]
    if head.task != "regression":
        return [{"id": "sigmoid"}]
    if not head.scale:
        return []
    if len(head.scale) == 1:
        return [_step("scale_linear", gain=head.scale[0], offset=head.offset[0])]
    return [_step("scale_linear", axis="channel", gain=list(head.scale), offset=list(head.offset))]


def results(head: HeadSpec, logits: Array) -> Array:
    """Return what the steps make of a head's logits (N, K, *S); of a binary task one channel, where volseg has two."""
    return np.asarray(result(head, logits))[:, -head.channels :]


def _step(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"id": name, "kwargs": kwargs}


def raw_values(image: Array, spec: ModelSpec) -> Array:
    """Return noise as values of a volume: spread over a fixed range, else without outliers.

    Without them it makes no difference whether statistics are taken before or after clipping.
    """
    low, high = spec.normalisation.clip
    if spec.normalisation.kind == "range":
        return (low + (image + 1) / 2 * (high - low)).astype(np.float32)
    return image if spec.normalisation.kind == "none" else _by_volume(image, spec, Normaliser.unit)


def network_values(image: Array, spec: ModelSpec) -> Array:
    """Return what the network sees of images (N, C, *S), each normalised by itself as a volume is."""
    return _by_volume(image, spec, Normaliser.__call__)


def _by_volume(image: Array, spec: ModelSpec, of: Callable[[Normaliser, Array], Array]) -> Array:
    channels = 1 if spec.volume_channels == 1 else spec.in_channels
    volumes = [sample.reshape(channels, -1, *sample.shape[-2:]) for sample in image]
    return np.stack([of(spec.normalisation.fit(volume), volume) for volume in volumes]).reshape(image.shape)
