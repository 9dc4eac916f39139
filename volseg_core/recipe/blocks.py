"""The typed blocks of a recipe: classes, data, train, predict. Unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from volseg_core.tasks import CLASS_TASKS


def _number(value: object) -> object:
    if isinstance(value, bool):
        message = f"{value!r} is not a number"
        raise ValueError(message)  # noqa: TRY004  (pydantic collects ValueErrors)
    return value


Auto = Literal["auto"]
Whole = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Whole, Field(ge=1)]
NotNegative = Annotated[Whole, Field(ge=0)]
Length = Annotated[Real, Field(gt=0)]
Fraction = Annotated[Real, Field(ge=0, lt=1)]
Edges = Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)]
"""Shape of a window: height and width, before them depth where the network is 3D."""


class Block(BaseModel):
    """Base of all blocks: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ValidationBlock(Block):
    """What part of the labelled data is held out."""

    fraction: Fraction = 0.2
    axis: Literal["auto", "z", "y", "x"] = "auto"
    gap: Auto | NotNegative = "auto"
    split: Literal["slab", "random-slices"] = "slab"
    files: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _pairs(self) -> ValidationBlock:
        if len(self.files) != len(self.labels):
            message = f"{len(self.files)} files but {len(self.labels)} labels; give one for each"
            raise ValueError(message)
        return self


class NormaliseBlock(Block):
    """The rule of intensity normalisation; ``clip`` holds percentiles, or for ``range`` the two values."""

    kind: Literal["zscore", "percentile", "range", "none"] = "zscore"
    clip: tuple[Real, Real] = (0.5, 99.5)

    @model_validator(mode="after")
    def _ordered(self) -> NormaliseBlock:
        low, high = self.clip
        if low >= high:
            message = f"clip [{low:g}, {high:g}] is not in ascending order"
            raise ValueError(message)
        if self.kind in ("zscore", "percentile") and not 0 <= low < high <= 100:  # noqa: PLR2004
            message = f"clip [{low:g}, {high:g}] are percentiles for {self.kind}; they must be within 0 and 100"
            raise ValueError(message)
        return self


