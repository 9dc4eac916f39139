from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.errors import UsageError
from volseg_core.tuning.space import Choice, Range, assignments, parse_space, start_point, typed_like


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.lr=1e-4..1e-2:log", Range("train.lr", 1e-4, 1e-2, log=True, whole=False)),
        ("train.batch=2..8", Range("train.batch", 2, 8, log=False, whole=True)),
        ("train.batch = 2 .. 8 : log", Range("train.batch", 2, 8, log=True, whole=True)),
        ("train.clip=0..1.0", Range("train.clip", 0, 1, log=False, whole=False)),
        ("model.encoder=resnet18|resnet34", Choice("model.encoder", ("resnet18", "resnet34"))),
        ("data.window=[64,64]|[96,96]", Choice("data.window", ("[64,64]", "[96,96]"))),
    ],
)
def test_ranges_and_choices_are_read(text, expected):
    assert parse_space([text]) == [expected]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["train.lr"], "'train.lr' is not KEY=RANGE. Give KEY=LOW..HIGH, KEY=LOW..HIGH:log, or KEY=A|B|C."),
        (["train.lr=0.1"], "--search train.lr: '0.1' is no range and no choice"),
        (["train.lr=1..2:lin"], "--search train.lr: '1..2:lin' is no range and no choice"),
        (["train.lr=a..b"], "--search train.lr: 'a' and 'b' are not both numbers"),
        (["train.lr=2..1"], "--search train.lr: 2 is not below 1"),
        (["train.lr=0..nan"], "--search train.lr: 0 is not below nan"),
        (["train.lr=0..1:log"], "--search train.lr: a logarithmic range starts above 0, not at 0"),
        (["model=unet|unet"], "'unet|unet' has an empty or repeated value"),
        (["model=unet|"], "'unet|' has an empty or repeated value"),
        (["train.lr=1..2", "train.lr=1..3"], "train.lr is named twice"),
    ],
)
def test_what_is_neither_is_an_error(texts, message):
    with pytest.raises(UsageError) as raised:
        parse_space(texts)
    assert message in str(raised.value)


@given(st.integers(0, 1000))
def test_drawn_values_lie_in_the_space_and_are_what_yaml_reads_as_numbers(seed):
    import yaml

    space = parse_space(["a.lr=1e-7..1e-2:log", "a.batch=2..8", "a.net=x|y"])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    drawn = dict(item.split("=") for item in assignments(space, study.ask()))
    assert 1e-7 <= float(drawn["a.lr"]) <= 1e-2
    assert isinstance(yaml.safe_load(drawn["a.batch"]), int)
    assert 2 <= int(drawn["a.batch"]) <= 8
    assert drawn["a.net"] in ("x", "y")


def test_a_range_is_whole_only_where_the_recipe_holds_a_whole_number():
    space = parse_space(["train.clip=0..1", "train.batch=2..8", "train.new=0..3"])
    typed = typed_like(space, {"train": {"clip": 0.0, "batch": 4}})
    assert [item.whole for item in typed if isinstance(item, Range)] == [False, True, True]


def test_the_recipe_itself_is_a_point_of_the_space():
    resolved = {
        "train": {"lr": 2e-3, "batch": 4},
        "model": {"use": "volseg/unet", "encoder": {"use": "acme/net"}},
        "loss": [{"use": "volseg/dice", "weight": 0.5}],
        "data": {"window": [64, 64]},
    }
    texts = ["train.lr=1e-4..1e-2:log", "train.batch=2..8", "model=fpn|unet", "loss.dice.weight=0..1.0"]
    point = start_point(parse_space([*texts, "data.window=[32,32]|[64,64]", "model.encoder=acme/net|other"]), resolved)
    assert point == {
        "train.lr": 2e-3,
        "train.batch": 4,
        "model": "unet",
        "loss.dice.weight": 0.5,
        "data.window": "[64,64]",
        "model.encoder": "acme/net",
    }
    assert start_point(parse_space([*texts, "train.lr2=1..2"]), resolved) is None
    assert start_point(parse_space(["train.lr=1e-2..1e-1"]), resolved) is None
    assert start_point(parse_space(["loss.bce.weight=0..1"]), resolved) is None
