"""Plans: which views and windows a prediction uses."""

from __future__ import annotations

import pytest

from volseg_core.errors import UsageError
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.prediction.plan import check_input, make_plan
from volseg_core.recipe import ComponentUse, PredictBlock
from volseg_core.registry import load_registry
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule


def spec(axes="zyx"):
    classes = ClassMap((ClassName(0, "a"), ClassName(5, "b")))
    return ModelSpec((HeadSpec("multiclass", classes),), 1, Normalisation(), axes, SizeRule.same(32, 64, 2))


@pytest.fixture(scope="module")
def merge():
    return ComponentUse(load_registry().catalog.find("merge", "mean"), {})


def test_a_merge_is_told_views_classes_and_wishes(merge):
    plan = make_plan(
        spec(), PredictBlock(quality="medium"), merge, (8, 8, 8), ("labels", "variance"), independent=False
    )
    assert plan.merge_context(plan.spec.heads[0]) == {
        "views": ["z,y,x", "y,z,x", "x,z,y"],
        "classes": ["a", "b"],
        "wanted": ("labels", "variance"),
        "task": "multiclass",
    }


@pytest.mark.parametrize("wish", ["probabilities", "entropy", "variance"])
def test_what_a_merge_does_not_give_is_refused(wish):
    largest = ComponentUse(load_registry().catalog.find("merge", "max"), {})
    with pytest.raises(UsageError) as caught:
        make_plan(spec(), PredictBlock(), largest, (8, 8, 8), ("labels", wish), independent=False)
    assert str(caught.value) == (
        f"--{wish}: merge 'max' gives labels, confidence, not {wish}. Use another merge, such as -s predict.merge=mean."
    )


def test_the_variance_of_one_direction_is_refused(merge):
    with pytest.raises(UsageError) as caught:
        make_plan(spec("z"), PredictBlock(), merge, (8, 8, 8), ("labels", "variance"), independent=False)
    assert str(caught.value) == (
        "--variance: is 0 everywhere: there is one direction (z,y,x), and variance is that over directions. "
        "Use --quality high, or --entropy."
    )


def plan_of(merge, axes="zyx", shape=(64, 64, 64), independent=False, **rule):
    return make_plan(spec(axes), PredictBlock(**rule), merge, shape, ("labels",), independent=independent)


@pytest.mark.parametrize(
    ("rule", "axes", "views", "weight"),
    [
        ({}, "zyx", 3, 3),
        ({}, "z", 1, 1),
        ({"quality": "low"}, "zyx", 1, 1),
        ({"quality": "medium"}, "z", 1, 1),
        ({"quality": "high"}, "zyx", 12, 12),
        ({"quality": "high"}, "z", 4, 4),
        ({"quality": "max"}, "zyx", 24, 24),
        ({"quality": "legacy12"}, "zyx", 8, 12),
        ({"views": ("z,y,x", "z,x,y")}, "zyx", 2, 2),
    ],
)
def test_number_of_views_and_their_weight(merge, rule, axes, views, weight):
    plan = plan_of(merge, axes, **rule)
    assert (len(plan.views), plan.total_weight) == (views, weight)


@pytest.mark.parametrize(
    ("views", "in_order"),
    [(["z"], True), (["z,-x,y"], True), (["-z,y,x"], False), (["y"], False), (["z", "y"], False)],
)
def test_planes_come_in_order_from_one_view_along_z(merge, views, in_order):
    assert plan_of(merge, views=views).in_order is in_order


def test_a_single_image_is_only_sliced_along_z(merge):
    """A 2D image, and a stack of independent ones, are never sliced across."""
    assert {view.axis for view, _ in plan_of(merge, shape=(1, 64, 64), quality="high").views} == {0}
    assert {view.axis for view, _ in plan_of(merge, independent=True, quality="high").views} == {0}


def test_progress_counts_every_plane_of_every_view(merge):
    assert plan_of(merge).count((10, 20, 30)) == 60


def test_planes_are_padded_to_the_divisor_and_the_minimum(merge):
    plan = plan_of(merge)
    assert plan.window((70, 100)) == ((96, 128), (96, 128))
    assert plan.window((10, 10)) == ((64, 64), (64, 64))


