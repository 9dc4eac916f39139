"""The conformance kit: whether a plugin's components keep to their contracts.

In the tests of a plugin::

    import pytest
    from volseg_core.testing import check, components

    @pytest.mark.parametrize("component", components("volseg-acme"), ids=str)
    def test_conforms(component):
        check(component)

Importing this package is cheap and needs neither torch nor pytest; a check imports what it works with.
"""

from volseg_core.testing.conformance import check, problems
from volseg_core.testing.plugin import check_plugin
from volseg_core.testing.subject import Subject, components

__all__ = ["Subject", "check", "check_plugin", "components", "problems"]