class SamplerBlock(Block):
    """Where windows are laid: anywhere with a label, or for a ``share`` of them around a voxel of a chosen class.

    ``balanced`` chooses the class evenly among those present, ``foreground`` evenly among all but the first. ``grid``
    takes windows that cover everything with an ``overlap``, each once an epoch, of those at least whose shares of
    ``labelled`` and ``foreground`` voxels are as large as that.
    """

    kind: Literal["uniform", "balanced", "foreground", "grid"] = "uniform"
    share: Annotated[Real, Field(gt=0, le=1)] = 0.5
    overlap: Fraction = 0.0
    labelled: Annotated[Real, Field(ge=0, le=1)] = 0.0
    foreground: Annotated[Real, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _of_a_grid(self) -> SamplerBlock:
        if self.kind != "grid" and (self.overlap or self.labelled or self.foreground):
            message = f"overlap, labelled and foreground are of the sampler grid; this is {self.kind}"
            raise ValueError(message)
        return self


class DataBlock(Block):
    """Where the data comes from and how windows are cut from it."""

    train: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    weights: tuple[Annotated[Real, Field(gt=0)], ...] = ()
    val: ValidationBlock = ValidationBlock()
    folds: NotNegative = 0
    fold: Positive | None = None
    normalise: NormaliseBlock = NormaliseBlock()
    window: Literal["auto", "small", "whole"] | Edges = "auto"
    neighbours: NotNegative = 0
    sampler: SamplerBlock = SamplerBlock()
    axes: Auto | str = "auto"
    ignore: tuple[Whole, ...] = (-1,)
    channels: Positive | None = None
    independent: bool = False
    lazy: Auto | bool = "auto"
    resample: tuple[Length, Length, Length] | None = None

    @field_validator("sampler", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("train", "labels", "unlabelled", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("window", mode="before")
    @classmethod
    def _square(cls, value: object) -> object:
        return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("ignore", mode="before")
    @classmethod
    def _one_id(cls, value: object) -> object:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("axes", mode="before")
    @classmethod
    def _joined(cls, value: object) -> object:
        return "".join(map(str, value)) if isinstance(value, (list, tuple)) else value

    @field_validator("axes")
    @classmethod
    def _known_axes(cls, value: str) -> str:
        if value != "auto" and (not value or set(value) - set("zyx") or len(set(value)) != len(value)):
            message = f"{value!r} is not auto or a choice of z, y and x such as 'zyx' or 'z'"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _pairs(self) -> DataBlock:
        if len(self.train) != len(self.labels):
            message = (
                f"{len(self.train)} volumes (train) but {len(self.labels)} label volumes (labels); give one for each"
            )
            raise ValueError(message)
        if self.weights and self.sampler.kind == "grid":
            message = "the sampler grid takes every window once; weights do not go with it"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _cross_validation(self) -> DataBlock:
        if self.folds == 1:
            message = "folds 1 would hold everything out; give 2 or more, or 0 for data.val.fraction"
        elif self.fold is not None and self.fold > self.folds:
            message = f"fold {self.fold} of folds {self.folds}; they are counted from 1"
        elif self.folds and (self.val.files or self.val.split != "slab"):
            message = "folds hold slabs or volumes out in turn; val.files and val.split do not go with them"
        else:
            return self
        raise ValueError(message)


class TeacherBlock(Block):
    """Mean teacher: on ``data.unlabelled`` the network must agree with the running average of its weights."""

    weight: Annotated[Real, Field(gt=0)] = 1.0
    rampup: Annotated[Real, Field(ge=0, le=1)] = 0.4
    noise: Annotated[Real, Field(ge=0)] = 0.1
    batch: Positive = 4


class TrainBlock(Block):
    """How the network is trained."""

    epochs: Positive = 20
    steps: Auto | Positive = "auto"
    batch: Positive = 4
    accumulate: Positive = 1
    lr: Auto | Annotated[Real, Field(gt=0)] = 2e-3
    encoder_lr: Annotated[Real, Field(gt=0, le=1)] = 1.0
    frozen_epochs: NotNegative = 0
    weight_decay: Annotated[Real, Field(ge=0)] = 1e-2
    optimizer: str = "AdamW"
    optimizer_options: dict[str, Any] = {}
    schedule: Literal["one-cycle", "cosine", "plateau", "constant"] = "one-cycle"
    warmup: Annotated[Real, Field(gt=0, lt=1)] = 0.3
    clip: Annotated[Real, Field(ge=0)] = 0.0
    ema: Fraction = 0.0
    teacher: TeacherBlock | None = None
    early_stop: NotNegative = 0
    precision: Literal["auto", "32", "16-mixed", "bf16-mixed"] = "auto"
    channels_last: Auto | bool = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Auto | NotNegative = "auto"
    seed: Whole = 0
    deterministic: bool = False

    @model_validator(mode="after")
    def _stages(self) -> TrainBlock:
        if self.frozen_epochs >= self.epochs:
            message = (
                f"frozen_epochs {self.frozen_epochs} leaves none of the {self.epochs} epochs for the whole network"
            )
            raise ValueError(message)
        if self.teacher is not None and not self.ema:
            message = "a teacher is the running average of the weights; set ema, for example 0.99"
            raise ValueError(message)
        return self

    @field_validator("precision", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class PredictBlock(Block):
    """How a volume is segmented."""

    quality: Literal["auto", "low", "medium", "high", "max", "legacy12"] = "auto"
    views: tuple[str, ...] = ()
    window: Auto | Edges = "auto"
    overlap: Fraction = 0.5
    blend: Literal["gaussian", "constant", "crop"] = "gaussian"
    batch: Auto | Positive = "auto"

    @field_validator("window", mode="before")
    @classmethod
    def _square(cls, value: object) -> object:
        return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("views")
    @classmethod
    def _known_views(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from volseg_core.volume.views import View

        if len({View.parse(name) for name in value}) != len(value):
            message = "the same view is named twice"
            raise ValueError(message)
        return value


class Header(Block):
    """The keys of a recipe that are neither blocks nor components, nor those of its heads."""

    name: str = ""
    summary: str = ""
    dims: Literal[2, 3] = 2
    made_with: dict[str, str] = {}


class HeadBlock(Block):
    """One result of the network: what kind it is, and its classes, or the names of its channels."""

    task: Literal["multiclass", "binary", "multilabel", "regression"] = "multiclass"
    classes: Auto | tuple[str, ...] | dict[str, Whole] = "auto"

    @field_validator("classes", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return tuple(map(str, value)) if isinstance(value, (list, tuple)) else value

    @model_validator(mode="after")
    def _enough(self) -> HeadBlock:
        count = 0 if self.classes == "auto" else len(self.classes)
        if self.classes == "auto" or self.task not in CLASS_TASKS:
            return self
        if count < 2 or (self.task == "binary" and count != 2):  # noqa: PLR2004
            message = f"task {self.task!r} with {count} classes; binary has two, multiclass two or more"
            raise ValueError(message)
        return self


class NamedHeadBlock(HeadBlock):
    """One of several heads: its losses count ``weight`` times in the sum of all."""

    weight: Annotated[Real, Field(ge=0)] = 1.0


BLOCKS: dict[str, type[Block]] = {"data": DataBlock, "train": TrainBlock, "predict": PredictBlock}
"""Blocks by their key in a recipe."""
