from __future__ import annotations

import hashlib
import json
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Any]
Env = dict[str, str]

LOCAL = """
from volseg_core.api import Loss, hookimpl

@hookimpl
def volseg_losses():
    return [Loss(name="mine", target="my_losses:make", summary="A loss of my own.", licence="MIT")]
"""


def rows(result: Any) -> Any:
    assert result.ok, result.err
    return {record["id"]: record for record in json.loads(result.out)}


def test_built_ins_are_one_plugin_that_loads(volseg_project: Make) -> None:
    record = rows(volseg_project().run("plugins", "list", "--json"))["volseg"]
    assert record["status"] == "ok"
    assert "loss/dice" in record["components"]
    assert "slices" in record["recipes"]
    assert record["heavy"] == []


def test_third_party_plugins_come_after_the_built_ins_by_id(volseg_project: Make, good_plugins: Env) -> None:
    result = volseg_project().run("plugins", "list", "--json", env=good_plugins)
    assert list(rows(result)) == ["volseg", "volseg-acme", "volseg-lab", "volseg-slow"]


def test_two_distributions_may_use_the_same_entry_point_name(volseg_project: Make, good_plugins: Env) -> None:
    found = rows(volseg_project().run("plugins", "list", "--json", env=good_plugins))
    assert found["volseg-acme"]["entry_points"] == {"main": "volseg_acme.plugin"}
    assert found["volseg-lab"]["entry_points"] == {"main": "volseg_lab.plugin"}
    assert found["volseg-acme"]["components"] == ["loss/dice", "loss/rim", "loss/tree"]
    assert found["volseg-lab"]["components"] == ["loss/rim", "loss/lonely"]


def test_a_plugin_that_imports_a_heavy_library_works_and_is_marked(volseg_project: Make, good_plugins: Env) -> None:
    result = volseg_project().run("plugins", "list", env=good_plugins)
    slow = next(line for line in result.out.splitlines() if line.startswith("volseg-slow"))
    assert " ok " in slow
    assert "1 loss" in slow
    assert slow.endswith("(numpy)")
    assert "; slow " in slow


@pytest.mark.parametrize(
    ("plugin", "status", "reason"),
    [
        ("volseg-broken", "broken", "ModuleNotFoundError: No module named 'no_such_library_xyz'"),
        ("volseg-misspelt", "broken", "unknown hook 'volseg_loses'. Did you mean 'volseg_losses'?"),
        ("volseg-unmarked", "broken", "hook 'volseg_losses' is not marked with @hookimpl"),
        ("volseg-twice", "broken", "loss 'x' is provided twice"),
        ("volseg-raises", "broken", "volseg_losses raised RuntimeError: no licence key"),
        ("volseg-wrong", "broken", "volseg_losses returned 'x', which is not Loss"),
        ("volseg-single", "broken", "which is not a list"),
        ("volseg-quits", "broken", "SystemExit: use my own command line"),
        ("volseg-syntax", "broken", "SyntaxError: invalid syntax (plugin.py, line"),
        ("volseg-future", "incompatible", "needs volseg>=99 but this is 0.1.0"),
    ],
)
def test_a_bad_plugin_is_a_row_with_the_reason(listed: Any, plugin: str, status: str, reason: str) -> None:
    assert listed[plugin]["status"] == status
    assert reason in listed[plugin]["reason"]
    assert listed[plugin]["components"] == []


