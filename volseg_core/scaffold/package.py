"""Writing a new package from the templates beside this module."""

from __future__ import annotations

import os
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from volseg_core.errors import DataError
from volseg_core.policy import BUILTIN

if TYPE_CHECKING:
    from volseg_core.scaffold.names import Names

_HERE = Path(__file__).parent
_USAGE = {
    "architecture": "volseg train slices --data crop.h5 --labels labels.h5 -s model={id}",
    "encoder": "volseg train slices --data crop.h5 --labels labels.h5 -s model.encoder={id}",
    "loss": "volseg train slices --data crop.h5 --labels labels.h5 -s 'loss=[{id}]'",
    "metric": "volseg evaluate --prediction segmented.h5 --labels labels.h5 --metric {id}",
    "reader": "volseg inspect scan.{suffix}",
    "writer": "volseg predict runs/slices scan.h5 -o segmented.{suffix}",
    "merge": "volseg predict runs/slices scan.h5 -o segmented.h5 -s predict.merge={id}",
    "augmentation": "volseg train slices --data crop.h5 --labels labels.h5 -s data.augment={id}",
    "target": "volseg train patches --data crop.h5 --labels labels.h5 -s task=multilabel -s target={id} "
    "-s 'loss=[binary-cross-entropy]' -s 'metrics=[]'",
    "generator": "volseg generate {id} -o cube.h5",
    "postprocess": "volseg predict runs/slices scan.h5 -o segmented.h5 -s 'postprocess=[{id}]'",
    "runtime": "volseg predict runs/slices scan.h5 -o segmented.h5 -s predict.runtime={id}",
}


def create_package(names: Names, folder: Path) -> None:
    """Write the package into ``folder``, which must not exist.

    The folder appears with everything in it or not at all.

    Raises:
        DataError: the folder exists or cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise DataError(str(folder), "exists", "Give another -o.")
    if not folder.parent.is_dir():
        raise DataError(str(folder.parent), "does not exist")
    texts = _texts(names)
    part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    try:
        for name, text in texts.items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        part.rename(folder)
    except OSError as error:
        raise DataError(str(folder), f"cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def usage(names: Names) -> str:
    """Return a command that uses the new component."""
    return _USAGE[names.kind].format(id=names.id, suffix=names.suffix)


def requirement() -> str:
    """Return the versions of volseg that a package written for this one asks for, such as ``volseg>=0.1,<0.2``."""
    from packaging.version import Version

    version = Version(metadata.version(BUILTIN))
    least = str(version) if version.is_prerelease else f"{version.major}.{version.minor}"
    most = f"0.{version.minor + 1}" if version.major == 0 else f"{version.major + 1}"
    return f"{BUILTIN}>={least},<{most}"


def _texts(names: Names) -> dict[str, str]:
    """Return the text of every file by its path in the package."""
    source = f"src/{names.package}"
    templates = {
        "pyproject.toml": "files/project.toml",
        "README.md": "files/README.md",
        ".gitignore": "files/ignore.txt",
        f"{source}/plugin.py": f"descriptors/{names.kind}.py",
        f"{source}/{names.module}.py": f"components/{names.kind}.py",
        "tests/test_conformance.py": f"files/{'conformance_reader' if names.kind == 'reader' else 'conformance'}.py",
    }
    texts = {
        path: _filled((_HERE / template).read_text(encoding="utf-8"), names) for path, template in templates.items()
    }
    texts[f"{source}/__init__.py"] = f'"""The {names.kind} {names.component} for volseg."""\n'
    return texts


def _filled(text: str, names: Names) -> str:
    """Return a template with the names of the package in place of its own."""
    values = {
        "component-usage": usage(names),
        "component-kind": names.kind,
        "component-name": names.component,
        "component-suffix": names.suffix,
        "component_module": names.module,
        "ComponentClass": names.class_name,
        "plugin-id": names.plugin,
        "plugin_package": names.package,
        "entry_point_name": names.entry_point,
        "volseg-requirement": requirement(),
    }
    return re.sub("|".join(values), lambda match: values[match[0]], text)
