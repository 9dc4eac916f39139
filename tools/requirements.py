"""Print the requirements of volseg with some extras, for a layer of an image that code changes do not touch.

python tools/requirements.py train,gpu > requirements.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

OWN = re.compile(r"volseg\[([\w,-]+)\]")


def requirements(extras: list[str]) -> list[str]:
    """Return the requirements of the base and of extras, those that name other extras resolved."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = list(project["dependencies"])
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            own = OWN.fullmatch(line)
            found += requirements(own[1].split(",")) if own else [line]
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(sys.argv[1].split(","))) + "\n")
