from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from volseg_core.recipe.blocks import BLOCKS, DataBlock, HeadBlock, NormaliseBlock, PredictBlock, TrainBlock
from volseg_core.recipe.layers import dotted
from volseg_core.recipe.messages import translate


def complaints(block: Any, content: Any) -> Any:
    with pytest.raises(ValidationError) as caught:
        block.model_validate(content)
    return [error.line() for error in translate(caught.value, block, ("here",), dotted)]


def test_every_block_is_complete_without_a_key() -> None:
    for block in BLOCKS.values():
        assert block.model_validate({}) == block()


def test_scalars_that_yaml_reads_as_text_become_numbers() -> None:
    train = TrainBlock.model_validate({"lr": "1e-3", "epochs": "3", "precision": 32})
    assert (train.lr, train.epochs, train.precision) == (1e-3, 3, "32")


def test_short_forms_are_spelt_out() -> None:
    data = DataBlock.model_validate(
        {"train": "a.h5", "labels": ["b.h5"], "window": 64, "ignore": 255, "axes": ["z", "y"]}
    )
    assert (data.train, data.labels, data.window, data.ignore, data.axes) == (
        ("a.h5",),
        ("b.h5",),
        (64, 64),
        (255,),
        "zy",
    )


def test_a_block_written_out_reads_as_itself() -> None:
    data = DataBlock.model_validate({"window": [64, 32], "normalise": {"kind": "range", "clip": [0, 255]}})
    assert DataBlock.model_validate(data.model_dump(mode="json")) == data


@pytest.mark.parametrize(
    ("block", "content", "message"),
    [
        (TrainBlock, {"lrr": 1}, "here.lrr: 'lrr' is not in 'here'. Did you mean 'lr'?"),
        (TrainBlock, {"epochs": 0}, "here.epochs: 0 is below the minimum 1."),
        (TrainBlock, {"epochs": 1.5}, "here.epochs: 1.5 is not an int."),
        (TrainBlock, {"epochs": True}, "here.epochs: True is not a number."),
        (TrainBlock, {"lr": "fast"}, "here.lr: 'fast' is neither auto nor a float."),
        (TrainBlock, {"lr": 0}, "here.lr: 0 is not above 0."),
        (TrainBlock, {"lr": float("inf")}, "here.lr: inf is not a finite number."),
        (TrainBlock, {"warmup": 1}, "here.warmup: 1 is not below 1."),
        (TrainBlock, {"workers": "autoo"}, "here.workers: 'autoo' is neither auto nor an int. Did you mean 'auto'?"),
        (TrainBlock, {"workers": -1}, "here.workers: -1 is below the minimum 0."),
        (TrainBlock, {"deterministic": "perhaps"}, "here.deterministic: 'perhaps' is not a bool."),
        (
            TrainBlock,
            {"schedule": "cosin"},
            "here.schedule: 'cosin' is not one of one-cycle, cosine, plateau, constant. Did you mean 'cosine'?",
        ),
        (DataBlock, {"val": 3}, "here.val: 3 is not a mapping."),
        (
            DataBlock,
            {"val": {"fractoin": 1}},
            "here.val.fractoin: 'fractoin' is not in 'here.val'. Did you mean 'fraction'?",
        ),
        (DataBlock, {"window": [1, 2, 3, 4]}, "here.window: [1, 2, 3, 4] has 4 items; it must have 3."),
        (DataBlock, {"window": [0, 5]}, "here.window.0: 0 is below the minimum 1."),
        (
            DataBlock,
            {"window": "atuo"},
            "here.window: 'atuo' is neither auto, small, whole nor a list. Did you mean 'auto'?",
        ),
        (DataBlock, {"axes": "xq"}, "here.axes: 'xq' is not auto or a choice of z, y and x such as 'zyx' or 'z'."),
        (DataBlock, {"train": ["a"]}, "here: 1 volumes (train) but 0 label volumes (labels); give one for each."),
        (DataBlock, {"ignore": "x"}, "here.ignore: 'x' is not a list."),
        (PredictBlock, {"views": ["z,y,x", "z,y,x"]}, "here.views: the same view is named twice."),
        (NormaliseBlock, {"clip": [5, 1]}, "here: clip [5, 1] is not in ascending order."),
        (
            NormaliseBlock,
            {"clip": [0, 101]},
            "here: clip [0, 101] are percentiles for zscore; they must be within 0 and 100.",
        ),
        (
            HeadBlock,
            {"task": "binary", "classes": ["a", "b", "c"]},
            "here: task 'binary' with 3 classes; binary has two, multiclass two or more.",
        ),
        (
            HeadBlock,
            {"classes": ["a"]},
            "here: task 'multiclass' with 1 classes; binary has two, multiclass two or more.",
        ),
    ],
)
def test_a_mistake_is_one_line_with_the_value_and_the_rule(block: Any, content: Any, message: str) -> None:
    assert complaints(block, content) == [message]


def test_several_mistakes_are_several_lines() -> None:
    assert len(complaints(TrainBlock, {"epochs": 0, "batch": 0, "lrr": 1})) == 3


def test_a_key_that_belongs_to_a_slot_is_suggested() -> None:
    with pytest.raises(ValidationError) as caught:
        BLOCKS["predict"].model_validate({"merg": 1})
    (error,) = translate(caught.value, BLOCKS["predict"], ("predict",), dotted)
    assert error.hint == "Did you mean 'merge'?"
