"""Strengths in which ``light`` and ``strong`` differ from ``standard``; standard library only."""

from __future__ import annotations

LIGHT: dict[str, float] = {
    "scale": 0.0,
    "rotate": 0.0,
    "elastic": 0.0,
    "brightness": 0.1,
    "contrast": 0.1,
    "gamma": 0.0,
    "noise": 0.0,
    "shot": 0.0,
    "blur": 0.0,
}
STRONG: dict[str, float] = {
    "scale": 0.25,
    "rotate": 45.0,
    "elastic": 0.4,
    "brightness": 0.25,
    "contrast": 0.3,
    "gamma": 0.5,
    "noise": 0.08,
    "shot": 0.04,
    "blur": 0.25,
    "p": 0.7,
}
