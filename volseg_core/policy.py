"""Which plugins are admitted, and what must be installed before any of them is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

from volseg_core.errors import PluginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.requirements import Requirement

BUILTIN = "volseg"
"""Id of the plugin that is volseg's own distribution."""
_ONLY_BUILTINS = "blocked: only built-ins are loaded (plugins.mode or --no-plugins)"
_WHERE = "plugins.require"


@dataclass(frozen=True)
class PluginPolicy:
    """Which plugins are admitted: the ``plugins`` block of registry.yaml and the command line's switches.

    ``block`` maps plugin ids and qualified component names to the place that blocks them.
    """

    mode: str = "installed"
    require: tuple[str, ...] = ()
    block: Mapping[str, str] = field(default_factory=dict)
    local: tuple[Path, ...] = ()

    def refusal(self, plugin: str) -> str:
        """Return why ``plugin`` is not loaded, or an empty string."""
        if plugin in self.block:
            return f"blocked by {self.block[plugin]}"
        if plugin == BUILTIN:
            return ""
        if self.mode == "builtin":
            return _ONLY_BUILTINS
        if self.mode == "listed" and not plugin.startswith("local/") and plugin not in self._required_names():
            return "blocked: plugins.mode is 'listed' and plugins.require does not name it"
        return ""

    def _required_names(self) -> set[str]:
        return {normalise(_requirement(line).name) for line in self.require}


def check_required(require: Iterable[str]) -> None:
    """Raise a PluginError that names every requirement that is not met."""
    problems = {}
    for line in require:
        wanted = _requirement(line)
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            problems[line] = f"{line} is not installed"
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            problems[line] = f"{line} is not met: {version} is installed"
    if problems:
        quoted = " ".join(f'"{line}"' for line in problems)
        raise PluginError(_WHERE, "; ".join(problems.values()), notes=[f"pip install {quoted}"])


def normalise(name: str) -> str:
    """Return the id of the plugin that a distribution of this name is (normalised as PEP 503 says)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement(line: str) -> Requirement:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(line)
    except InvalidRequirement as error:
        rule = " ".join(str(error).split())
        raise UsageError(_WHERE, f"{line!r} is not a requirement (PEP 508): {rule}") from None
