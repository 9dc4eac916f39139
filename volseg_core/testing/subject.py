"""The components that are put to the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from volseg_core.catalog import Catalog
from volseg_core.errors import PluginError, did_you_mean
from volseg_core.registry import load_registry

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.api import Component
    from volseg_core.catalog import Provided


@dataclass(frozen=True)
class Subject:
    """A component under test, and the catalog in which its partners are found."""

    provided: Provided
    catalog: Catalog = field(repr=False)

    @property
    def component(self) -> Component:
        """The descriptor."""
        return self.provided.component

    def __str__(self) -> str:
        return f"{self.provided.kind}/{self.provided.component.name}"


def components(plugin: str | Catalog, registry: Path | str | None = None) -> list[Subject]:
    """Return every component of a plugin, for ``pytest.mark.parametrize(..., ids=str)``.

    ``plugin`` is the id of an installed plugin (``volseg-acme``), that of a file of ``plugins.local`` in
    registry.yaml (``local/my_losses``), or a catalog of modules with no discovery (`Catalog.from_modules`).
    ``registry`` is the registry file; without one, that which the command line would use.

    Raises:
        PluginError: there is no such plugin, it did not load, or it provides nothing.
    """
    if isinstance(plugin, Catalog):
        catalog, ids = plugin, [record.id for record in plugin.plugins.records]
    else:
        catalog, ids = load_registry(registry).catalog, [plugin]
    found = [subject for identity in ids for subject in of_plugin(catalog, identity)]
    if not found:
        raise PluginError(", ".join(ids), "provides no component")
    return found


def of_plugin(catalog: Catalog, plugin: str) -> list[Subject]:
    """Return the components of a plugin that loaded; raises PluginError as `components`."""
    record = catalog.plugins.record(plugin)
    if record is None:
        known = [other.id for other in catalog.plugins.records]
        raise PluginError(
            plugin, "there is no such plugin", did_you_mean(plugin, known), [f"known: {', '.join(known)}"]
        )
    if record.status != "ok":
        raise PluginError(plugin, record.complaint())
    return [Subject(provided, catalog) for provided in catalog.all() if provided.plugin is record]
