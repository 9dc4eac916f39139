"""A JSON schema (draft 2020-12) of registry.yaml with the components that are installed, for editors.

It is at least as strict as a reader wants to be and never stricter than volseg: what resolves, validates. Which
components fit together only `volseg recipes check` knows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from volseg_core.api import KINDS
from volseg_core.errors import VolsegError
from volseg_core.recipe.blocks import BLOCKS, HeadBlock, Header, NamedHeadBlock
from volseg_core.recipe.layers import HEAD_SLOTS, HEADS, LIST_SLOTS, SLOTS
from volseg_core.recipe.sources import OWN_KEYS, list_recipes
from volseg_core.registry import MODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

    from volseg_core.catalog import Provided
    from volseg_core.params import Param
    from volseg_core.registry import Registry

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAMES: Schema = {"type": "array", "items": {"type": "string"}}
_NUMBER: Schema = {
    # the second form is what YAML 1.1 makes of 1e-3
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"}]
}
_TEXT: Schema = {"type": ["string", "number"]}
_MANY = 100
"""Names above which ``aliases`` and ``defaults`` take any: hundreds of encoders would fill the file."""
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_SHORT: dict[tuple[str, str], Schema] = {
    ("data", "sampler"): {"enum": ["uniform", "balanced", "foreground", "grid"]},
    ("data", "train"): {"type": "string"},
    ("data", "labels"): {"type": "string"},
    ("data", "unlabelled"): {"type": "string"},
    ("data", "window"): {"type": "integer", "minimum": 1},
    ("data", "ignore"): {"type": "integer"},
    ("data", "axes"): {"type": "array", "items": {"enum": ["z", "y", "x"]}, "uniqueItems": True},
    ("train", "precision"): {"enum": [32]},
    ("predict", "window"): {"type": "integer", "minimum": 1},
    (HEADS, "classes"): {"type": "array", "items": {"type": ["string", "number", "boolean"]}},
}
"""Short forms that the blocks take beside what their types say."""


def registry_schema(registry: Registry) -> Schema:
    """Return the schema of a registry file; that of one recipe is its ``$defs/recipe``."""
    definitions: Schema = {}
    for kind in KINDS:
        definitions |= _kind(registry, kind)
    blocks: dict[str, type[BaseModel]] = {"": Header, HEADS: NamedHeadBlock, **BLOCKS}
    for key, block in blocks.items():
        definitions |= _block(key, block)
    definitions["recipe"] = _recipe(registry, definitions.pop("block:"), definitions[f"block:{HEADS}"])
    return {
        "$schema": DRAFT,
        "title": "volseg registry",
        "description": "Which plugins, aliases, defaults and recipes volseg works with.",
        "type": "object",
        "properties": {
            "version": {"const": 1},
            "plugins": _object({"mode": {"enum": list(MODES)}, "require": _NAMES, "block": _NAMES, "local": _NAMES}),
            "aliases": _object({kind: _aliases(registry, kind) for kind in KINDS}),
            "defaults": _defaults(registry, definitions),
            "default_recipe": {"type": "string"},
            "recipes": {
                "type": ["object", "null"],
                "propertyNames": {"pattern": r"^(?!.*\.ya?ml$)[^/]+$"},
                "additionalProperties": {"$ref": "#/$defs/recipe"},
            },
        },
        "additionalProperties": False,
        "$defs": definitions,
    }


def _object(properties: Schema) -> Schema:
    return {
        "type": ["object", "null"],
        "properties": {key: _or_null(value) for key, value in properties.items()},
        "additionalProperties": False,
    }


def _or_null(schema: Schema) -> Schema:
    """Return a schema that also admits null, with which a recipe takes back what it inherits."""
    kept: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    return kept | {"anyOf": [{key: value for key, value in schema.items() if key not in kept}, {"type": "null"}]}


def _recipe(registry: Registry, header: Schema, head: Schema) -> Schema:
    """Return the schema of a recipe, and complete that of a head by its slots; the only head's keys are at the top."""
    slots: Schema = {str(path[0]): {"$ref": f"#/$defs/{kind}"} for path, kind in SLOTS.items() if len(path) == 1}
    for (key,), kind in LIST_SLOTS.items():
        item = {"$ref": f"#/$defs/{kind}"}
        slots[str(key)] = {"anyOf": [{"type": "array", "items": item}, item]}
    known = [recipe.name for recipe in list_recipes(registry)]
    one = {"anyOf": [{"enum": known}, {"type": "string"}]}
    properties = {
        "extends": {"anyOf": [*one["anyOf"], {"type": "array", "items": one}]},
        "abstract": {"type": "boolean", "description": "Whether it only serves to be extended."},
        **header["properties"],
        **{key: head["properties"][key] for key in HeadBlock.model_fields},
        HEADS: {"type": ["object", "null"], "additionalProperties": {"$ref": f"#/$defs/block:{HEADS}"}},
        **{key: {"$ref": f"#/$defs/block:{key}"} for key in BLOCKS},
        **slots,
    }
    head["properties"] |= {key: _or_null(slots[key]) for key in HEAD_SLOTS}
    assert set(OWN_KEYS) <= set(properties)  # noqa: S101  (both are written out above)
    return _object(properties)


