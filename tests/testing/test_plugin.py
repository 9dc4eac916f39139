"""Whole plugins: each rule by a distribution that breaks it, installed in a folder of its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from volseg_core.testing import check_plugin
from volseg_core.testing.plugin import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

PLUGIN = '''
"""Hooks."""
from volseg_core.api import Postprocess, hookimpl

@hookimpl
def volseg_postprocessors():
    return [Postprocess(name="keep", target="volseg_acme.keep:keep", summary="Keeps labels.", licence="MIT")]
'''
KEEP = """
def keep():
    return lambda labels: labels.copy()
"""
METADATA = "Metadata-Version: 2.1\nName: volseg-acme\nVersion: 0.3.0\nRequires-Dist: volseg>=0.1\n"
WRONG = {
    "plugin.found": (
        "has an empty entry_points.txt",
        {"volseg_acme-0.3.0.dist-info/entry_points.txt": ""},
        "there is no 'volseg-acme' among volseg",
    ),
    "plugin.status": (
        "misspells a hook",
        {"volseg_acme/plugin.py": PLUGIN.replace("volseg_postprocessors", "volseg_postprocesors")},
        "volseg-acme is broken: unknown hook 'volseg_postprocesors'. Did you mean 'volseg_postprocessors'?",
    ),
    "plugin.provides": ("has no hooks", {"volseg_acme/plugin.py": '"""Nothing."""'}, "volseg-acme provides none"),
    "plugin.light": (
        "imports scipy in plugin.py",
        {"volseg_acme/plugin.py": f"import scipy\n{PLUGIN}", "scipy.py": ""},
        "volseg-acme pulls in scipy",
    ),
    "plugin.quick": (
        "computes for a second when it is imported",
        {"volseg_acme/plugin.py": f"import time\nwhile time.process_time() < 1.5: pass\n{PLUGIN}"},
        "volseg-acme takes ",
    ),
    "plugin.init": (
        "imports in its `__init__`",
        {"volseg_acme/__init__.py": "from pathlib import Path\n"},
        "volseg_acme/__init__.py holds more",
    ),
    "plugin.requires": (
        "requires no volseg",
        {"volseg_acme-0.3.0.dist-info/METADATA": METADATA.replace("Requires-Dist: volseg>=0.1\n", "")},
        "that of volseg-acme does not",
    ),
}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(**files: str) -> None:
        given = {
            "volseg_acme/__init__.py": '"""A plugin."""\n',
            "volseg_acme/plugin.py": PLUGIN,
            "volseg_acme/keep.py": KEEP,
            "volseg_acme-0.3.0.dist-info/METADATA": METADATA,
            "volseg_acme-0.3.0.dist-info/entry_points.txt": "[volseg]\nacme = volseg_acme.plugin\n",
        }
        for name, text in (given | files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_a_right_plugin_has_no_problem(install: Callable[..., None]) -> None:
    install()
    assert check_plugin("Volseg_Acme") == []


def test_every_rule_has_a_plugin_that_breaks_it() -> None:
    assert list(WRONG) == list(RULES)


@pytest.mark.parametrize(
    ("rule", "files", "seen"), [(rule, *case[1:]) for rule, case in WRONG.items()], ids=list(WRONG)
)
def test_a_wrong_plugin_is_told_which_rule_it_breaks(
    rule: str, files: dict[str, str], seen: str, install: Callable[..., None]
) -> None:
    install(**files)
    (problem,) = check_plugin("volseg-acme")
    assert problem.startswith(f"{RULES[rule].states}, but ")
    assert seen in problem
    assert problem.endswith(f"{RULES[rule].cure} [{rule}]")


def test_the_problems_of_its_components_are_told_with_their_names(install: Callable[..., None]) -> None:
    install(**{"volseg_acme/keep.py": KEEP.replace("labels.copy()", "labels * 0.5")})
    (problem,) = check_plugin("volseg-acme")
    assert problem == (
        "postprocess/keep: It returns integers of the shape (Z, Y, X), but labels of shape (6, 7, 8) become "
        "float64 of shape (6, 7, 8). Crop nothing, and convert to an integer type. [postprocess.shape]"
    )


def test_what_only_the_author_can_give_is_a_warning_and_no_problem(
    install: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    described = 'summary="Keeps labels.", params={"least": Param("int", help="Least size.")}'
    plugin = PLUGIN.replace("import Postprocess", "import Param, Postprocess")
    files = {"volseg_acme/plugin.py": plugin.replace('summary="Keeps labels."', described)}
    install(**files, **{"volseg_acme/keep.py": KEEP.replace("keep()", "keep(*, least)")})
    with caplog.at_level(logging.WARNING, "volseg"):
        assert check_plugin("volseg-acme") == []
    (told,) = caplog.messages
    assert told == (
        "postprocess/keep: A component is built with its parameters, and the check is given those without a default, "
        "but none was given for least. Call check(component, params={...}) in a test of its own. [given.params]"
    )


def test_a_plugin_that_ends_the_process_is_told(install: Callable[..., None]) -> None:
    install(**{"volseg_acme/plugin.py": "import os\nos._exit(7)\n"})
    assert check_plugin("volseg-acme") == ["The check of volseg-acme ended with exit code 7: nothing was said."]


def test_a_file_of_the_registry_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.replace("volseg_acme.keep", "mine") + KEEP, encoding="utf-8")
    (tmp_path / "registry.yaml").write_text("version: 1\nplugins: {local: [mine.py]}\n", encoding="utf-8")
    assert check_plugin("local/mine", tmp_path / "registry.yaml") == []
