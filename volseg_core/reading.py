"""Reading YAML that users write: one mapping per file, no key twice, every error a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from volseg_core.errors import DataError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        DataError: the file cannot be read. UsageError: it is not YAML, holds a key twice or is not a mapping.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        _reject_repeated_keys(yaml.compose(text, Loader=_loader()))
        content = yaml.load(text, Loader=_loader())  # noqa: S506  (it is a safe loader)
        json.dumps(content, default=str, skipkeys=True)  # refuses an anchor that holds itself
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UsageError(str(path), f"is not YAML ({' '.join(str(error).split())})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(str(path), f"holds {type(content).__name__}, not a mapping of keys to values")
    return content


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _reject_repeated_keys(root: Any) -> None:
    """Raise a ValueError for a key that a mapping has twice: YAML would silently keep the last."""
    import yaml

    nodes, seen = [root], set()
    while nodes:
        node = nodes.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for key, _ in node.value:
                if keys.count(key.value) > 1:
                    message = f"key {key.value!r} stands twice in line {key.start_mark.line + 1} and elsewhere"
                    raise ValueError(message)
            nodes += [value for _, value in node.value]
        else:
            nodes += node.value