# --- components -------------------------------------------------------------------------------------------------


def _kind(registry: Registry, kind: str) -> Schema:
    """Return the definitions of a kind: ``KIND`` (a name or a mapping), and the parameters of its components."""
    definitions: Schema = {}
    branches: list[Schema] = []
    all_names: list[Schema] = []
    params: set[str] = set()
    for group in _groups(registry, kind):
        key = _key(group)
        names = f"names:{key}"
        definitions[names] = {"enum": sorted({name for item in group for name in _names(registry, item)})}
        definitions[key] = _params(group)
        chosen = {"properties": {"use": {"$ref": f"#/$defs/{names}"}}, "required": ["use"]}
        branches.append({"if": chosen, "then": {"$ref": f"#/$defs/{key}"}})
        all_names.append({"$ref": f"#/$defs/{names}"})
        params |= set(definitions[key]["properties"])
    nested = [str(path[-1]) for path, of_kind in SLOTS.items() if len(path) > 1 and SLOTS.get(path[:-1]) == kind]
    definitions[f"names:{kind}"] = {"anyOf": all_names} if all_names else {"type": "string"}
    name = {"$ref": f"#/$defs/names:{kind}"}
    definitions[kind] = {
        "anyOf": [
            name,
            {
                "type": "object",
                "properties": {"use": name},
                "propertyNames": {"enum": sorted({"use", *params, *nested, *_own_keys(kind)})},
                **({"allOf": branches} if branches else {}),
            },
        ]
    }
    return definitions


def _groups(registry: Registry, kind: str) -> list[list[Provided]]:
    """Return the components of a kind, those of one plugin with the same parameters together."""
    groups: dict[str, list[Provided]] = {}
    for provided in registry.catalog.all(kind):
        params = {name: _param(param) for name, param in provided.component.params.items()}
        alike = json.dumps([provided.plugin.id, params], sort_keys=True, default=str)
        groups.setdefault(alike, []).append(provided)
    return list(groups.values())


def _key(group: list[Provided]) -> str:
    """Return what the definitions of a group are called; a slash would part the pointer to one."""
    return f"{group[0].kind}:{group[0].id.replace('/', '.')}"


def _names(registry: Registry, provided: Provided) -> Iterable[str]:
    """Yield the names that mean a component here: qualified, bare, short forms and those of the registry file."""
    component, kind = provided.component, provided.kind
    bare = (component.name, *component.aliases, *registry.file.aliases.get(kind, {}))
    yield from (provided.id, *(f"{provided.plugin.id}/{alias}" for alias in component.aliases))
    for name in bare:
        try:
            if registry.catalog.find(kind, name) is provided:
                yield name
        except VolsegError:
            continue


def _params(group: list[Provided]) -> Schema:
    component, kind = group[0].component, group[0].kind
    properties = {name: _or_null(_param(param)) for name, param in component.params.items()}
    properties |= {
        str(path[-1]): {"$ref": f"#/$defs/{of}"} for path, of in SLOTS.items() if SLOTS.get(path[:-1]) == kind
    }
    about = [component.summary, f"Deprecated: {component.deprecated}." if component.deprecated else ""]
    description = (
        " ".join(filter(None, about)) if len(group) == 1 else f"{len(group)} components with these parameters."
    )
    return {
        "title": group[0].id if len(group) == 1 else f"{kind} of {group[0].plugin.id}",
        "description": description,
        "type": "object",
        "properties": {"use": {"type": "string"}, **_own_keys(kind), **properties},
        "additionalProperties": False,
    }


