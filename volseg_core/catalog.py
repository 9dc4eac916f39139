"""Components by kind and name: aliases, precedence, collisions, did-you-mean; and building them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from volseg_core.api import KINDS, Component
from volseg_core.discovery import BUILTIN, plugins_from_modules
from volseg_core.errors import PluginError, UsageError, VolsegError, did_you_mean, known_names
from volseg_core.plugins import describe

if TYPE_CHECKING:
    import types
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from volseg_core.plugins import PluginRecord, Plugins


@dataclass(frozen=True)
class Provided:
    """A component and the plugin that provides it."""

    plugin: PluginRecord
    component: Component

    @property
    def id(self) -> str:
        """The qualified name, ``PLUGIN/NAME``."""
        return f"{self.plugin.id}/{self.component.name}"

    @property
    def kind(self) -> str:
        """The component's kind."""
        return self.component.kind

    def describe(self) -> str:
        """Kind and qualified name, for messages."""
        return f"{self.kind} {self.id!r}"


class Catalog:
    """All components, found by qualified or bare name in one way on every machine.

    ``aliases`` are those of the registry file, by kind; ``block`` maps qualified names to the place that blocks them.
    """

    def __init__(
        self,
        plugins: Plugins,
        aliases: Mapping[str, Mapping[str, str]] | None = None,
        block: Mapping[str, str] | None = None,
    ) -> None:
        self.plugins = plugins
        self.aliases = aliases or {}
        self._by_id: dict[tuple[str, str], Provided] = {}
        self._by_name: dict[tuple[str, str], list[Provided]] = {}
        self._by_alias: dict[tuple[str, str], list[Provided]] = {}
        self._blocked: dict[tuple[str, str], str] = {}
        for record in plugins.records:
            for component in record.components:
                provided = Provided(record, component)
                if block and provided.id in block:
                    self._blocked[component.kind, provided.id] = block[provided.id]
                else:
                    self._add(provided)

    def _add(self, provided: Provided) -> None:
        component = provided.component
        self._by_id[component.kind, provided.id] = provided
        self._by_name.setdefault((component.kind, component.name), []).append(provided)
        for alias in component.aliases:
            self._by_alias.setdefault((component.kind, alias), []).append(provided)

    @classmethod
    def from_modules(cls, modules: Sequence[types.ModuleType], plugin: str = "test") -> Catalog:
        """Return a catalog of modules with hooks, with no discovery."""
        return cls(plugins_from_modules(modules, plugin))

    def all(self, kind: str = "") -> Iterator[Provided]:
        """Yield the components of a kind (or of all), by kind and name, built-ins first."""
        order = {name: index for index, name in enumerate(KINDS)}
        yield from sorted(
            (provided for (of_kind, _), provided in self._by_id.items() if kind in ("", of_kind)),
            key=lambda item: (order[item.kind], item.component.name, item.plugin.id != BUILTIN, item.plugin.id),
        )

    def bare_name(self, provided: Provided) -> str:
        """Return what the component's bare name means when it is not this component, else an empty string."""
        try:
            found = self.find(provided.kind, provided.component.name)
        except VolsegError:
            return "ambiguous"
        return "" if found is provided else found.id

    def find(self, kind: str, name: str, where: str = "") -> Provided:
        """Return the component of ``kind`` that ``name`` means.

        A qualified name means itself; a bare one an alias of the registry file, else the built-in, else the
        only other provider.

        Raises:
            UsageError: unknown, blocked or ambiguous, with the way out.
        """
        where = where or kind
        name = self.aliases.get(kind, {}).get(name, name)
        if "/" in name:
            return self._qualified(kind, name, where)
        providers = self._by_name.get((kind, name)) or self._by_alias.get((kind, name), [])
        builtin = [provided for provided in providers if provided.plugin.id == BUILTIN]
        chosen = builtin or providers
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            raise _ambiguous(kind, name, where, chosen)
        raise self._unknown(kind, name, where)

    def _qualified(self, kind: str, name: str, where: str) -> Provided:
        provided = self._by_id.get((kind, name))
        if provided is not None:
            return provided
        plugin, _, alias = name.rpartition("/")
        for candidate in self._by_alias.get((kind, alias), []):
            if candidate.plugin.id == plugin:
                return candidate
        raise self._unknown(kind, name, where)

    def names(self, kind: str) -> list[str]:
        """Return bare names that resolve, and qualified ones of components that others shadow."""
        return [provided.id if self.bare_name(provided) else provided.component.name for provided in self.all(kind)]

    def _unknown(self, kind: str, name: str, where: str) -> UsageError:
        for (of_kind, identity), place in self._blocked.items():
            if of_kind == kind and name in (identity, identity.rpartition("/")[2]):
                return UsageError(where, f"{kind} {identity!r} is blocked by {place}")
        if "/" in name:
            known = [provided.id for provided in self.all(kind)]
        else:
            known = [provided.component.name for provided in self.all(kind)]
            known += [alias for provided in self.all(kind) for alias in provided.component.aliases]
        notes = [f"known: {known_names(set(known))}"] if known else []
        return UsageError(
            where, f"no {kind} named {name!r}", did_you_mean(name, known), [*notes, *self._suspects(name)]
        )

    def _suspects(self, name: str) -> list[str]:
        """Return a note on plugins that may provide ``name`` and did not load."""
        failed = self.plugins.failed()
        owners = [
            record for record in self.plugins.records if record.status != "ok" and name.startswith(f"{record.id}/")
        ]
        if owners:
            return [f"note: plugin {owners[0].id} {owners[0].complaint()}. See: volseg plugins list"]
        plugin = name.rpartition("/")[0]
        if plugin and self.plugins.record(plugin) is None:
            return [f"note: there is no plugin {plugin} here. See: volseg plugins list"]
        if len(failed) == 1:
            told = f"plugin {failed[0].id} {failed[0].complaint()}"
        else:
            told = f"plugins {', '.join(record.id for record in failed)} did not load"
        return [f"note: {told}; it may provide it. See: volseg plugins list --broken"] if failed else []

    def build(
        self, provided: Provided, params: Mapping[str, Any], context: Mapping[str, Any] | None = None, where: str = ""
    ) -> Any:
        """Call the component's target with its parameters and the context values that it wants.

        ``where`` is the component's place in a recipe, for messages.

        Raises:
            PluginError: the target does not import, needs a missing distribution, or raised.
        """
        target = self.load(provided, where)
        available = context or {}
        missing = [name for name in provided.component.wants if name not in available]
        if missing:
            listed = ", ".join(missing)
            raise PluginError(
                where or provided.kind,
                f"{provided.describe()} wants {listed}, which is not known where a {provided.kind} is built",
            )
        wanted = {name: available[name] for name in provided.component.wants}
        try:
            return target(**{**params, **wanted})
        except (VolsegError, MemoryError):
            raise
        except Exception as error:
            raise blame(provided, error, where) from error

    def load_target(self, provided: Provided, target: str, where: str = "") -> Any:
        """Import another target of a component's plugin, such as an architecture's rewrites for export."""
        return self.load(replace(provided, component=replace(provided.component, target=target)), where)

    def load(self, provided: Provided, where: str = "") -> Any:
        """Import the component's target; its requirements are checked first."""
        check_needs(provided, where)
        module_name, _, attribute = provided.component.target.partition(":")
        try:
            module = provided.plugin.modules.get(module_name) or import_module(module_name)
            return getattr(module, attribute)
        except (VolsegError, MemoryError):
            raise
        except Exception as error:
            raise blame(provided, error, where) from error


