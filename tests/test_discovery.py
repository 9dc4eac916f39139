"""Loading without installed packages: modules, local files and policies. Installed ones: tests/cli/test_plugins.py."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.discovery import PluginPolicy, discover, plugins_from_modules

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., Any]

LOSS = """
from volseg_core.api import Loss, Metric, Param, hookimpl

def loss(name, **more):
    return Loss(name=name, target="hooks:make", summary="A loss.", **more)
"""


def record_of(hook_module: Make, source: str) -> Any:
    return plugins_from_modules([hook_module(LOSS + source)]).records[0]


def test_a_good_module_gives_its_components(hook_module: Make) -> None:
    record = record_of(hook_module, "@hookimpl\ndef volseg_losses():\n    yield loss('a')\n    yield loss('b')")
    assert (record.status, record.reason) == ("ok", "")
    assert [component.name for component in record.components] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("@hookimpl\ndef volseg_loses(): return []", "unknown hook 'volseg_loses'. Did you mean 'volseg_losses'?"),
        ("@hookimpl\ndef volseg_quux(): return []", "unknown hook 'volseg_quux'."),
        ("def volseg_losses(): return []", "hook 'volseg_losses' is not marked with @hookimpl"),
        ("@hookimpl\ndef volseg_losses(extra): return []", "PluginValidationError"),
        ("@hookimpl(wrapper=True)\ndef volseg_losses(): return (yield)", "hook 'volseg_losses' is a wrapper"),
        ("@hookimpl\ndef volseg_losses(): 1 / 0", "volseg_losses raised ZeroDivisionError: division by zero"),
        ("@hookimpl\ndef volseg_losses(): raise SystemExit(3)", "volseg_losses raised SystemExit: 3"),
        (
            "@hookimpl\ndef volseg_losses():\n    yield loss('a')\n    raise KeyError('x')",
            "volseg_losses raised KeyError",
        ),
        ("@hookimpl\ndef volseg_losses(): return None", "volseg_losses returned None, which is not a list"),
        ("@hookimpl\ndef volseg_losses(): return loss('a')", "which is not a list"),
        ("@hookimpl\ndef volseg_metrics(): return [loss('a')]", "which is not Metric"),
        ("@hookimpl\ndef volseg_losses(): return [loss('Not Good')]", "component name 'Not Good' must match"),
        ("@hookimpl\ndef volseg_losses(): return [loss('a'), loss('a')]", "loss 'a' is provided twice"),
        ("@hookimpl\ndef volseg_losses(): return [loss('a', aliases=('b',)), loss('b')]", "loss 'b' is provided twice"),
        (
            "@hookimpl\ndef volseg_losses(): return [loss('a', params={'p': 3})]",
            "loss 'a': its parameter 'p' is not a Param: 3",
        ),
        (
            "@hookimpl\ndef volseg_losses(): return [loss('a', params={'weight': Param('int', 1)})]",
            "loss 'a': its parameter 'weight' has a name that recipes reserve",
        ),
        (
            "@hookimpl\ndef volseg_losses(): return [loss('a', needs='scipy')]",
            "loss 'a': its needs are not a tuple of str: 'scipy'",
        ),
        ("@hookimpl\ndef volseg_recipes(): return ['nowhere.yaml']", "'nowhere.yaml', which is not a .yaml file"),
    ],
)
def test_a_bad_module_is_broken_with_a_reason_and_gives_nothing(hook_module: Make, source: str, reason: str) -> None:
    record = record_of(hook_module, source)
    assert record.status == "broken"
    assert reason in record.reason
    assert record.components == []
    assert record.recipes == []


def test_the_same_name_in_two_kinds_is_no_duplicate(hook_module: Make) -> None:
    source = """
