from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from volseg_core.api import DataError
from volseg_formats.staging import Staging

if TYPE_CHECKING:
    from pathlib import Path


def test_outputs_appear_together_and_working_files_go(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "new" / "a")
    first, second = staging.output(tmp_path / "new" / "a"), staging.output(tmp_path / "new" / "b")
    work = staging.scratch(tmp_path / "new" / "a")
    for path in (first, second, work):
        assert path.parent == tmp_path / "new"
        path.write_text(path.name)
    assert not (tmp_path / "new" / "a").exists()
    staging.publish()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a", "b"]


def test_discard_keeps_folders_that_others_use(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "new" / "deep" / "a")
    staging.output(tmp_path / "new" / "deep" / "a").write_text("x")
    (tmp_path / "new" / "mine").write_text("x")
    staging.discard()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["new", "new/mine"]


def test_a_failure_inside_the_guard_removes_everything(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "a")
    temporary = staging.output(tmp_path / "a")
    temporary.write_text("x")
    with pytest.raises(DataError, match="cannot be written: File exists"), staging.guard():
        temporary.mkdir()
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "x").write_text("mine")
    (tmp_path / "out").symlink_to(tmp_path / "target")
    staging = Staging(tmp_path / "out")
    (staging.output(tmp_path / "out", folder=True) / "y").write_text("new")
    staging.publish()
    assert (tmp_path / "target" / "x").read_text() == "mine"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["y"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "target"]
