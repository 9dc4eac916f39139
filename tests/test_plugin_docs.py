"""The pages for plugin authors: their examples conform and resolve, their references are those of the code."""

from __future__ import annotations

import json
import re
import runpy
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator

from volseg_core.api import KINDS
from volseg_core.recipe import find_recipe, resolve
from volseg_core.recipe.check import check_recipes
from volseg_core.registry import load_registry
from volseg_core.testing import components, problems

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "plugins"


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def write_example(name: str, folder: Path, *files: tuple[str, str]) -> None:
    """Write the code blocks of a page that begin with the name of their file."""
    for language, file in files:
        block = page(name).split(f"```{language}\n# {file}\n")[1].partition("```")[0]
        (folder / file).write_text(block, encoding="utf-8")


def test_there_is_a_page_for_every_kind_and_the_index_links_to_all_pages():
    assert {path.stem for path in PAGES.glob("*.md")} >= set(KINDS)
    linked = set(re.findall(r"\((\w+)\.md\)", page("index")))
    assert linked == {path.stem for path in PAGES.glob("*.md")} - {"index"}


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_every_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_kind_conforms_and_its_recipe_resolves(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_example(kind, tmp_path, ("python", f"my_{kind}.py"), ("yaml", "registry.yaml"))
    sample = None
    if kind == "reader":
        sample = tmp_path / "slice.grid"
        sample.write_text("30 40\n" + " ".join(str(number % 7) for number in range(30 * 40)))
    for component in components(f"local/my_{kind}", tmp_path / "registry.yaml"):
        assert component.component.kind == kind
        assert problems(component, sample=sample) == []
    report = check_recipes(str(tmp_path / "registry.yaml"))
    assert report.errors == []
    assert [item.status for item in report.recipes] in ([], ["ok"])


def test_the_examples_train_and_predict_together(tmp_path, monkeypatch):
    import volseg_core

    monkeypatch.chdir(tmp_path)
    kinds = [kind for kind in KINDS if kind not in ("encoder", "reader", "postprocess", "target")]
    for kind in kinds:
        write_example(kind, tmp_path, ("python", f"my_{kind}.py"))
    Path("registry.yaml").write_text(yaml.safe_dump({"plugins": {"local": [f"my_{kind}.py" for kind in kinds]}}))
    recipe = {
        "extends": "volseg/slices",
        "data": {"generate": {"use": "layers", "shape": [16, 40, 40]}, "augment": "brightness", "window": [32, 32]},
        "model": {"use": "flat", "width": 4},
        "loss": ["power"],
        "metrics": ["balanced-accuracy"],
        "train": {"epochs": 1, "steps": 3, "batch": 2},
        "predict": {"merge": "bold", "runtime": "simple"},
    }
    registry = load_registry()
    run = volseg_core.train({"name": "all", **recipe}, output="run", registry=registry)
    assert 0 <= run.scores["val/balanced-accuracy"] <= 1
    done = volseg_core.predict("run", "run/generated.h5", output="seg.npm", registry=registry)
    assert set(done.record["made_with"]) == {"volseg", *(f"local/my_{kind}" for kind in kinds)} - {
        "local/my_loss", "local/my_metric", "local/my_augmentation", "local/my_generator"
    }  # fmt: skip
    assert np.load("seg.npm").shape == (16, 40, 40)


def test_the_encoder_of_the_docs_serves_the_built_in_architectures(tmp_path, monkeypatch):
    import torch

    from volseg_core.network import build_network

    monkeypatch.chdir(tmp_path)
    write_example("encoder", tmp_path, ("python", "my_encoder.py"), ("yaml", "registry.yaml"))
    registry = load_registry()
    for architecture in ("unet", "fpn"):
        recipe = resolve(registry, find_recipe(registry, "mine"), [f"model={architecture}"])
        network = build_network(registry.catalog, recipe, 2, 3, pretrained=True).eval()
        assert network(torch.zeros(1, 2, 64, 96)).shape == (1, 3, 64, 96)


def test_the_loss_of_the_tutorial_trains_like_cross_entropy_without_its_exponent(tmp_path, monkeypatch):
    import torch

    write_example("index", tmp_path, ("python", "my_losses.py"), ("yaml", "registry.yaml"))
    monkeypatch.chdir(tmp_path)
    registry = load_registry()
    recipe = resolve(registry, find_recipe(registry, "mine"), ["loss.my-focal.gamma=0"])
    use = recipe.heads[0].losses[0]
    assert use.provided.id == "local/my_losses/my-focal"

    loss = registry.catalog.build(use.provided, use.params)
    logits, target = torch.randn(2, 3, 4, 5), torch.randint(-1, 3, (2, 4, 5))
    expected = torch.nn.functional.cross_entropy(logits, target, ignore_index=-1)
    torch.testing.assert_close(loss(logits, target, valid=target >= 0), expected)


def test_every_hook_is_in_the_table_of_kinds():
    from volseg_core import hookspecs

    for kind, hook in hookspecs.COLLECTING.items():
        assert f"| [{kind}]({kind}.md) | `{hook}` |" in page("index")
        assert f"Hook `{hook}`, descriptor `{KINDS[kind].__name__}`." in page(kind)


REFERENCE = runpy.run_path(str(ROOT / "tools" / "plugin_reference.py"))


@pytest.mark.parametrize("name", ["hooks", "api"])
def test_a_generated_page_is_fresh(name):
    message = "stale: run python tools/plugin_reference.py"
    assert page(name) == REFERENCE["PAGES"][name](), message


def test_the_public_names_and_signatures_are_those_that_were_promised():
    """A change here is a change of the promise: read docs/plugins/stability.md before its list is edited."""
    listed = page("stability").split("```text\n")[1].partition("```")[0]
    assert listed == REFERENCE["signatures"]()


def test_the_promise_names_the_present_release():
    assert f"volseg is at {version('volseg').rpartition('.')[0]}." in page("stability")


def test_the_registry_for_a_lab_is_right_where_its_plugins_are_and_names_them_where_not(volseg_project, lab_plugins):
    project = volseg_project()
    write_example("registry", project.folder, ("yaml", "registry.yaml"))
    losses = page("index").split("```python\n# my_losses.py\n")[1].partition("```")[0]
    project.write({"lab_losses.py": losses.replace("my_losses:", "lab_losses:").replace("my-focal", "lab-focal")})
    result = project.run("recipes", "check", env=lab_plugins)
    assert result.ok, result.err
    assert [line.split() for line in result.out.splitlines()[2:]] == [
        ["em", "base"],
        ["mitochondria", "ok"],
        ["thin-membranes", "ok"],
        ["quick-look", "ok"],
    ]
    shown = project.run("recipes", "show", "thin-membranes", "--explain", "--json", env=lab_plugins)
    values = {row["key"]: (row["value"], row["origin"]) for row in json.loads(shown.out)}
    assert values["loss.2.use"] == ("volseg-acme/rim", "thin-membranes")
    assert values["loss.1.smooth"] == (1.0, "defaults")
    assert values["train.epochs"] == (30, "em")
    assert values["predict.quality"] == ("high", "em")

    schema = json.loads(project.run("recipes", "schema", env=lab_plugins).out)
    content = yaml.safe_load((project.folder / "registry.yaml").read_text())
    assert [error.message for error in Draft202012Validator(schema).iter_errors(content)] == []

    missing = project.run("recipes", "check")
    assert missing.code == 2
    assert missing.err.startswith("Error: plugins.require: volseg-acme>=0.3,<0.4 is not installed.\n")


@pytest.fixture(scope="module")
def lab_plugins(tmp_path_factory):
    """Return the environment in which volseg-acme 0.3.0 of the page is installed: what pip leaves, made by hand."""
    site = tmp_path_factory.mktemp("site")
    info = site / "volseg_acme-0.3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: volseg-acme\nVersion: 0.3.0\n")
    (info / "entry_points.txt").write_text("[volseg]\nmain = volseg_acme_plugin\n")
    (site / "volseg_acme_plugin.py").write_text(
        "from volseg_core.api import Loss, Param, hookimpl\n\n\n@hookimpl\ndef volseg_losses():\n"
        "    theta = {'theta': Param('float', 3.0, 'Width in voxels.')}\n"
        "    return [Loss(name=name, target='x:y', summary='s', params=theta) for name in ('rim', 'dice')]\n"
    )
    return {"PYTHONPATH": str(site)}