@pytest.fixture(scope="module")
def listed(broken_plugins: Env, project_in: Make, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the rows of one listing with all bad plugins installed."""
    return rows(project_in(tmp_path_factory.mktemp("project")).run("plugins", "list", "--json", env=broken_plugins))


def test_an_incompatible_plugin_is_never_imported(listed: Any, broken_plugins: Env) -> None:
    assert listed["volseg-future"]["requires"] == "volseg>=99"
    assert not Path(broken_plugins["FOOTPRINT"]).exists()


def test_broken_lists_only_what_did_not_load(volseg_project: Make, broken_plugins: Env) -> None:
    result = volseg_project().run("plugins", "list", "--broken", "--block", "volseg-quits", env=broken_plugins)
    assert not result.ok  # --block belongs before the command
    result = volseg_project().run("--block", "volseg-quits", "plugins", "list", "--broken", env=broken_plugins)
    names = [line.split()[0] for line in result.out.partition("\n\n")[0].splitlines()]
    assert names[0] == "PLUGIN"
    assert "volseg-raises" in names
    assert "volseg" not in names
    assert "volseg-quits" not in names


def test_broken_says_when_every_plugin_loaded(volseg_project: Make) -> None:
    assert volseg_project().run("plugins", "list", "--broken").out == "Every plugin loaded.\n"


def test_everything_else_works_beside_bad_plugins(volseg_project: Make, broken_plugins: Env) -> None:
    project = volseg_project()
    shown = project.run("show", "loss/dice", env=broken_plugins)
    assert shown.ok
    assert shown.out.startswith("loss volseg/dice")
    assert "Warning: plugin volseg-future 0.3.0 needs volseg>=99 but this is 0.1.0; skipped. (volseg plugins list)" in (
        shown.err.splitlines()
    )
    assert "Warning: plugin volseg-quits 0.1 did not load (SystemExit: use my own command line); skipped." in shown.err
    assert project.run("components", "loss", env=broken_plugins).ok


def test_a_missing_component_mentions_the_plugins_that_did_not_load(volseg_project: Make, broken_plugins: Env) -> None:
    blocked = [option for name in sorted(set(BAD) - {"volseg-broken"}) for option in ("--block", name)]
    project = volseg_project()
    result = project.run(*blocked, "show", "loss/hydra", env=broken_plugins)
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        "  note: plugin volseg-broken did not load (ModuleNotFoundError: No module named 'no_such_library_xyz'); "
        "it may provide it. See: volseg plugins list --broken"
    )
    result = project.run("show", "loss/hydra", env=broken_plugins)
    notes = [line for line in result.err.splitlines() if line.startswith("  ")]
    assert len(notes) == 2
    assert notes[1].startswith("  note: plugins volseg-broken, volseg-future, volseg-misspelt,")


BAD = ["volseg-broken", "volseg-misspelt", "volseg-unmarked", "volseg-twice", "volseg-raises", "volseg-wrong"]
BAD += ["volseg-single", "volseg-quits", "volseg-syntax", "volseg-future"]


def test_doctor_leaves_with_the_plugin_exit_code(volseg_project: Make, broken_plugins: Env) -> None:
    assert volseg_project().run("doctor", env=broken_plugins).code == 3


def test_block_works_from_the_registry_the_option_and_the_environment(volseg_project: Make, good_plugins: Env) -> None:
    project = volseg_project({"registry.yaml": "plugins: {block: [Volseg_Acme]}"})
    found = rows(project.run("--block", "volseg-lab", "plugins", "list", "--json", env=good_plugins))
    assert found["volseg-acme"]["reason"] == "blocked by plugins.block in registry.yaml"
    assert found["volseg-lab"]["reason"] == "blocked by --block"
    found = rows(project.run("plugins", "list", "--json", env={**good_plugins, "VOLSEG_BLOCK": "volseg-lab,x"}))
    assert found["volseg-lab"]["status"] == "blocked"
    assert found["volseg-lab"]["reason"] == "blocked by VOLSEG_BLOCK"


def test_a_blocked_plugin_is_not_imported(volseg_project: Make, broken_plugins: Env) -> None:
    result = volseg_project().run("--block", "volseg-broken", "plugins", "list", "--json", env=broken_plugins)
    assert rows(result)["volseg-broken"]["reason"] == "blocked by --block"


def test_no_plugins_keeps_the_built_ins(volseg_project: Make, good_plugins: Env) -> None:
    found = rows(volseg_project().run("--no-plugins", "plugins", "list", "--json", env=good_plugins))
    assert found["volseg"]["status"] == "ok"
    assert {found[name]["status"] for name in ("volseg-acme", "volseg-lab", "volseg-slow")} == {"blocked"}


def test_listed_mode_loads_what_require_names(volseg_project: Make, good_plugins: Env) -> None:
    project = volseg_project({"registry.yaml": "plugins: {mode: listed, require: [volseg-acme>=0.3]}"})
    found = rows(project.run("plugins", "list", "--json", env=good_plugins))
    assert [name for name, record in found.items() if record["status"] == "ok"] == ["volseg", "volseg-acme"]


def test_a_requirement_that_is_not_met_ends_with_the_plugin_exit_code(volseg_project: Make, good_plugins: Env) -> None:
    project = volseg_project({"registry.yaml": "plugins: {require: [volseg-acme>=0.4, volseg-nowhere]}"})
    result = project.run("plugins", "list", env=good_plugins)
    assert result.code == 3
    assert result.err.splitlines() == [
        "Error: plugins.require: volseg-acme>=0.4 is not met: 0.3.0 is installed; volseg-nowhere is not installed.",
        '  pip install "volseg-acme>=0.4" "volseg-nowhere"',
    ]


def test_freeze_prints_lines_that_require_accepts(volseg_project: Make, good_plugins: Env) -> None:
    project = volseg_project()
    frozen = project.run("plugins", "freeze", env=good_plugins).out
    assert frozen == "- volseg-acme==0.3.0\n- volseg-lab==1.2\n- volseg-slow==1.0\n"
    project.write({"registry.yaml": f"plugins:\n  require:\n{textwrap.indent(frozen, '    ')}"})
    assert project.run("plugins", "list", env=good_plugins).ok


def test_a_local_file_is_a_plugin_with_a_hash(volseg_project: Make) -> None:
    files = {"registry.yaml": "plugins: {local: [./my_losses.py]}", "my_losses.py": LOCAL}
    project = volseg_project(files)
    record = rows(project.run("plugins", "list", "--json"))["local/my_losses"]
    assert record["status"] == "ok"
    assert len(record["sha256"]) == 64
    assert record["components"] == ["loss/mine"]
    assert record["sha256"][:12] in project.run("plugins", "list").out
    assert rows(project.run("--block", "local/my_losses", "plugins", "list", "--json"))["local/my_losses"][
        "status"
    ] == ("blocked")


def test_a_bad_local_file_is_a_row_too(volseg_project: Make) -> None:
    project = volseg_project(
        {"registry.yaml": "plugins: {local: [bad.py, gone.py]}", "bad.py": "print('noise')\nraise ImportError('x')"}
    )
    result = project.run("plugins", "list", "--json")
    found = rows(result)  # what the plugin printed did not spoil the JSON
    assert found["local/bad"]["reason"] == "ImportError: x"
    assert "is not a python file that exists" in found["local/gone"]["reason"]
    assert "noise" in result.err


def test_a_listing_ends_with_what_mends_each_plugin(listed: Any, volseg_project: Make, broken_plugins: Env) -> None:
    assert listed["volseg"]["mend"] == ""
    assert listed["volseg-future"]["mend"] == 'pip install "volseg>=99"'
    assert listed["volseg-raises"]["mend"] == "volseg plugins check volseg-raises"
    result = volseg_project().run("--block", "volseg-quits", "plugins", "list", env=broken_plugins)
    table = [line.split(maxsplit=1) for line in result.out.partition("\n\n")[2].splitlines()]
    assert table[0] == ["PLUGIN", "TO MEND IT"]
    assert ["volseg-future", 'pip install "volseg>=99"'] in table
    assert ["volseg-quits", "leave out --block volseg-quits"] in table
    assert len(table) == 1 + len(BAD)


def test_the_keys_of_the_listing_are_stable(volseg_project: Make) -> None:
    (record,) = json.loads(volseg_project().run("plugins", "list", "--json").out)
    assert list(record) == [
        "id", "version", "status", "reason", "mend", "requires", "entry_points", "location", "sha256", "import_ms",
        "heavy", "components", "recipes",
    ]  # fmt: skip


def test_freeze_says_what_a_version_does_not_hold(volseg_project: Make, good_plugins: Env, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(good_plugins["PYTHONPATH"], site)
    checkout = {"url": "file:///home/me/my%20acme", "dir_info": {"editable": True}}
    (site / "volseg_acme-0.3.0.dist-info" / "direct_url.json").write_text(json.dumps(checkout))
    project = volseg_project({"registry.yaml": "plugins: {local: [my_losses.py]}", "my_losses.py": LOCAL})
    result = project.run("plugins", "freeze", env={"PYTHONPATH": str(site)})
    assert result.out == "- volseg-acme==0.3.0\n- volseg-lab==1.2\n- volseg-slow==1.0\n"
    sha256 = hashlib.sha256((project.folder / "my_losses.py").read_bytes()).hexdigest()
    assert result.err.splitlines() == [
        "note: volseg-acme 0.3.0 was installed from /home/me/my acme: its version does not say which code that is",
        f"note: local/my_losses is a file (sha256 {sha256[:12]}): keep it beside registry.yaml",
    ]


def test_freeze_says_when_there_is_nothing(volseg_project: Make) -> None:
    result = volseg_project().run("plugins", "freeze")
    assert (result.out, result.err) == ("", "There are no plugins but the built-in ones.\n")


def test_check_asks_for_a_plugin_that_is_there(volseg_project: Make, good_plugins: Env) -> None:
    result = volseg_project().run("plugins", "check", "volseg-acne", env=good_plugins)
    assert result.code == 2
    assert result.err.splitlines() == [
        "Error: plugins check: no plugin 'volseg-acne' is installed. Did you mean 'volseg-acme'?",
        "  known: volseg, volseg-acme, volseg-lab, volseg-slow",
    ]


@pytest.mark.parametrize(
    ("plugin", "lines"),
    [
        (
            "Volseg_Future",
            ["Error: volseg-future 0.3.0: needs volseg>=99 but this is 0.1.0.", '  pip install "volseg>=99"'],
        ),
        (
            "volseg-raises",
            [
                "Error: volseg-raises 0.1: did not load (volseg_losses raised RuntimeError: no licence key).",
                "  volseg --traceback plugins check volseg-raises  shows where",
                "  volseg --block volseg-raises COMMAND  goes on without it",
            ],
        ),
    ],
)  # fmt: skip
def test_check_explains_a_plugin_that_did_not_load(
    volseg_project: Make, broken_plugins: Env, plugin: str, lines: list[str]
) -> None:
    result = volseg_project().run("plugins", "check", plugin, env=broken_plugins)
    assert result.code == 3
    assert result.err.splitlines() == lines


def test_check_explains_a_blocked_plugin(volseg_project: Make, good_plugins: Env) -> None:
    result = volseg_project().run("--block", "volseg-acme", "plugins", "check", "volseg-acme", env=good_plugins)
    assert result.code == 3
    assert result.err.splitlines() == [
        "Error: volseg-acme 0.3.0: is blocked by --block.",
        "  leave out --block volseg-acme",
    ]


def test_check_lists_the_rules_that_a_local_file_breaks(volseg_project: Make) -> None:
    project = volseg_project({"registry.yaml": "plugins: {local: [my_losses.py]}", "my_losses.py": LOCAL})
    result = project.run("plugins", "check", "local/my_losses")
    assert result.code == 3
    first, problem, last = result.out.splitlines()
    assert first == "local/my_losses: the plugin, loss/mine"
    assert problem.startswith("- loss/mine: The target can be imported and called, but 'my_losses:make' cannot")
    assert problem.endswith("[descriptor.target]")
    assert last == "1 problem."


def test_check_says_what_makes_a_plugin_slow(volseg_project: Make, good_plugins: Env) -> None:
    result = volseg_project().run("plugins", "check", "volseg-slow", env=good_plugins)
    assert result.code == 3
    assert (
        "- Discovery of a plugin imports no heavy library, but volseg-slow pulls in numpy. Import it in the module of "
        "the target; plugin.py needs the standard library and volseg_core.api. [plugin.light]"
    ) in result.out.splitlines()


def test_check_finds_nothing_wrong_with_a_good_local_file(volseg_project: Make) -> None:
    source = """
    from volseg_core.api import Postprocess, hookimpl

    @hookimpl
    def volseg_postprocessors():
        return [Postprocess(name="keep", target="mine:make", summary="Keeps what is there.", licence="MIT")]

    def make():
        return lambda labels: labels.copy()
    """
    project = volseg_project({"registry.yaml": "plugins: {local: [mine.py]}", "mine.py": source})
    result = project.run("plugins", "check", "local/mine")
    assert result.ok
    assert result.out == "local/mine: the plugin, postprocess/keep\nNo problems.\n"
    renamed = project.folder / "lab.yaml"
    (project.folder / "registry.yaml").rename(renamed)
    assert project.run("--registry", renamed, "plugins", "check", "local/mine").ok


@pytest.mark.parametrize(
    ("plugin", "line"),
    [("volseg-broken", "import no_such_library_xyz"), ("volseg-quits", "raise SystemExit('use my own command line')")],
)
def test_check_shows_the_line_that_broke_a_plugin(
    volseg_project: Make, broken_plugins: Env, plugin: str, line: str
) -> None:
    result = volseg_project().run("--traceback", "plugins", "check", plugin, env=broken_plugins, traceback=True)
    assert result.code == 3
    assert line in result.err


def test_check_shows_the_line_that_broke_a_local_file(volseg_project: Make) -> None:
    files = {"registry.yaml": "plugins: {local: [bad.py]}", "bad.py": "print('noise')\nx = 1 / 0\n"}
    result = volseg_project(files).run("--traceback", "plugins", "check", "local/bad", traceback=True)
    assert result.code == 3
    assert "x = 1 / 0" in result.err
    assert "Error: local/bad: did not load (ZeroDivisionError: division by zero)." in result.err
    assert result.out == ""


def test_describe_prints_a_descriptor_and_what_it_lacks(volseg_project: Make) -> None:
    files = {"mine.py": 'def make(*, theta: float = 3.0, task):\n    """Weigh rims."""\n'}
    result = volseg_project(files).run("plugins", "describe", "mine:make", "--kind", "loss")
    assert result.out.splitlines() == [
        "Loss(",
        '    name="make",',
        '    target="mine:make",',
        '    summary="Weigh rims.",',
        "    params={",
        '        "theta": Param("float", 3.0),',
        "    },",
        '    wants=("task",),',
        '    licence="",',
        ")",
    ]
    assert result.err.splitlines()[:2] == ["Still yours to say:", "- the help of 'theta'"]


def test_new_writes_a_package_and_the_next_commands(volseg_project: Make) -> None:
    project = volseg_project()
    result = project.run("plugins", "new", "volseg-acme", "--kind", "loss", "--name", "rim")
    source = "volseg-acme/src/volseg_acme"
    assert result.out.splitlines() == [
        f"wrote volseg-acme: the code is {source}/rim.py, its description {source}/plugin.py",
        "next:",
        "  pip install -e volseg-acme",
        "  volseg plugins check volseg-acme",
        "  pytest volseg-acme",
        "  volseg train slices --data crop.h5 --labels labels.h5 -s 'loss=[volseg-acme/rim]'",
    ]
    again = project.run("plugins", "new", "volseg-acme", "--kind", "loss", "--name", "rim")
    assert (again.code, again.err) == (4, "Error: volseg-acme: exists. Give another -o.\n")


def test_new_notes_that_a_built_in_has_the_name(volseg_project: Make) -> None:
    project = volseg_project()
    options = ("--kind", "loss", "--name", "ce", "-o", "elsewhere")
    result = project.run("plugins", "new", "volseg-acme", *options)
    note = "note: the bare name 'ce' means volseg/cross-entropy; recipes get yours as volseg-acme/ce"
    assert note in result.out.splitlines()
    assert (project.folder / "elsewhere" / "pyproject.toml").exists()


@pytest.mark.parametrize("name", ["check", "describe", "new"])
def test_commands_for_authors_have_help_with_an_example(volseg_project: Make, name: str) -> None:
    assert f"Example: volseg plugins {name} " in volseg_project().run("plugins", name, "--help").out
