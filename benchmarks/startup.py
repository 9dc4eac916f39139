"""CPU time of commands that must be quick, beside Python itself and Click: best of many, start-up included.

python benchmarks/startup.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

VOLSEG = str(Path(sys.executable).with_name("volseg"))
CASES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import click'": [sys.executable, "-c", "import click"],
    "volseg --help": [VOLSEG, "--help"],
    "volseg plugins list": [VOLSEG, "plugins", "list"],
}


def cpu_seconds(command: list[str]) -> float:
    """Return user and system time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a line for each command; they take turns."""
    best = dict.fromkeys(CASES, float("inf"))
    for _ in range(15):
        for name, command in CASES.items():
            best[name] = min(best[name], cpu_seconds(command))
    print(f"load {os.getloadavg()[0]:.1f}")
    for name, seconds in best.items():
        print(f"{name:26} {1000 * seconds:5.0f} ms  {seconds / best['python -c pass']:5.1f} x python")


if __name__ == "__main__":
    main()
