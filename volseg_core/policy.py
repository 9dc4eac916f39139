"""Which plugins are admitted, and what must be installed before any of them is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

from volseg_core.errors import PluginError, UsageError, VolsegError

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
        if self.mode == "listed" and not plugin.startswith("local/") and plugin not in required_names(self.require):
            return "blocked: plugins.mode is 'listed' and plugins.require does not name it"
        return ""


def check_required(require: Iterable[str]) -> None:
    """Raise the first of `required_errors`."""
    for error in required_errors(require):
        raise error


def required_errors(require: Iterable[str]) -> list[VolsegError]:
    """Return what is wrong with requirements: each that is none, then in one error all that are not met."""
    errors: list[VolsegError] = []
    unmet = {}
    for line in require:
        try:
            wanted = _requirement(line)
        except UsageError as error:
            errors.append(error)
            continue
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            unmet[line] = f"{line} is not installed"
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            unmet[line] = f"{line} is not met: {version} is installed"
    if unmet:
        quoted = " ".join(f'"{line}"' for line in unmet)
        errors.append(PluginError(_WHERE, "; ".join(unmet.values()), notes=[f"pip install {quoted}"]))
    return errors


def required_names(require: Iterable[str]) -> set[str]:
    """Return the ids of the plugins that requirements name."""
    return {normalise(_requirement(line).name) for line in require}


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
