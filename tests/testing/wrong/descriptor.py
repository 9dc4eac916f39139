"""For each rule of descriptors, a component that breaks it."""

from __future__ import annotations

from typing import Any

from volseg_core.api import Architecture, Metric, Param, Postprocess, Reader, Target

MEMBER = "no function"
LEAST = Param("int", 1, "Least size.", min=1)


def described(target: str = "right", summary: str = "", **fields: Any) -> Postprocess:
    values: dict[str, Any] = {"name": target.lower().replace("_", "-"), "licence": "MIT", "params": {"least": LEAST}}
    return Postprocess(target=f"descriptor:{target}", summary=summary, **(values | fields))


def right(*, least: int = 1) -> Any:
    return lambda labels: labels * (labels >= least)


def required(*, least: int) -> Any:
    return right(least=least)


def wants_network(*, least: int = 1, network: Any) -> Any:
    return right(least=least)


def by_position(least: int = 1, /) -> Any:
    return right(least=least)


def anything(**params: Any) -> Any:
    return right(**params)


def other_name(*, smallest: int = 1) -> Any:
    return right(least=smallest)


def needs_more(*, least: int = 1, most: int) -> Any:
    return right(least=least)


def other_default(*, least: int = 2) -> Any:
    return right(least=least)


WRONG = {
    "name": (described(name="keep_large", summary="has an underscore in its name"), "there is 'keep_large'"),
    "summary": (described(summary="is described " + "at length " * 20), "it has 213"),
    "licence": (described(summary="states no licence", licence=""), "licence is empty"),
    "tasks": (
        described(summary="serves a task that does not exist", tasks=("multi-class",)),
        "'multi-class' is not one of binary, multiclass, multilabel",
    ),
    "dims": (described(summary="works in 4D", dims=(3, 4)), "they are (3, 4)"),
    "wants": (
        described("wants_network", summary="wants what no postprocess gets", wants=("network",)),
        "'network' is not one of classes, spacing",
    ),
    "needs": (
        described(summary="needs something without a version rule", needs=("scipy 1.11",)),
        "there is 'scipy 1.11'",
    ),
    "installed": (
        described(summary="needs what is not installed", needs=("volseg-no-such-library",)),
        "needs volseg-no-such-library, which is not installed",
    ),
    "extra": (
        described(summary="names an extra that its distribution lacks", extra="no-such-extra"),
        "'no-such-extra' is not among",
    ),
    "target": (described("misspelt", summary="has a target that is not there"), "has no attribute 'misspelt'"),
    "keywords": (
        described("by_position", summary="takes a parameter by position only"),
        "it takes least by position only",
    ),
    "parameters": (
        described("other_name", summary="describes a parameter that the code does not take"),
        "it describes 'least', and descriptor:other_name takes no such argument",
    ),
    "defaults": (
        described("other_default", summary="describes another default"),
        "of 'least' the descriptor says 1 and the code 2",
    ),
    "values": (
        described(summary="has a default below its minimum", params={"least": Param("int", 1, "Least size.", min=5)}),
        "'least' does not take its own: 1 is below the minimum 5",
    ),
    "help": (described(summary="has a parameter without help", params={"least": Param("int", 1)}), "'least' has none"),
    "fields": (
        Metric(name="m", target="descriptor:right", summary="is better when it is more", better="more", licence="MIT"),
        "better is 'more', which is not one of higher, lower",
    ),
}
"""The rule, a component that breaks it and what is seen."""


def metric(**fields: Any) -> Metric:
    return Metric(name="m", target="descriptor:right", outputs=("m",), licence="MIT", **fields)


ALSO_WRONG = [
    ("target", described("MEMBER", summary="Is a string."), "'descriptor:MEMBER' is str"),
    ("keywords", described("anything", summary="Takes **kwargs."), "'least' disappears in its **kwargs"),
    ("parameters", described("needs_more", summary="Requires more."), "requires 'most', which is not described"),
    ("summary", described(summary="two\nlines"), "it is 'two\\nlines'"),
    (
        "values",
        described(params={"least": Param("choice", 1, "Least.")}, summary="One."),
        "'least' is a choice of nothing",
    ),
    ("values", described(params={"least": Param("str", 1, "Least.")}, summary="One."), "turns its own, 1, into '1'"),
    ("name", described(name="right", aliases=("Right",), summary="Has a capital."), "there is 'Right'"),
    (
        "fields",
        Reader(name="r", target="descriptor:right", summary="A reader.", suffixes=("ACME",), licence="MIT"),
        "suffix 'ACME' is not lower-case with a leading dot",
    ),
    (
        "fields",
        Reader(name="r", target="descriptor:right", summary="A reader.", licence="MIT"),
        "neither suffixes nor directories=True",
    ),
    (
        "fields",
        Architecture(name="a", target="descriptor:right", summary="A net.", divisor=0, licence="MIT"),
        "divisor is 0 and min_size 32; both are at least 1",
    ),
    (
        "fields",
        Metric(name="m", target="descriptor:right", summary="A metric.", outputs=("other",), licence="MIT"),
        "outputs is ('other',), and its first is the metric's name",
    ),
    (
        "fields",
        Target(name="t", target="target:Right", summary="A target.", licence="MIT"),
        "the target states no tasks",
    ),
    (
        "fields",
        Target(name="t", target="target:Right", summary="A target.", tasks=("multiclass",), licence="MIT"),
        "tasks is 'multiclass', which is not one of multilabel, regression",
    ),
    (
        "fields",
        metric(summary="takes classes of a regression", tasks=("regression",)),
        "inputs is 'classes' of tasks ('regression',); values are those of ('regression',), alone",
    ),
    (
        "fields",
        metric(summary="takes values of any task", inputs="values"),
        "inputs is 'values' of tasks (); values are those of",
    ),
    (
        "fields",
        metric(summary="takes values of two tasks", inputs="values", tasks=("regression", "multilabel")),
        "values are those of ('regression',), alone",
    ),
    (
        "fields",
        metric(summary="asks for another truth", truth="ids"),
        "truth is 'ids', which is not one of target, instances",
    ),
]
GIVEN = {
    "params": (
        described(
            "required", summary="has a parameter without a default", params={"least": Param("int", help="Least size.")}
        ),
        "none was given for least",
    ),
    "sample": (
        Reader(
            name="r",
            target="reader:Right",
            summary="has a suffix that no writer has",
            suffixes=(".acme2",),
            licence="MIT",
        ),
        "there is none, and no writer of '.acme2'",
    ),
    "encoder": (
        Architecture(
            name="picky",
            target="architecture:Picky",
            summary="is built on encoders of its own",
            encoder="required",
            wants=("in_channels", "num_classes", "encoder"),
            dims=(2,),
            licence="MIT",
        ),
        "it refuses the reference encoder: model.encoder: is not one of mine",
    ),
}
"""What a check must be given: the rule, a component that is checked without it, and what is seen."""
