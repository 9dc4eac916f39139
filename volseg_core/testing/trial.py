"""One component with what its check was given, ready to be built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from volseg_core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.catalog import Catalog, Provided
    from volseg_core.testing.subject import Subject


@dataclass(frozen=True)
class Trial:
    """A component under test and the values that its author gives: ``params``, ``sample``, ``encoder``."""

    subject: Subject
    params: Mapping[str, Any] = field(default_factory=dict)
    sample: Path | None = None
    encoder: str = ""

    def __post_init__(self) -> None:
        for name in self.params:
            if name not in self.component.params:
                hint = did_you_mean(name, self.component.params)
                raise UsageError(str(self.subject), f"has no parameter {name!r}", hint)

    @property
    def component(self) -> Any:
        """The descriptor, of the class of its kind."""
        return self.subject.component

    @property
    def provided(self) -> Provided:
        """The component with its plugin."""
        return self.subject.provided

    @property
    def catalog(self) -> Catalog:
        """The catalog of the component and its partners."""
        return self.subject.catalog

    @property
    def missing(self) -> list[str]:
        """Parameters without a default that were not given."""
        return [name for name, param in self.component.params.items() if param.required and name not in self.params]

    def values(self) -> dict[str, Any]:
        """Return all parameters: the defaults, and over them what was given."""
        params = self.component.params
        defaults = {name: param.default for name, param in params.items() if not param.required}
        return defaults | {name: params[name].coerce(value) for name, value in self.params.items()}

    def build(self, **context: Any) -> Any:
        """Call the target as the core does, with the context values that it wants."""
        return self.catalog.build(self.provided, self.values(), context)
