"""Steps after the merge: on the labels of the whole volume, in memory and in files, from runs and from ONNX."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from scipy import ndimage

import volseg_core
from volseg_core.errors import PluginError, RecipeErrors, UsageError
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

PLUGIN = """
import numpy as np
from scipy import ndimage
from volseg_core.api import Param, Postprocess, hookimpl


@hookimpl
def volseg_postprocessors():
    about = {"target": "steps:Step", "summary": "A step.", "licence": "MIT"}
    return [
        Postprocess(name="swap", params={"of": Param("int", 1), "to": Param("int", 2)}, **about),
        Postprocess(
            name="objects", target="steps:Objects", summary="Numbers objects.", gives="instances",
            wants=("classes", "spacing"),
        ),
        Postprocess(name="flat", target="steps:Flat", summary="Wrong shape."),
    ]


class Step:
    def __init__(self, *, of=1, to=2):
        self.of, self.to = of, to

    def __call__(self, labels):
        return np.where(labels == self.of, self.to, labels)


class Objects:
    def __init__(self, *, classes, spacing):
        assert list(classes) == ["background", "organelle", "granule"]

    def __call__(self, labels):
        return ndimage.label(labels > 0)[0]


class Flat:
    def __call__(self, labels):
        return labels[0]
"""


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steps.py").write_text(PLUGIN)
    (tmp_path / "registry.yaml").write_text("version: 1\nplugins: {local: [steps.py]}\n")
    return load_registry()


def predicted(trained, registry, *steps, **options):
    overrides = [f"postprocess=[{', '.join(steps)}]"] if steps else []
    return volseg_core.predict(
        trained.run, trained.volume, quality="low", overrides=overrides, registry=registry, **options
    )


def test_steps_follow_one_another_on_class_indices(trained, registry):
    plain = predicted(trained, registry).labels
    assert set(np.unique(plain)) > {0}
    swapped = predicted(trained, registry, "{use: swap, of: 1, to: 0}", "{use: swap, of: 2, to: 1}")
    np.testing.assert_array_equal(swapped.labels, np.where(plain == 1, 0, np.where(plain == 2, 1, plain)))
    assert set(swapped.arrays) == {"labels"}
    assert [item["of"] for item in swapped.record["postprocess"]] == [1, 2]


def test_objects_are_an_array_of_their_own_beside_the_labels(trained, registry, tmp_path):
    plain = predicted(trained, registry, confidence=True)
    done = predicted(trained, registry, "objects", confidence=True)
    np.testing.assert_array_equal(done.labels, plain.labels)
    np.testing.assert_array_equal(done.arrays["confidence"], plain.arrays["confidence"])
    expected = ndimage.label(plain.labels > 0)[0]
    np.testing.assert_array_equal(done.arrays["instances"], expected)
    predicted(trained, registry, "objects", output=tmp_path / "seg.h5")
    with h5py.File(tmp_path / "seg.h5") as file:
        assert file["instances"].dtype == np.uint32
        np.testing.assert_array_equal(file["instances"][()], expected)
    record = json.loads((tmp_path / "seg.predict.json").read_text())
    assert record["postprocess"] == [{"use": "local/steps/objects"}]


def test_a_model_carries_its_steps(trained, registry):
    recipe = resolve_recipe(registry, "slices", ["postprocess=[objects]"])
    again = resolve_recipe(registry, json.loads(json.dumps(recipe.to_dict())))
    assert [use.provided.id for use in again.postprocess] == ["local/steps/objects"]
    assert resolve_recipe(registry, "slices").postprocess == ()


def test_a_step_that_gives_something_else_is_refused_and_nothing_is_written(trained, registry, tmp_path):
    with pytest.raises(
        PluginError, match=r"postprocess\.0: .*gives .* of shape \(72, 80\), not integers of shape \(24,"
    ):
        predicted(trained, registry, "flat", output=tmp_path / "seg.h5")
    with pytest.raises(PluginError, match=r"gives values from 1 to 7, beyond 0 to 2"):
        predicted(trained, registry, "{use: swap, of: 0, to: 7}", output=tmp_path / "seg.h5")
    assert not list(tmp_path.glob("*seg*"))


def test_a_step_takes_what_the_one_before_it_gives(trained, registry):
    with pytest.raises(RecipeErrors, match=r"'swap' takes labels, and 'objects' before it gives instances"):
        predicted(trained, registry, "objects", "swap")


def test_a_missing_step_can_be_left_out(trained, registry):
    with pytest.raises(RecipeErrors, match=r"no postprocess named 'objcts'. Did you mean 'objects'"):
        predicted(trained, registry, "objcts")


def test_probabilities_for_a_step_are_computed_and_not_written(trained, registry, tmp_path):
    known = predicted(trained, registry, probabilities=True)
    step = "{use: threshold, channel: 2, threshold: 0.3}"
    done = predicted(trained, registry, step)
    assert set(done.arrays) == {"labels"}
    chosen = known.arrays["probabilities"][2].astype(np.float32) > 0.3
    np.testing.assert_array_equal(done.labels > 0, chosen)
    assert set(np.unique(done.labels)) == {0, known.labels[known.labels > 0].max()}
    predicted(trained, registry, step, probabilities=True, output=tmp_path / "seg.h5")
    with h5py.File(tmp_path / "seg.h5") as file:
        assert sorted(file) == ["labels", "probabilities"]
        np.testing.assert_array_equal(file["probabilities"], known.arrays["probabilities"])
        np.testing.assert_array_equal(file["labels"], done.labels)


def test_a_merge_that_has_no_probabilities_is_an_error_that_names_the_step(trained, registry):
    message = r"postprocess.0: 'threshold' takes probabilities, which merge 'max' does not give. Use another merge"
    with pytest.raises(UsageError, match=message):
        volseg_core.predict(
            trained.run, trained.volume, overrides=["postprocess=[threshold]", "predict.merge=max"], registry=registry
        )


def test_a_step_belongs_to_a_head_that_there_is(trained, registry):
    with pytest.raises(RecipeErrors, match=r"there is no head named 'edges'. The recipe has one head, without a name"):
        predicted(trained, registry, "{use: threshold, head: edges}")
