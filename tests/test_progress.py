from __future__ import annotations

import io
import sys
from typing import Never

import pytest
from rich.console import Console

from volseg_core.progress import Bars, Lines, Silent, display, duration


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines() -> tuple[Lines, Clock, io.StringIO]:
    stream, clock = io.StringIO(), Clock()
    return Lines(stream, clock=clock), clock, stream


def test_lines_say_rate_and_remaining_time(lines: tuple[Lines, Clock, io.StringIO]) -> None:
    shown, clock, stream = lines
    with shown.task("training", 100, "steps") as task:
        task.advance(10)
        assert stream.getvalue() == ""
        clock.now += 10
        task.advance(10, "loss 0.5")
        assert stream.getvalue() == "training: 20/100 steps, 2 steps/s, 40 s left, loss 0.5\n"
        clock.now += 5
        task.advance(80)
    assert stream.getvalue().splitlines()[1:] == ["training: 100/100 steps, 6.67 steps/s, took 15 s, loss 0.5"]


def test_work_that_ends_early_says_how_long_it_took(lines: tuple[Lines, Clock, io.StringIO]) -> None:
    shown, clock, stream = lines
    with shown.task("predicting", 100, "slices") as task:
        clock.now += 4
        task.advance(2)
    assert stream.getvalue() == "predicting: 2/100 slices, 0.5 slices/s, took 4 s\n"


def test_what_an_earlier_run_did_does_not_count_as_speed(lines: tuple[Lines, Clock, io.StringIO]) -> None:
    shown, clock, stream = lines
    with shown.task("training", 1000, "steps", done=900) as task:
        clock.now += 10
        task.advance(10)
        assert stream.getvalue() == "training: 910/1000 steps, 1 steps/s, 1 min 30 s left\n"


def test_work_that_fails_or_does_nothing_prints_no_line_of_success(lines: tuple[Lines, Clock, io.StringIO]) -> Never:
    shown, _, stream = lines
    with shown.task("nothing", 3, "steps"):
        pass
    with pytest.raises(ZeroDivisionError), shown.task("failing", 3, "steps") as task:
        task.advance(1 // 0)
    assert stream.getvalue() == ""


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(every=0).task("reading", 2, "planes") as task:
        task.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("reading: 1/2 planes, ")


def test_silence_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Silent().task("training", 3, "steps") as task:
        task.advance(2, "loss 1")
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_count_rate_and_note() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with Bars(console).task("training", 8, "steps", done=2) as task:
        for _ in range(3):
            task.advance(2, "loss 0.25")
    text = stream.getvalue()
    assert "training" in text
    assert "8/8" in text
    assert "loss 0.25" in text
    assert "steps/s" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (127, "2 min 07 s"), (11100, "3 h 05 min")]
)
def test_durations_are_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_display_suits_where_the_output_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(display(quiet=True), Silent)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(display(quiet=False), Lines)
