"""Whether the plugin's components keep to volseg's contracts: every rule is one of the kit's checks."""

from __future__ import annotations

import pytest

from volseg_core.testing import Subject, check, components


@pytest.mark.parametrize("component", components("plugin-id"), ids=str)
def test_conforms(component: Subject) -> None:
    """A component breaks no rule of its kind."""
    check(component)