def test_large_planes_are_covered_by_windows(merge):
    padded, window = plan_of(merge).window((5000, 300))
    assert padded == (5024, 320)
    assert window == (5024, 320), "1.6 million pixels still go whole"
    assert plan_of(merge).window((5000, 5000)) == ((5024, 5024), (1024, 1024))
    assert plan_of(merge, window=(100, 200)).window((500, 500)) == ((512, 512), (128, 224))


def test_channels_must_agree():
    with pytest.raises(UsageError, match="scan.tif: has 3 channels; the model was trained on 1"):
        check_input(spec(), 3, "scan.tif", independent=False)


def spec_of(*tasks):
    channels = ClassMap((ClassName(0, "a"), ClassName(1, "b")))
    heads = tuple(HeadSpec(task, channels, f"h{number}" if len(tasks) > 1 else "") for number, task in enumerate(tasks))
    return ModelSpec(heads, 1, Normalisation(), "zyx", SizeRule.same(32, 64, 2))


@pytest.mark.parametrize(("task", "gives"), [("multilabel", "probabilities"), ("regression", "values")])
@pytest.mark.parametrize("wish", ["confidence", "entropy", "variance"])
def test_what_only_classes_have_is_refused_of_others(merge, task, gives, wish):
    with pytest.raises(UsageError) as caught:
        make_plan(spec_of(task), PredictBlock(), merge, (8, 8, 8), ("labels", wish), independent=False)
    assert str(caught.value) == (
        f"--{wish}: is for networks that give classes; this one gives {gives}. Leave --{wish} out."
    )


def test_a_head_with_classes_is_enough_to_ask_for_what_they_have(merge):
    made = make_plan(
        spec_of("regression", "binary"), PredictBlock(), merge, (8, 8, 8), ("labels", "entropy"), independent=False
    )
    assert [made.wanted_of(head) for head in made.spec.heads] == [("values",), ("labels", "entropy")]


def test_a_merge_without_values_is_refused_for_a_regression():
    largest = ComponentUse(load_registry().catalog.find("merge", "max"), {})
    with pytest.raises(UsageError) as caught:
        make_plan(spec_of("regression"), PredictBlock(), largest, (8, 8, 8), ("labels",), independent=False)
    assert str(caught.value) == (
        "--values: merge 'max' gives labels, confidence, not values. Use another merge, such as -s predict.merge=mean."
    )


def directed(axes="zyx", dims=2):
    channels = ClassMap((ClassName(0, "affinity -1 0"), ClassName(1, "affinity 0 -1")))
    heads = (HeadSpec("multilabel", channels, directed=True),)
    return ModelSpec(heads, 1, Normalisation(), axes, SizeRule.same(32, 64, dims))


@pytest.mark.parametrize(("axes", "dims", "view"), [("zyx", 2, "z,y,x"), ("y", 2, "y,z,x"), ("zyx", 3, "z,y,x")])
@pytest.mark.parametrize("quality", ["auto", "low"])
def test_channels_that_point_somewhere_get_one_view(merge, axes, dims, view, quality):
    rule = PredictBlock(quality=quality)
    plan = make_plan(directed(axes, dims), rule, merge, (64, 64, 64), ("labels",), independent=False)
    assert [(each.name, weight) for each, weight in plan.views] == [(view, 1)]
    named = make_plan(
        directed(axes, dims), PredictBlock(views=(view,)), merge, (64, 64, 64), ("labels",), independent=False
    )
    assert named.views == plan.views


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"quality": "medium"}, "--quality: medium"),
        ({"views": ("z,y,x", "z,-y,x")}, "predict.views: z,y,x, z,-y,x"),
        ({"views": ("x,y,z",)}, "predict.views: x,y,z"),
    ],
)
def test_views_in_which_channels_point_elsewhere_are_refused(merge, rule, said):
    with pytest.raises(UsageError) as caught:
        make_plan(directed(dims=3), PredictBlock(**rule), merge, (64, 64, 64), ("labels",), independent=False)
    assert str(caught.value) == (
        f"{said} shows the network views in which affinity -1 0, affinity 0 -1 point elsewhere. "
        "Use --quality low, and no predict.views."
    )
