from __future__ import annotations

import os
import subprocess
import sys

CODE = "import os, volseg_core.api; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['NO_ALBUMENTATIONS_UPDATE'])"


def variables(**own: str) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ORT_", "NO_ALBUMENTATIONS"))}
    command = [sys.executable, "-c", CODE]
    return subprocess.run(command, env=kept | own, capture_output=True, text=True, check=True).stdout.strip()


def test_no_library_phones_home_unless_the_user_wants_it():
    assert variables() == "1 1"
    assert variables(ORT_DISABLE_TELEMETRY="0") == "0 1"
