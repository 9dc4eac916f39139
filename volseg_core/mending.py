"""What mends a plugin that is blocked, broken, incompatible or slow: a command, or the line to change."""

from __future__ import annotations

import json
from importlib import metadata
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from volseg_core.policy import BUILTIN

if TYPE_CHECKING:
    from packaging.specifiers import Specifier

    from volseg_core.plugins import PluginRecord

_LEAST = (">=", ">", "~=", "==", "===")


def mend(record: PluginRecord) -> str:
    """Return what to do about a plugin, an empty string for one that is as it should be."""
    if record.status == "blocked":
        return _unblock(record)
    if record.status == "incompatible":
        return _fit_versions(record)
    if record.status == "broken":
        missing = _missing(record)
        return f"pip install {missing}" if missing else f"volseg plugins check {record.id}"
    return f"volseg plugins check {record.id}" if record.heavy else ""


def source_folder(record: PluginRecord) -> str:
    """Return the folder that a plugin was installed from, an empty string for one from a package index."""
    url = urlparse(json.loads(record.direct_url)["url"]) if "dir_info" in record.direct_url else None
    return unquote(url.path) if url and url.scheme == "file" else ""


def origin(record: PluginRecord) -> str:
    """Return where a plugin came from whose version does not say which code it is: a folder, or URL@COMMIT."""
    if "vcs_info" in record.direct_url:
        content = json.loads(record.direct_url)
        return f"{content['url']}@{content['vcs_info']['commit_id'][:12]}"
    return source_folder(record)


def _unblock(record: PluginRecord) -> str:
    place = record.reason.partition("blocked by ")[2]
    if place == "--block":
        return f"leave out --block {record.id}"
    if place:
        return f"take {record.id} out of {place}"
    if "plugins.require" in record.reason:
        return f"add {record.id}=={record.version} to plugins.require in registry.yaml"
    return "leave out --no-plugins, or set plugins.mode: installed in registry.yaml"


def _fit_versions(record: PluginRecord) -> str:
    """Return how to get the volseg that the plugin needs, or a plugin for this volseg."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    own = Version(metadata.version(BUILTIN))

    def is_above(wanted: Specifier) -> bool:
        return wanted.operator in _LEAST and Version(wanted.version.removesuffix(".*")) > own

    if any(map(is_above, Requirement(record.requires).specifier)):
        return f'pip install "{record.requires}"'
    folder = source_folder(record)
    return f"change {record.requires} in {folder}/pyproject.toml" if folder else f"pip install --upgrade {record.id}"


def _missing(record: PluginRecord) -> str:
    """Return the plugin's own requirements that are not installed, quoted for a shell."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in metadata.requires(record.id) or ()]
    except (metadata.PackageNotFoundError, ValueError):  # a local file; metadata that is no requirement
        return ""
    found = []
    for requirement in wanted:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = ""
        if not (version and requirement.specifier.contains(version, prereleases=True)):
            found.append(f'"{requirement.name}{requirement.specifier}"')
    return " ".join(found)