@hookimpl
def volseg_losses(): return [loss("dice")]
@hookimpl
def volseg_metrics(): return [Metric(name="dice", target="hooks:make", summary="A metric.")]
"""
    assert record_of(hook_module, source).status == "ok"


def test_a_bad_module_takes_no_part_in_the_hooks_of_a_run(hook_module: Make) -> None:
    source = "@hookimpl\ndef volseg_run_started(run): run.append(1)\n@hookimpl\ndef volseg_losses(): return [3]"
    seen: list[int] = []
    plugins = plugins_from_modules([hook_module(LOSS + source)])
    assert plugins.call("volseg_run_started", run=seen) == []
    assert seen == []


def test_a_hook_of_a_run_that_raises_stops_no_other(hook_module: Make, caplog: pytest.LogCaptureFixture) -> None:
    good = "from volseg_core.api import hookimpl\n@hookimpl\ndef volseg_export_metadata(): return {'a': '1'}"
    bad = "from volseg_core.api import hookimpl\n@hookimpl\ndef volseg_export_metadata(run): raise OSError('no disk')"
    plugins = plugins_from_modules([hook_module(good, "good"), hook_module(bad, "bad")], "volseg-acme")
    with caplog.at_level(logging.WARNING, "volseg"):
        assert plugins.call("volseg_export_metadata", run=None) == [("volseg-acme", {"a": "1"})]
    assert caplog.messages == [
        "volseg_export_metadata: OSError: no disk; raised in volseg-acme 0; try again with --block volseg-acme"
    ]


LOCAL = LOSS.replace("hooks:", "mine:") + "@hookimpl\ndef volseg_losses(): return [loss('mine')]\n"


def local(tmp_path: Path, **files: Any) -> Any:
    paths = []
    for name, text in files.items():
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        paths.append(path)
    return discover(PluginPolicy(mode="listed", local=tuple(paths))).records


def test_local_files_follow_the_installed_plugins_in_their_order(tmp_path: Path) -> None:
    records = local(tmp_path, zeta=LOCAL, alpha=LOCAL)
    assert records[0].id == "volseg"
    assert [record.id for record in records[-2:]] == ["local/zeta", "local/alpha"]
    assert {record.status for record in records[-2:]} == {"ok"}


def test_a_local_file_is_known_by_its_hash_and_not_by_the_name_of_a_module(tmp_path: Path) -> None:
    record = local(tmp_path, mine=LOCAL)[-1]
    assert record.sha256 == __import__("hashlib").sha256(LOCAL.encode()).hexdigest()
    assert "mine" not in sys.modules
    assert record.modules["mine"].__name__ == "volseg_local.mine"


def test_two_local_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(LOCAL)
    paths = (tmp_path / "a" / "mine.py", tmp_path / "b" / "mine.py")
    first, second = discover(PluginPolicy(local=paths)).records[-2:]
    assert first.status == "ok"
    assert second.status == "broken"
    assert "has the file name of another plugin in plugins.local" in second.reason


def test_a_local_file_that_raises_is_broken_and_forgotten(tmp_path: Path) -> None:
    record = local(tmp_path, wrong="raise SystemExit(1)")[-1]
    assert (record.status, record.reason) == ("broken", "SystemExit: 1")
    assert "volseg_local.wrong" not in sys.modules


def test_builtin_mode_loads_no_local_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("raise AssertionError('imported')")
    record = discover(PluginPolicy(mode="builtin", local=(path,))).records[-1]
    assert record.status == "blocked"
    assert record.reason == "blocked: only built-ins are loaded (plugins.mode or --no-plugins)"


def test_an_interrupt_while_loading_is_the_users_wish(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        local(tmp_path, slow="raise KeyboardInterrupt")


def test_what_a_plugin_prints_does_not_reach_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert local(tmp_path, loud="print('hello')")[-1].status == "ok"
    assert capsys.readouterr().out == ""


def test_objects_of_a_local_file_travel_by_pickle(tmp_path):
    import pickle

    path = tmp_path / "travelling.py"
    path.write_text("class Thing:\n    value = 3\n", encoding="utf-8")
    record = discover(PluginPolicy(local=(path,))).records[-1]
    thing = record.modules["travelling"].Thing()
    assert pickle.loads(pickle.dumps(thing)).value == 3  # noqa: S301