def check_needs(provided: Provided, where: str = "") -> None:
    """Raise a PluginError when a requirement of the component is not installed in the right version."""
    from importlib import metadata

    from packaging.requirements import InvalidRequirement, Requirement

    for line in provided.component.needs:
        try:
            wanted = Requirement(line)
            met = wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
        except InvalidRequirement:
            raise PluginError(
                where or provided.kind, f"{provided.describe()} needs {line!r}, which is not a requirement (PEP 508)"
            ) from None
        except metadata.PackageNotFoundError:
            met = False
        if not met:
            extra = provided.component.extra
            fix = f"{provided.plugin.id}[{extra}]" if extra else line
            raise PluginError(
                where or provided.kind,
                f"{provided.describe()} needs {line}, which is not installed",
                notes=[f'pip install "{fix}"'],
            )


def blame(provided: Provided, error: Exception, where: str = "") -> PluginError:
    """Return the error of a component's own code, naming the plugin and how to go on without it."""
    record = provided.plugin
    way_out = "" if record.id == BUILTIN else f"; try again with --block {record.id}"
    what = f"{provided.describe()}: {describe(error)}" if where else describe(error)
    return PluginError(where or provided.describe(), what, f"raised in {record.label}{way_out}")


def _ambiguous(kind: str, name: str, where: str, providers: Iterable[Provided]) -> UsageError:
    ordered = sorted(providers, key=lambda item: item.plugin.id)
    labels = _listed([item.plugin.label for item in ordered], "and")
    ids = _listed([item.id for item in ordered], "or")
    note = f"Write {ids}, or add to registry.yaml:  aliases: {{{kind}: {{{name}: {ordered[0].id}}}}}"
    return UsageError(where, f"{kind} {name!r} is provided by {labels}", notes=[note])


def _listed(items: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(items[:-1]), items[-1])))
