"""What ruins a training, looked for in an image and its labels before anything is trained."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from volseg_core.advice.findings import Finding, Level, times
from volseg_core.advice.images import check_image
from volseg_core.advice.labels import VALUES, check_ids, check_planes, kind_of
from volseg_core.advice.placement import FEWEST, agreement
from volseg_core.advice.survey import survey_image, survey_labels
from volseg_core.data.files import VolumeLike, open_volume
from volseg_core.volume.labels import class_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from volseg_core.advice.survey import ImageSurvey, LabelSurvey
    from volseg_core.catalog import Catalog
    from volseg_core.data.files import VolumeSource
    from volseg_core.volume import Grid

_SAME_SPACING = 0.02


def check(
    catalog: Catalog, data: VolumeLike, labels: VolumeLike | None = None, ignore: Sequence[int] = (-1,)
) -> list[Finding]:
    """Look at an image, and at its labels if there are any, and return what was found, in the order looked at.

    Memory is bounded, whatever the size: two planes of 2048 x 2048 voxels, and 16 blocks of 48 x 48 x 48 in codes.

    Raises:
        VolsegError: a file cannot be opened.
    """
    with open_volume(catalog, data, "data") as image:
        if labels is None:
            return list(check_image(survey_image(image)))
        with open_volume(catalog, labels, "labels") as ids:
            return list(_pair(image, ids, tuple(ignore)))


def _pair(image: VolumeSource, ids: VolumeSource, ignore: tuple[int, ...]) -> Iterator[Finding]:
    seen = survey_image(image)
    found = survey_labels(ids, class_names(ids.attributes))
    shape = list(check_shape(image, ids))
    yield from shape
    yield from _spacing(seen.grid, found.grid)
    yield from check_image(seen)
    values = list(check_ids(found, ignore))
    yield from values
    trusted = not any(item.level == "fatal" for item in (*shape, *values)) and not seen.not_finite
    if trusted and kind_of(found, ignore)[0] != VALUES:
        yield from check_planes(found, ignore)
        yield from _place(image, ids, seen, found, ignore)


def check_shape(image: VolumeSource, ids: VolumeSource) -> Iterator[Finding]:
    """Yield whether image and labels have the same voxels."""
    if image.shape == ids.shape:
        yield Finding("ok", f"shape {times(image.shape)} of image and labels")
        return
    turned = " in another order of axes" if sorted(image.shape) == sorted(ids.shape) else ""
    what = f"the image has shape {times(image.shape)} and the labels {times(ids.shape)}{turned}"
    yield Finding(
        "fatal",
        what,
        "labels must lie on the same voxels",
        "Transpose or cut one of them, or name another dataset, FILE:/PATH",
    )


def _spacing(image: Grid, labels: Grid) -> Iterator[Finding]:
    one, other = image.metres, labels.metres
    if image.independent:
        return
    if image.spacing is None:
        why = "volseg then takes the voxels for cubes and slices along all axes"
        yield Finding(
            "note", "the image does not say its voxel spacing", why, "Set data.axes=z if planes lie far apart"
        )
    elif one is None or other is None:
        yield Finding("ok", f"spacing {image.voxel_size}")
    elif all(math.isclose(a, b, rel_tol=_SAME_SPACING) for a, b in zip(one, other, strict=True)):
        yield Finding("ok", f"spacing {image.voxel_size} of image and labels")
    else:
        what = f"the image has spacing {image.voxel_size} and the labels {labels.voxel_size}"
        yield Finding("fatal", what, "the labels were made on another grid", "Resample them, or correct the file")


def _place(
    image: VolumeSource, ids: VolumeSource, seen: ImageSurvey, found: LabelSurvey, ignore: tuple[int, ...]
) -> Iterator[Finding]:
    several = [z for z in found.planes if z not in found.single]
    if not several or all(low >= high for low, high in zip(seen.low, seen.high, strict=True)):
        return
    result = agreement(image, lambda box: ids.read(box)[0], (several[0], several[-1] + 1), ignore)
    best = result.best
    stated = f"agreement of labels and image {result.as_given:.3f} bits per voxel"
    if result.voxels < FEWEST:
        what = f"where the labels lie was not checked: {result.voxels} labelled voxels in the blocks looked at"
        yield Finding("note", what, "so few fit in many places", "Look at both, one over the other")
    elif not result.related:
        why = "the labels may belong to another image"
        yield Finding(
            "note", f"the labels say nothing about the image ({stated})", why, "Look at both, one over the other"
        )
    elif best is not None and best.better:
        level: Level = "fatal" if best.clear else "note"
        what = (
            f"the labels fit {'' if level == 'fatal' else 'perhaps '}better {best.placement}: {best.gain:.1f} times "
            f"the agreement, in {best.wins} of {best.blocks} blocks "
            f"({best.as_given:.3f} to {best.moved:.3f} bits per voxel, {best.errors:.1f} standard errors)"
        )
        yield Finding(
            level,
            what,
            "displaced labels teach wrong borders",
            "Look at both, one over the other, and correct the labels",
        )
    else:
        yield Finding("ok", f"{stated}, in no other placement better")
