"""What is known of each plugin, whether it loaded or not; and calling the hooks of a run."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import types
    from pathlib import Path

    import pluggy

    from volseg_core.api import Component

log = logging.getLogger("volseg")


@dataclass
class PluginRecord:
    """One distribution (or local file) and what became of it: ok, blocked, broken or incompatible."""

    id: str
    version: str = ""
    status: str = "ok"
    reason: str = ""
    entry_points: dict[str, str] = field(default_factory=dict)
    requires: str = ""
    location: str = ""
    sha256: str = ""
    direct_url: str = ""
    import_ms: float = 0.0
    heavy: tuple[str, ...] = ()
    components: list[Component] = field(default_factory=list)
    recipes: list[Path] = field(default_factory=list)
    modules: dict[str, types.ModuleType] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Id and version, for messages."""
        return f"{self.id} {self.version}".rstrip()

    @property
    def state(self) -> str:
        """What tells one state of the plugin from another: its version, of a local file the start of its hash."""
        return self.version or self.sha256[:12]

    def fail(self, status: str, reason: str) -> None:
        """Record a failure; the first one decides, later ones are added."""
        if self.status == "ok":
            self.status, self.reason = status, reason
        else:
            self.reason = f"{self.reason}; {reason}"

    def complaint(self) -> str:
        """Return what is wrong with the plugin as the predicate of a sentence."""
        if self.status == "incompatible":
            return self.reason
        return f"is {self.reason}" if self.status == "blocked" else f"did not load ({self.reason})"


@dataclass
class Plugins:
    """Everything that discovery found, and the pluggy manager for hooks of a run."""

    records: list[PluginRecord]
    manager: pluggy.PluginManager

    def record(self, plugin: str) -> PluginRecord | None:
        """Return the record of a plugin id."""
        return next((record for record in self.records if record.id == plugin), None)

    def failed(self) -> list[PluginRecord]:
        """Return the records that did not load as their authors meant."""
        return [record for record in self.records if record.status in ("broken", "incompatible")]

    def call(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Call a hook of a run in every plugin and return (plugin id, result) of those that went well.

        A plugin that raises is named in a warning; it stops neither the others nor the run.
        """
        results = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            plugin = implementation.plugin_name.partition(":")[0]
            try:
                result = implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as error:  # noqa: BLE001  (third-party code)
                record = self.record(plugin)
                log.warning(
                    "%s: %s; raised in %s; try again with --block %s",
                    hook,
                    describe(error),
                    record.label if record else plugin,
                    plugin,
                )
            else:
                results.append((plugin, result))
        return results


def describe(error: BaseException) -> str:
    """Return class and text of an exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
