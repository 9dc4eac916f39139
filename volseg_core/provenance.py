"""What ran, written down: versions, plugins with where they came from, hashes, the command line."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from volseg_core.discovery import BUILTIN, PluginRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from volseg_core.catalog import Provided
    from volseg_core.recipe import ComponentUse
    from volseg_core.registry import Registry

LIBRARIES = (
    "torch", "lightning", "segmentation-models-pytorch", "timm", "albumentations", "numpy", "h5py", "tifffile",
    "onnxruntime-gpu", "onnxruntime",
)  # fmt: skip
"""Distributions whose versions a run records."""


def environment(registry: Registry, used: Sequence[Provided], argv: Sequence[str]) -> dict[str, Any]:
    """Return the record of what ran, with the components that were ``used``, as plain data (``environment.json``)."""
    plugins = {provided.plugin.id for provided in used}
    return {
        "volseg": own_version(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "argv": list(argv),
        "libraries": {name: version for name in LIBRARIES if (version := installed_version(name))},
        "torch": torch_facts(),
        "registry": {"path": str(registry.file.path or ""), "sha256": registry.file.sha256},
        "components": [
            {
                "kind": provided.kind,
                "name": provided.id,
                "version": provided.plugin.state,
                "target": provided.component.target,
            }
            for provided in used
        ],
        "plugins": [plugin_facts(record, used=record.id in plugins) for record in registry.plugins.records],
    }


def own_version() -> str:
    """Return volseg's version."""
    return metadata.version(BUILTIN)


def installed_version(name: str) -> str:
    """Return the version of a distribution, or an empty string."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def torch_facts() -> dict[str, Any]:
    """Return CUDA version and GPU names of the torch that is loaded, or nothing when none is."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    available = torch.cuda.is_available()
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if available else []
    return {"cuda": torch.version.cuda, "gpus": names, "threads": torch.get_num_threads()}


def plugin_facts(record: PluginRecord, *, used: bool) -> dict[str, Any]:
    """Return id, version, status and origin of a plugin; of a checkout also its commit."""
    url = json.loads(record.direct_url) if record.direct_url else None
    return {
        "id": record.id,
        "version": record.version,
        "status": record.status,
        "reason": record.reason,
        "used": used,
        "entry_points": record.entry_points,
        "sha256": record.sha256,
        "direct_url": url,
        "git": _git(url),
    }


def _git(direct_url: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return commit and dirty flag of an editable install that is a git checkout."""
    parsed = urlparse(str(direct_url.get("url", ""))) if direct_url else None
    if parsed is None or parsed.scheme != "file" or not shutil.which("git"):
        return None
    folder = unquote(parsed.path)

    def ask(*words: str) -> str | None:
        command = ["git", "-C", folder, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    return {"commit": commit, "dirty": bool(ask("status", "--porcelain"))} if commit else None


def made_with(uses: Iterable[ComponentUse]) -> dict[str, str]:
    """Return the versions of the plugins that a recipe uses, by id (a local file counts by its hash)."""
    return versions(use.provided for use in uses if use.used)


def versions(components: Iterable[Provided]) -> dict[str, str]:
    """Return the versions of the plugins that provide components, by id."""
    records = {provided.plugin.id: provided.plugin for provided in components}
    return {plugin: record.state for plugin, record in sorted(records.items())}


def write_json(path: Path, content: Any) -> None:
    """Write JSON under a temporary name and rename."""
    write_text(path, json.dumps(content, indent=2, default=str) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text under a temporary name and rename."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def keep_local_plugins(registry: Registry, folder: Path) -> None:
    """Copy local plugin files into a run as a record; they are never imported from there."""
    for record in registry.plugins.records:
        if record.sha256 and record.status == "ok":
            target = folder / "plugins" / Path(record.location).name
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(record.location, target)
