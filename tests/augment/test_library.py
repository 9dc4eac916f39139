from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_the_agpl_successor_is_refused_before_it_is_imported(tmp_path: Path) -> None:
    installed = tmp_path / "albumentationsx-2.3.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: albumentationsx\nVersion: 2.3.0\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from volseg_core.api import PluginError
try:
    import volseg_augment.standard
except PluginError as error:
    print(error)
print("albumentations" in sys.modules)
"""
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    error, imported = printed.splitlines()
    assert error == (
        "data.augment: albumentationsx 2.3.0 (AGPL-3.0) is installed in place of albumentations, under the "
        "same import name. pip uninstall albumentationsx && pip install --force-reinstall --no-deps "
        '"albumentations==2.0.8"'
    )
    assert imported == "False"


def test_albumentations_looks_for_no_updates_and_opencv_starts_no_threads() -> None:
    code = """
import urllib.request
def refuse(*_, **__): raise SystemExit("looked for updates")
urllib.request.OpenerDirector.open = refuse
import volseg_augment.library as library
print(library.cv2.getNumThreads())
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1"
    assert done.stderr == ""
