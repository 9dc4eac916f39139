"""A recipe for a labelled volume and a machine, with the reason for each choice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from volseg_core.advice.case import GIB, IGNORE, Case, Machine
from volseg_core.advice.check import check_shape
from volseg_core.advice.labels import HINTS, OBJECTS, VALUES, check_ids, kind_of, like_objects
from volseg_core.advice.patches import patch_choices
from volseg_core.advice.slices import slice_choices
from volseg_core.advice.survey import survey_image, survey_labels
from volseg_core.data.files import VolumeLike, open_volume
from volseg_core.errors import DataError
from volseg_core.recipe.choices import Choice, write_recipe
from volseg_core.volume import SLICES
from volseg_core.volume.labels import class_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from volseg_core.advice.survey import LabelSurvey
    from volseg_core.data.files import VolumeSource
    from volseg_core.registry import Registry

_MANY_CLASSES = 16
_MEMORY_SHARE = 0.5


def suggest(
    registry: Registry,
    data: VolumeLike,
    labels: VolumeLike,
    machine: Machine | None = None,
    *,
    dims: int = SLICES,
    objects: bool = False,
) -> str:
    """Return the YAML text of a recipe for a labelled volume, for slices or for a 3D network (``dims`` 3).

    In 3D the labels may number objects: where ``objects`` says so, or where ids are many or spread far apart.

    Raises:
        DataError: the labels do not fit the image or are none that the recipes of ``dims`` learn, or there is no depth.
    """
    with open_volume(registry.catalog, data, "data") as image, open_volume(registry.catalog, labels, "labels") as ids:
        found = survey_labels(ids, class_names(ids.attributes))
        kind, what = (OBJECTS, "the labels number objects") if objects else kind_of(found, IGNORE)
        _check(image, ids, found, dims, kind, what)
        objects = kind == OBJECTS or (dims != SLICES and like_objects(found.classes(IGNORE)))
        case = Case(survey_image(image), found, machine or Machine.here(), registry.catalog, objects)
        where = image.grid.source or "a volume"
    shape = " x ".join(map(str, case.image.shape))
    title = f"Suggested by volseg for {where}: {shape} voxels of {case.image.dtype}, on {case.machine}."
    return write_recipe(
        title, _choices(case, data, labels, slice_choices(case) if dims == SLICES else patch_choices(case))
    )


def _check(image: VolumeSource, labels: VolumeSource, found: LabelSurvey, dims: int, kind: str, what: str) -> None:
    """Refuse a pair that no recipe of so many dimensions learns from."""
    where = labels.grid.source or "labels"
    if kind == VALUES:
        raise DataError(where, f"{what}, which look like {kind}; suggestions are for classes", HINTS[kind])
    if kind == OBJECTS and dims == SLICES:
        what = f"{what}, and suggestions for slices are for classes"
        raise DataError(where, what, f"Suggest a 3D network with --dims 3. {HINTS[kind]}")
    for finding in (*check_shape(image, labels), *check_ids(found, IGNORE)):
        if finding.level == "fatal":
            raise DataError(where, finding.what, finding.hint)
    if dims != SLICES and (image.grid.independent or image.shape[0] == 1):
        what = "independent or single images have no depth for a 3D network to see"
        raise DataError(image.grid.source or "data", what, "Leave --dims out.")


def _choices(case: Case, data: VolumeLike, labels: VolumeLike, rest: Iterator[Choice]) -> Iterator[Choice]:
    yield Choice("summary", "Suggested by volseg for one labelled volume.", "for listings")
    yield next(rest)
    yield from _files(case, data, labels)
    yield from rest


def _files(case: Case, data: VolumeLike, labels: VolumeLike) -> Iterator[Choice]:
    """Name the files, where there are any, and whether the memory holds them."""
    needed = case.voxels * (case.image.channels * case.image.dtype.itemsize + case.labels.dtype.itemsize + 1)
    memory = case.machine.memory
    why = f"training holds image, labels and classes in memory: {needed / GIB:.2g} GiB"
    if memory is not None:
        tight = "; cut the volume" if needed > _MEMORY_SHARE * memory else ""
        why += f" of {memory / GIB:.2g} GiB that are free{tight}"
    if isinstance(data, (str, os.PathLike)) and isinstance(labels, (str, os.PathLike)):
        yield Choice("data.train", [os.fspath(data)], why)
        yield Choice("data.labels", [os.fspath(labels)], "; ".join(_shares(case)))


def _shares(case: Case) -> Iterator[str]:
    classes = case.labels.classes(IGNORE)
    total = sum(classes.values())
    for item, count in list(classes.items())[:_MANY_CLASSES]:
        yield f"{case.labels.names.get(item, item)} {100 * count / total:.3g} %"
    if len(classes) > _MANY_CLASSES:
        yield f"{len(classes)} ids in all: if they are objects, give a target such as boundaries"
    if IGNORE[0] in case.labels.ids:
        yield f"{100 * (1 - total / sum(case.labels.ids.values())):.3g} % have no label"
