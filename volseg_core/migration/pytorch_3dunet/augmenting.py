"""The transforms of raw data as an augmentation and a rule of normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.migration.pytorch_3dunet.transforms import INTENSITIES, leave_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from volseg_core.migration.settings import Settings, Transfer

_STRENGTH = "strength and probability are those of the augmentation here, whose draws are new in every epoch"
_PROBABILITY = "execution_probability"
_PLANE = [[2, 1]]


def carry_augmentation(found: Mapping[str, Settings], transfer: Transfer, *, scaled: bool) -> None:
    """Carry what turns, bends and changes windows; steps that are not in the list are off.

    Those whose strengths have other units there, which are None here, keep that of the augmentation.
    """
    if not scaled and not any(name in found for name in (*_STEPS, *INTENSITIES)):
        transfer.carry("data.augment", "none", "no transform of the training is random")
        return
    options: dict[str, Any] = {"use": "standard", **_OFF}
    for name, step in _STEPS.items():
        if name in found:
            options |= step(found[name])
            found[name].leave_the_rest(_IGNORED, f"{name} has no such parameter, here or there")
    options["scale"] = None if scaled else 0.0
    chosen = {name: value for name, value in options.items() if value is not None}
    transfer.carry("data.augment", chosen, f"the random transforms of the training: {_STRENGTH}")


def plane_turns(found: Mapping[str, Settings]) -> bool:
    """Whether volumes are turned about z alone."""
    turned = found.get("RandomRotate")
    return turned is None or turned.take("axes") in (_PLANE, [(2, 1)], [[1, 2]])


def _flip(settings: Settings) -> dict[str, Any]:
    settings.leave("axis_prob", "each axis is mirrored with probability 1/2")
    return {"flip": True}


def _quarter_turns(_: Settings) -> dict[str, Any]:
    return {"rotate90": True}


def _turn(settings: Settings) -> dict[str, Any]:
    settings.take("axes")
    settings.leave(("mode", "order"), "windows are interpolated linearly, labels by the nearest voxel, edges mirrored")
    angle = settings.number("angle_spectrum", lambda value: 0 <= value <= 180)  # noqa: PLR2004  (a half turn)
    return {"rotate": 30.0 if angle is None else angle}


def _elastic(settings: Settings) -> dict[str, Any]:
    settings.leave(("alpha", "sigma", "spline_order", "apply_3d"), "the warp here is by about 2 voxels")
    return {"elastic": _probability(settings)}


def _contrast(settings: Settings) -> dict[str, Any]:
    settings.leave(("mean", _PROBABILITY), _STRENGTH)
    return {"contrast": _spread(settings, "alpha")}


def _gamma(settings: Settings) -> dict[str, Any]:
    settings.leave(_PROBABILITY, _STRENGTH)
    return {"gamma": _spread(settings, "gamma")}


def _noise(settings: Settings) -> dict[str, Any]:
    settings.leave(("scale", "lam", _PROBABILITY), _STRENGTH)
    return {"noise": None}


def _blur(settings: Settings) -> dict[str, Any]:
    settings.leave("sigma", "the blur here is by 0.5 to 1.2 voxels")
    return {"blur": _probability(settings, 0.5)}


def _probability(settings: Settings, default: float = 0.1) -> float:
    value = settings.number(_PROBABILITY, lambda number: 0 <= number <= 1)
    return default if value is None else value


def _spread(settings: Settings, key: str) -> float:
    """Return by how much a factor drawn from a range departs from 1."""
    value = settings.take(key)
    if value is None:
        return 0.5
    try:
        low, high = map(float, value)
    except (TypeError, ValueError):
        settings.leave(key, f"the value {value!r} is not understood")
        return 0.5
    return round(min(max(high - 1, 1 - low, 0.0), 1.0), 6)


_STEPS = {
    "RandomFlip": _flip,
    "RandomRotate90": _quarter_turns,
    "RandomRotate": _turn,
    "ElasticDeformation": _elastic,
    "RandomContrast": _contrast,
    "RandomGammaCorrection": _gamma,
    "AdditiveGaussianNoise": _noise,
    "AdditivePoissonNoise": _noise,
    "GaussianBlur3D": _blur,
}
_OFF = {
    "flip": False, "rotate90": False, "rotate": 0.0, "elastic": 0.0,
    "brightness": 0.0, "contrast": 0.0, "gamma": 0.0, "noise": 0.0, "blur": 0.0,
}  # fmt: skip
_IGNORED = {"random_state": "it is drawn anew for every window"}


def carry_normalisation(found: Mapping[str, Settings], transfer: Transfer, *, whole: bool) -> None:
    """Carry the rule of normalisation that decides; ``whole``: its statistics are those of the volume there too."""
    there = "of the whole volume, as with global_normalization" if whole else "of the whole volume, there of each patch"
    chosen = _deciding(found)
    if chosen is None:
        transfer.carry("data.normalise", {"kind": "none", "clip": [0, 100]}, "no transform normalises")
        return
    for name in found:
        if name in _RULES and name != chosen:
            leave_whole(found[name], transfer, f"intensities are normalised once, as {chosen} does")
    value, note = _RULES[chosen](found[chosen])
    transfer.carry("data.normalise", value, f"{chosen}{note}: statistics {there}, and each channel has its own")
    found[chosen].leave(("eps", "channelwise"), "each channel has its own statistics")
    found[chosen].leave_the_rest({}, f"{chosen} has no such parameter, here or there")


def _deciding(found: Mapping[str, Settings]) -> str | None:
    """Return the last rule of a list, which rescales what those before it made, or None.

    Limits that Normalize gives to what another rule made are none of the raw data: that other rule decides then.
    """
    rules = [name for name in found if name in _RULES]
    if len(rules) > 1 and rules[-1] == "Normalize":
        limits = [found["Normalize"].take(key) for key in ("min_value", "max_value")]
        return rules[-2] if limits != [None, None] else rules[-1]
    return rules[-1] if rules else None


def _standardise(settings: Settings) -> tuple[dict[str, Any], str]:
    settings.leave(("mean", "std"), "mean and standard deviation are those of each volume")
    return {"kind": "zscore", "clip": [0, 100]}, ", nothing clipped"


def _percentiles(settings: Settings) -> tuple[dict[str, Any], str]:
    low = settings.number("pmin", lambda value: 0 <= value < 100)  # noqa: PLR2004
    high = settings.number("pmax", lambda value: 0 < value <= 100)  # noqa: PLR2004
    clip = [1.0 if low is None else low, 99.6 if high is None else high]
    return {"kind": "percentile", "clip": clip}, ", clipped to [0, 1] here"


def _range(settings: Settings) -> tuple[dict[str, Any], str]:
    low, high, unit = settings.number("min_value"), settings.number("max_value"), settings.flag("norm01")
    if low is not None and high is not None and low < high:
        note = ", to [-1, 1], there to [0, 1] (norm01)" if unit else ", to [-1, 1]"
        return {"kind": "range", "clip": [low, high]}, note
    note = ", between the extremes to [0, 1]" + ("" if unit else ", there to [-1, 1]")
    return {"kind": "percentile", "clip": [0, 100]}, note


_RULES = {"Standardize": _standardise, "PercentileNormalizer": _percentiles, "Normalize": _range}
