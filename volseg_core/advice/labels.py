"""What is wrong with labels: ids that are no classes, empty planes, classes too small to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.advice.findings import Finding, be, count, listed, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from volseg_core.advice.survey import LabelSurvey

_TINY_SHARE, _TINY_VOXELS = 1e-3, 2000
_FEW_IDS, _MANY_IDS, _MOST_IDS = 3, 16, 1024
_NO_LABEL = 255
_MOST_IGNORED = 0.95
_SHOWN = 6

CLASSES, OBJECTS, VALUES = "classes", "objects", "values"
HINTS = {
    OBJECTS: "Give the recipe a target that is made of objects, such as task: multilabel, target: boundaries",
    VALUES: "A recipe learns them as they are with task: regression, or with task: multilabel if they are 0 or 1",
}
"""What recipes do with labels that are no ids of classes."""


def kind_of(found: LabelSurvey, ignore: tuple[int, ...]) -> tuple[str, str]:
    """Return what labels look like, classes, objects or values, and by what."""
    if found.channels != 1:
        return VALUES, f"the labels have {found.channels} channels"
    if found.fractions:
        return VALUES, f"the labels are {found.dtype} with values that are no whole numbers"
    if found.crowded or len(found.classes(ignore)) > _MOST_IDS:
        return OBJECTS, f"the labels have more than {_MOST_IDS} ids"
    return CLASSES, ""


def check_ids(found: LabelSurvey, ignore: tuple[int, ...]) -> Iterator[Finding]:
    """Yield whether the ids can be classes, and how many voxels each has."""
    kind, what = kind_of(found, ignore)
    if kind != CLASSES:
        yield Finding("note", what, f"they look like {kind}, not like ids of classes", HINTS[kind])
        return
    if found.dtype.kind not in "biu":
        what = f"the labels are {found.dtype}"
        hint = "Convert the file to uint8 or uint16, or learn values with task: regression"
        yield Finding("fatal", what, "class ids must be integers", hint)
    classes = found.classes(ignore)
    if negative := [item for item in classes if item < 0]:
        what = f"{count(len(negative), 'id')} below 0 ({listed(negative)})"
        yield Finding(
            "fatal", what, "only ignored ids may be negative", f"Set data.ignore=[{listed([*ignore, *negative])}]"
        )
    if len(classes) < 2:  # noqa: PLR2004
        only = f"the only id is {next(iter(classes))}" if classes else "every voxel is ignored"
        yield Finding(
            "fatal", f"the labels are empty: {only}", "training needs two classes", "Check the dataset, FILE:/PATH"
        )
        return
    yield from _classes(found, classes)


def _classes(found: LabelSurvey, classes: dict[int, int]) -> Iterator[Finding]:
    voxels = sum(found.ids.values())
    labelled = sum(classes.values())
    if like_objects(classes):
        why = "if they are objects, each would become a class of its own"
        yield Finding("note", f"the labels have {len(classes)} ids", why, f"If so: {HINTS[OBJECTS]}")
    else:
        shares = ", ".join(
            f"{found.names.get(item, item)} {percent(count / labelled)}" for item, count in classes.items()
        )
        yield Finding("ok", f"{len(classes)} classes: {shares}")
    rest = sorted(set(classes) - {_NO_LABEL})
    if _NO_LABEL in classes and len(rest) > 1 and max(rest) < _NO_LABEL - len(rest):
        why = "255 often means 'no label', and would become a class"
        yield Finding("note", f"id 255 beside {listed(rest)}", why, "If so, set data.ignore=[-1, 255]")
    if labelled < (1 - _MOST_IGNORED) * voxels:
        what = f"{percent(labelled / voxels)} of the voxels have a label"
        yield Finding(
            "note", what, "windows are laid where labels are, but few differ", "Label more, or train fewer epochs"
        )
    tiny = {
        item: count for item, count in classes.items()
        if count < _TINY_SHARE * labelled or (found.whole and count < _TINY_VOXELS)
    }  # fmt: skip
    if tiny and len(classes) <= _MANY_IDS:
        named = ", ".join(
            f"{found.names.get(item, item)}: {count} voxels" for item, count in list(tiny.items())[:_SHOWN]
        )
        why = "windows rarely show them, and a loss hardly notices them"
        yield Finding("note", f"tiny classes ({named})", why, "Set data.sampler=balanced and loss weights: auto")


def like_objects(classes: dict[int, int]) -> bool:
    """Whether ids may be those of objects: they are many, or several that are spread far apart, as in a crop."""
    if len(classes) > _MANY_IDS:
        return True
    ids = [item for item in classes if item != _NO_LABEL]
    return len(ids) > _FEW_IDS and max(ids) > _MANY_IDS * len(ids)


def check_planes(found: LabelSurvey, ignore: tuple[int, ...]) -> Iterator[Finding]:
    """Look for planes of one id between planes that hold several."""
    several = [z for z in found.planes if z not in found.single]
    if not several:
        return
    empty = [z for z, item in found.single.items() if several[0] < z < several[-1] and item not in ignore]
    if empty:
        what = f"{count(len(empty), 'plane')} between labelled ones {be(empty)} of one id (z {listed(empty)})"
        why = "if they were not annotated, they teach that nothing is there"
        yield Finding("note", what, why, "Then give them the id -1")
