"""The names of a new package, checked: distribution, module, class and component."""

from __future__ import annotations

import importlib.util
import keyword
import re
from dataclasses import dataclass

from volseg_core.api import KINDS
from volseg_core.errors import UsageError, did_you_mean
from volseg_core.policy import normalise

_WHERE = "plugins new"
_PLUGIN = re.compile(r"volseg(-[a-z0-9]+)+")
_COMPONENT = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUFFIXES = {"architecture": "Network"}


@dataclass(frozen=True)
class Names:
    """Names of a new package: ``volseg-acme``, which provides one ``component`` of a ``kind``."""

    plugin: str
    kind: str
    component: str

    @classmethod
    def checked(cls, plugin: str, kind: str, component: str) -> Names:
        """Return the names.

        Raises:
            UsageError: one of them cannot be used; the text says what can.
        """
        if kind not in KINDS:
            listed = [f"kinds: {', '.join(KINDS)}"]
            raise UsageError("--kind", f"{kind!r} is not a kind of component", did_you_mean(kind, KINDS), listed)
        names = cls(plugin, kind, component)
        names._check_plugin()
        names._check_component()
        return names

    def _check_plugin(self) -> None:
        if not _PLUGIN.fullmatch(self.plugin):
            words = re.sub(r"[^a-z0-9]+", "-", normalise(self.plugin)).strip("-").removeprefix("volseg").strip("-")
            rule = "is not 'volseg-' and lower-case words joined by hyphens"
            raise UsageError(_WHERE, f"{self.plugin!r} {rule}", f"Did you mean 'volseg-{words or 'acme'}'?")
        if importlib.util.find_spec(self.package) is not None:
            what = f"a package {self.package!r} is installed already"
            raise UsageError(_WHERE, what, "Choose another name, or uninstall it first.")

    def _check_component(self) -> None:
        if not _COMPONENT.fullmatch(self.component):
            words = re.sub(r"[^a-z0-9]+", "-", normalise(self.component)).rstrip("-").lstrip("-0123456789")
            rule = "is not lower-case words joined by hyphens, the first of which starts with a letter"
            raise UsageError("--name", f"{self.component!r} {rule}", f"Did you mean {words!r}?" if words else "")
        if keyword.iskeyword(self.module) or self.module == "plugin":
            raise UsageError(
                "--name", f"{self.component!r} cannot be the name of a module", f"Such as my-{self.component}."
            )

    @property
    def package(self) -> str:
        """Name of the import package, ``volseg_acme``."""
        return self.plugin.replace("-", "_")

    @property
    def entry_point(self) -> str:
        """Name of the entry point, ``acme``."""
        return self.plugin.removeprefix("volseg-")

    @property
    def module(self) -> str:
        """Name of the module that holds the component."""
        return self.component.replace("-", "_")

    @property
    def class_name(self) -> str:
        """Name of the component's class, ``BoundaryLoss``."""
        word = _SUFFIXES.get(self.kind, self.kind.capitalize())
        name = "".join(part.capitalize() for part in self.component.split("-"))
        return name if name.endswith(word) else name + word

    @property
    def suffix(self) -> str:
        """Suffix of the files of a reader or writer, without its dot."""
        return self.component.replace("-", "")

    @property
    def id(self) -> str:
        """The component's qualified name, ``volseg-acme/boundary``."""
        return f"{self.plugin}/{self.component}"