def _own_keys(kind: str) -> Schema:
    """Return the keys that place a loss in its sum, or a step after the merge at its head."""
    if kind == "postprocess":
        return {"head": {"type": "string", "description": "Name of the head whose array it takes."}}
    if kind != "loss":
        return {}
    return {
        "weight": {**_bounded({"minimum": 0}), "description": "Its weight in the sum."},
        "start_epoch": {"type": "integer", "minimum": 0, "description": "Epoch, from 0, at which it joins the sum."},
    }


def _param(param: Param) -> Schema:
    """Return the schema of what `Param.coerce` takes."""
    schema = param.json_schema()
    if param.optional:
        schema |= schema.pop("anyOf")[0]
    if param.item:
        schema["items"] = _coerced(schema["items"], param.item)
    schema = _coerced(schema, param.base)
    return {key: _plain(value) for key, value in schema.items()}


def _coerced(schema: Schema, kind: str) -> Schema:
    """Widen a parameter's type by what is converted to it."""
    if kind == "float":
        kept = {key: value for key, value in schema.items() if key not in ("type", "minimum", "maximum")}
        return kept | _bounded({key: schema[key] for key in ("minimum", "maximum") if key in schema})
    if kind in ("str", "path"):
        return schema | _TEXT
    if kind.startswith("component:"):
        return schema | {"$ref": f"#/$defs/{kind.partition(':')[2]}"}
    return schema


def _bounded(bounds: Mapping[str, Any]) -> Schema:
    number, text = _NUMBER["anyOf"]
    return {"anyOf": [{**number, **bounds}, text]}


def _plain(value: Any) -> Any:
    """Return a default as JSON has it: lists, never tuples."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _aliases(registry: Registry, kind: str) -> Schema:
    qualified = sorted(provided.id for provided in registry.catalog.all(kind))
    known = {"enum": qualified} if 0 < len(qualified) <= _MANY else {"type": "string", "pattern": "/"}
    return {"type": "object", "additionalProperties": known}


def _defaults(registry: Registry, definitions: Schema) -> Schema:
    """Return the schema of ``defaults``: parameters by ``KIND/NAME``."""
    properties: Schema = {}
    patterns: Schema = {}
    for kind in KINDS:
        for group in _groups(registry, kind):
            key = _key(group)
            definitions[f"defaults:{key}"] = _object(
                {name: definitions[key]["properties"][name] for name in group[0].component.params}
            )
            own = {"$ref": f"#/$defs/defaults:{key}"}
            names = {f"{kind}/{name}" for provided in group for name in _names(registry, provided)}
            if len(names) <= _MANY:
                properties |= dict.fromkeys(sorted(names), own)
            else:
                patterns[f"^{kind}/({group[0].plugin.id}/)?[^/]+$"] = own
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": False,
    }


# --- blocks -----------------------------------------------------------------------------------------------------


def _block(key: str, block: type[BaseModel]) -> Schema:
    """Return the definitions of a block and of the blocks in it, with the slots that it holds."""
    schema = _translated(block.model_json_schema(ref_template="#/$defs/block:{model}"))
    inner = {f"block:{name}": _nullable(part) for name, part in schema.pop("$defs", {}).items()}
    own = _nullable(schema)
    for name, part in own["properties"].items():
        short = _SHORT.get((key, name))
        if short is not None:
            part["anyOf"].append(short)
    for path, kind in SLOTS.items():
        if path[0] == key and len(path) > 1 and path[:-1] not in SLOTS:
            own["properties"][str(path[-1])] = _or_null({"$ref": f"#/$defs/{kind}"})
    own["type"] = ["object", "null"]
    return {f"block:{key}": own, **inner}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "properties": {name: _or_null(part) for name, part in schema["properties"].items()}}


def _translated(node: Any) -> Any:
    """Return pydantic's schema with bounds under their names in JSON schema, numbers as YAML has them, no titles."""
    if isinstance(node, list):
        return [_translated(item) for item in node]
    if not isinstance(node, dict):
        return node
    found: Schema = {}
    for key, value in node.items():
        if key != "title" or not isinstance(value, str):
            found[_BOUNDS.get(str(key), str(key))] = _translated(value)
    if found.get("type") != "number":
        return found
    bounds = {key: found.pop(key) for key in ("type", *_BOUNDS.values()) if key in found}
    return {**found, **_bounded(bounds)}
