"""Chains of steps: what each takes, of which head."""

from __future__ import annotations

import pytest

from volseg_core.api import Postprocess
from volseg_core.catalog import Provided
from volseg_core.errors import UsageError
from volseg_core.plugins import PluginRecord
from volseg_core.recipe import ComponentUse
from volseg_core.recipe.steps import link_steps
from volseg_core.tasks import HEAD_ARRAYS, array_name

ONE = {"": HEAD_ARRAYS["multiclass"]}
TWO = {"cells": HEAD_ARRAYS["multiclass"], "edges": HEAD_ARRAYS["multilabel"], "depth": HEAD_ARRAYS["regression"]}


def use(name, takes, gives, head=""):
    component = Postprocess(name=name, target="a:b", summary="", takes=takes, gives=gives)
    return ComponentUse(Provided(PluginRecord("p"), component), {}, where=f"postprocess.{name}", head=head)


def linked(uses, heads=ONE):
    return [(step.head, step.takes, step.gives, step.first) for step in link_steps(uses, heads)]


def test_a_step_takes_what_the_one_before_it_gives():
    steps = [
        use("threshold", ("probabilities",), "labels"),
        use("fill", ("labels", "instances"), "same"),
        use("objects", ("probabilities", "labels"), "instances"),
        use("filter", ("labels", "instances"), "same"),
    ]
    assert linked(steps) == [
        ("", "probabilities", "labels", True),
        ("", "labels", "labels", False),
        ("", "labels", "instances", False),
        ("", "instances", "instances", False),
    ]


def test_the_first_takes_what_it_prefers_of_the_first_head_that_has_it():
    assert linked([use("a", ("probabilities", "labels"), "instances")]) == [("", "probabilities", "instances", True)]
    assert linked([use("a", ("values", "probabilities"), "labels")], TWO)[0][:2] == ("cells", "probabilities")
    assert linked([use("a", ("values",), "labels")], TWO)[0][:2] == ("depth", "values")


def test_a_head_begins_another_chain():
    steps = [
        use("a", ("labels",), "instances"),
        use("b", ("probabilities",), "instances", head="edges"),
        use("c", ("instances",), "same", head="edges"),
        use("d", ("instances",), "same"),
    ]
    assert linked(steps, TWO) == [
        ("cells", "labels", "instances", True),
        ("edges", "probabilities", "instances", True),
        ("edges", "instances", "instances", False),
        ("edges", "instances", "instances", False),
    ]


@pytest.mark.parametrize(
    ("steps", "heads", "message"),
    [
        (
            [use("a", ("labels",), "instances"), use("b", ("labels",), "labels")],
            ONE,
            "postprocess.b: 'b' takes labels, and 'a' before it gives instances. Put it elsewhere",
        ),
        (
            [use("a", ("labels", "instances"), "same", head="edges")],
            TWO,
            "postprocess.a: 'a' takes labels or instances, and there are probabilities. Put a step before",
        ),
        (
            [use("a", ("values",), "labels")],
            ONE,
            "postprocess.a: 'a' takes values, and there are labels, probabilities",
        ),
        (
            [use("a", ("labels",), "labels", head="edgse")],
            TWO,
            "postprocess.a: there is no head named 'edgse'. Did you mean 'edges'?",
        ),
        (
            [use("a", ("labels",), "labels", head="edges")],
            ONE,
            "postprocess.a: there is no head named 'edges'. The recipe has one head, without a name.",
        ),
    ],
)
def test_what_a_step_cannot_take_is_an_error(steps, heads, message):
    with pytest.raises(UsageError) as error:
        link_steps(steps, heads)
    assert str(error.value).startswith(message)


def test_arrays_of_several_heads_have_their_names():
    assert array_name("", "instances") == "instances"
    assert array_name("edges", "instances") == "edges_instances"
