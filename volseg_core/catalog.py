"""Components by kind and name: aliases, precedence, collisions, did-you-mean; and building them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from volseg_core.api import KINDS, Component
from volseg_core.discovery import BUILTIN, PluginRecord, Plugins, plugins_from_modules
from volseg_core.errors import PluginError, UsageError, VolsegError, did_you_mean, known_names


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
    """All components, found by qualified or bare name in one way on every machine."""

    def __init__(
        self,
        plugins: Plugins,
        aliases: Mapping[str, Mapping[str, str]] | None = None,
        block: Sequence[str] = (),
    ) -> None:
        self.plugins = plugins
        self.aliases = aliases or {}
        self._by_id: dict[tuple[str, str], Provided] = {}
        self._by_name: dict[tuple[str, str], list[Provided]] = {}
        self._by_alias: dict[tuple[str, str], list[Provided]] = {}
        self._blocked: set[tuple[str, str]] = set()
        for record in plugins.records:
            for component in record.components:
                provided = Provided(record, component)
                if provided.id in block:
                    self._blocked.add((component.kind, provided.id))
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
        result = []
        for provided in self.all(kind):
            result.append(provided.id if self.bare_name(provided) else provided.component.name)
        return result

    def _unknown(self, kind: str, name: str, where: str) -> UsageError:
        blocked = [identity for of_kind, identity in self._blocked if of_kind == kind]
        for identity in blocked:
            if name in (identity, identity.rsplit("/", 1)[1]):
                return UsageError(where, f"{kind} {identity!r} is blocked by plugins.block, --block or VOLSEG_BLOCK")
        if "/" in name:
            known = [provided.id for provided in self.all(kind)]
        else:
            known = [provided.component.name for provided in self.all(kind)]
            known += [alias for provided in self.all(kind) for alias in provided.component.aliases]
        notes = [f"known: {known_names(set(known))}"] if known else []
        notes += [_mention(record) for record in self.plugins.failed()]
        notes += [
            f"note: plugin {record.label} is {record.status} ({record.reason}); it may provide it."
            for record in self.plugins.records
            if record.status == "blocked" and name.startswith(f"{record.id}/")
        ]
        return UsageError(where, f"no {kind} named {name!r}", did_you_mean(name, known), notes)

    def build(self, provided: Provided, params: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> Any:
        """Call the component's target with its parameters and the context values that it wants.

        Raises:
            PluginError: the target does not import, needs a missing distribution, or raised.
        """
        target = self.load(provided)
        available = context or {}
        missing = [name for name in provided.component.wants if name not in available]
        if missing:
            raise PluginError(
                provided.describe(), f"wants {', '.join(missing)}, which is not known where a {provided.kind} is built"
            )
        wanted = {name: available[name] for name in provided.component.wants}
        try:
            return target(**params, **wanted)
        except VolsegError:
            raise
        except Exception as error:
            raise blame(provided, error) from error

    def load(self, provided: Provided) -> Any:
        """Import the component's target; its requirements are checked first."""
        check_needs(provided)
        module_name, _, attribute = provided.component.target.partition(":")
        try:
            module = provided.plugin.modules.get(module_name) or import_module(module_name)
            return getattr(module, attribute)
        except VolsegError:
            raise
        except Exception as error:
            raise blame(provided, error) from error


def check_needs(provided: Provided) -> None:
    """Raise a PluginError when a requirement of the component is not installed in the right version."""
    from importlib import metadata

    from packaging.requirements import Requirement

    for line in provided.component.needs:
        wanted = Requirement(line)
        try:
            met = wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
        except metadata.PackageNotFoundError:
            met = False
        if not met:
            extra = provided.component.extra
            fix = f"{provided.plugin.id}[{extra}]" if extra else line
            raise PluginError(
                provided.describe(), f"needs {line}, which is not installed", notes=[f'pip install "{fix}"']
            )


def blame(provided: Provided, error: Exception) -> PluginError:
    """Return the error of a component's own code, naming the plugin and how to go on without it."""
    text = " ".join(str(error).split()) or "no message"
    record = provided.plugin
    hint = "" if record.id == BUILTIN else f"try again with --block {record.id}"
    return PluginError(
        provided.describe(), f"{type(error).__name__}: {text} (raised in {record.label})", hint
    )


def _ambiguous(kind: str, name: str, where: str, providers: Iterable[Provided]) -> UsageError:
    ordered = sorted(providers, key=lambda item: item.plugin.id)
    labels = " and ".join(item.plugin.label for item in ordered)
    ids = " or ".join(item.id for item in ordered)
    first = ordered[0].id
    note = f"Write {ids}, or add to registry.yaml:  aliases: {{{kind}: {{{name}: {first}}}}}"
    return UsageError(where, f"{kind} {name!r} is provided by {labels}", notes=[note])


def _mention(record: PluginRecord) -> str:
    return (
        f"note: plugin {record.label} did not load ({record.reason}); it may provide it. "
        "See: volseg plugins list --broken"
    )
