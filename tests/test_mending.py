from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest

from volseg_core.mending import mend, origin, source_folder
from volseg_core.plugins import PluginRecord
from volseg_core.policy import PluginPolicy


def record(status: str = "ok", reason: str = "", **more: Any) -> PluginRecord:
    return PluginRecord("volseg-acme", "0.3.0", status, reason, **more)


def editable(folder: str) -> str:
    return json.dumps({"url": f"file://{folder}", "dir_info": {"editable": True}})


def test_a_plugin_that_works_needs_nothing() -> None:
    assert mend(record()) == ""


def test_a_slow_plugin_is_checked() -> None:
    assert mend(record(heavy=("torch",), import_ms=2600)) == "volseg plugins check volseg-acme"


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (PluginPolicy(block={"volseg-acme": "--block"}), "leave out --block volseg-acme"),
        (PluginPolicy(block={"volseg-acme": "VOLSEG_BLOCK"}), "take volseg-acme out of VOLSEG_BLOCK"),
        (
            PluginPolicy(block={"volseg-acme": "plugins.block in lab.yaml"}),
            "take volseg-acme out of plugins.block in lab.yaml",
        ),
        (PluginPolicy(mode="listed"), "add volseg-acme==0.3.0 to plugins.require in registry.yaml"),
        (PluginPolicy(mode="builtin"), "leave out --no-plugins, or set plugins.mode: installed in registry.yaml"),
    ],
)
def test_what_blocks_a_plugin_is_named(policy: PluginPolicy, text: str) -> None:
    assert mend(record("blocked", policy.refusal("volseg-acme"))) == text


@pytest.mark.parametrize(
    ("requires", "text"),
    [
        ("volseg>=99", 'pip install "volseg>=99"'),
        ("volseg~=99.1,!=99.2", 'pip install "volseg~=99.1,!=99.2"'),
        ("volseg==99.*", 'pip install "volseg==99.*"'),
        ("volseg<0.1", "pip install --upgrade volseg-acme"),
        ("volseg>=0.0.1,<0.1", "pip install --upgrade volseg-acme"),
    ],
)
def test_the_older_of_the_two_is_replaced(requires: str, text: str) -> None:
    assert mend(record("incompatible", requires=requires)) == text


def test_a_checkout_is_changed_where_it_is() -> None:
    found = record("incompatible", requires="volseg<0.1", direct_url=editable("/home/me/my%20acme"))
    assert mend(found) == "change volseg<0.1 in /home/me/my acme/pyproject.toml"


def test_requirements_that_are_missing_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "volseg>=0.1",
        "no-such-thing-xyz>=2,<3",
        "click>=999",
        "gone; extra == 'x'",
        "never; python_version < '3'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    broken = record("broken", "ModuleNotFoundError: No module named 'no_such_thing_xyz'")
    assert mend(broken) == 'pip install "no-such-thing-xyz<3,>=2" "click>=999"'


@pytest.mark.parametrize("lines", [None, ["volseg>=0.1"], ["!"]])
def test_what_is_broken_for_another_reason_is_checked(monkeypatch: pytest.MonkeyPatch, lines: Any) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    assert mend(record("broken", "RuntimeError: no licence key")) == "volseg plugins check volseg-acme"


def test_a_local_file_is_checked() -> None:
    assert mend(PluginRecord("local/mine", status="broken", reason="ImportError: x")) == (
        "volseg plugins check local/mine"
    )


@pytest.mark.parametrize(
    ("direct_url", "folder"),
    [
        ("", ""),
        (editable("/home/me/acme"), "/home/me/acme"),
        (json.dumps({"url": "file:///tmp/acme.whl", "archive_info": {}}), ""),
    ],
)
def test_the_folder_of_an_install_is_known(direct_url: str, folder: str) -> None:
    assert source_folder(record(direct_url=direct_url)) == folder


def test_a_commit_is_an_origin_and_no_folder() -> None:
    vcs = {"url": "https://example.org/acme.git", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}
    found = record(direct_url=json.dumps(vcs))
    assert origin(found) == "https://example.org/acme.git@0123456789ab"
    assert source_folder(found) == ""
    assert origin(record(direct_url=editable("/home/me/acme"))) == "/home/me/acme"
    assert origin(record()) == ""
