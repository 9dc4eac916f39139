"""New plugin packages: ``volseg plugins new``.

``descriptors/`` and ``components/`` hold a small working example of every kind, ``files/`` what all packages share.
They are read as text, never imported: the names in them are replaced.
"""

from volseg_core.scaffold.names import Names
from volseg_core.scaffold.package import create_package, usage

__all__ = ["Names", "create_package", "usage"]
