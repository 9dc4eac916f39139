"""What pydantic finds wrong with a block, said the way volseg says it: place, quoted value, rule, suggestion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from volseg_core.errors import UsageError, did_you_mean
from volseg_core.recipe.layers import SLOTS, Path, dotted

if TYPE_CHECKING:
    from pydantic import ValidationError

    from volseg_core.recipe.blocks import Block

Item = Mapping[str, Any]

_UNION_TAGS = ("int", "float", "bool", "str", "tuple", "dict")
_NOUNS = {
    "int": "an int",
    "float": "a float",
    "bool": "a bool",
    "string": "a string",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "finite": "a finite number",
}
"""By the first word of pydantic's error type (``int_parsing``, ``tuple_type``)."""
_BOUNDS = {
    "greater_than_equal": "below the minimum {ge:g}",
    "greater_than": "not above {gt:g}",
    "less_than_equal": "above the maximum {le:g}",
    "less_than": "not below {lt:g}",
}


def translate(
    error: ValidationError, block: type[Block], path: Path, where: Callable[[Path], str], known: Sequence[str] = ()
) -> list[UsageError]:
    """Return one error per place that is wrong in the block at ``path``.

    ``where`` words a place; ``known`` are keys that are valid beside the block's own.
    """
    errors = []
    for location, items in _by_place(error).items():
        full = (*path, *location)
        if items[0]["type"] == "extra_forbidden":
            errors.append(_unknown_key(full, _block_at(block, location[:-1]), where(full), known))
        else:
            errors.append(UsageError(where(full) or "recipe", _sentence(items)))
    return errors


def _unknown_key(path: Path, block: type[Block], where: str, known: Sequence[str]) -> UsageError:
    slots = [str(slot[-1]) for slot in SLOTS if slot[:-1] == path[:-1]]
    holder = repr(dotted(path[:-1])) if path[:-1] else "a recipe"
    hint = did_you_mean(str(path[-1]), [*block.model_fields, *slots, *known])
    return UsageError(where, f"{path[-1]!r} is not in {holder}", hint)


def _by_place(error: ValidationError) -> dict[Path, list[Item]]:
    """Return the items by place. Of a union the member that the value resembles speaks, not every member."""
    found: dict[Path, list[Item]] = {}
    for item in error.errors():
        found.setdefault(tuple(part for part in item["loc"] if not _is_union_tag(part)), []).append(item)
    for place, items in list(found.items()):
        deeper = any(other != place and other[: len(place)] == place for other in found)
        # a list with a wrong item also counts as too short
        silent = ("literal_error", "too_short") if deeper else ("literal_error",)
        resembled = [item for item in items if item["type"] not in silent]
        if deeper and not resembled:
            del found[place]
        elif resembled and not isinstance(items[0]["input"], str):
            found[place] = resembled
    return found


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and ("[" in part or part in _UNION_TAGS)


def _block_at(block: type[Block], path: Path) -> type[Block]:
    for part in path:
        annotation = block.model_fields[str(part)].annotation
        for inner in (annotation, *get_args(annotation)):
            if isinstance(inner, type) and hasattr(inner, "model_fields"):
                block = inner
    return block


def _sentence(items: Sequence[Item]) -> str:
    literals = [str(item["ctx"]["expected"]) for item in items if item["type"] == "literal_error"]
    value = items[0]["input"]
    expected = literals[0].replace("'", "").replace(" or ", ", ") if literals else ""
    hint = did_you_mean(str(value), expected.split(", ")) if expected else ""
    nouns = [_NOUNS[word] for item in items if (word := item["type"].partition("_")[0]) in _NOUNS]
    if expected and nouns:
        return f"{value!r} is neither {expected} nor {nouns[0]}. {hint}".rstrip()
    if expected:
        return f"{value!r} is not one of {expected}. {hint}".rstrip()
    return _rule(items[0], nouns)


def _rule(item: Item, nouns: Sequence[str]) -> str:
    value, kind = item["input"], item["type"]
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind in _BOUNDS:
        return f"{value!r} is {_BOUNDS[kind].format(**item['ctx'])}"
    if kind in ("too_short", "too_long"):
        bound = item["ctx"].get("min_length", item["ctx"].get("max_length"))
        return f"{value!r} has {len(value)} items; it must have {bound}"
    if nouns:
        return f"{value!r} is not {nouns[0]}"
    message = str(item["msg"])
    return f"{value!r}: {message[0].lower()}{message[1:]}"
