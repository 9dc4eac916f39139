"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich import progress as rich_progress
    from rich.console import Console

_LINE_EVERY = 10.0


class Task(Protocol):
    """One piece of work whose end is known."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count ``amount`` more units; ``note`` says what the work is at."""


class Progress(Protocol):
    """Shows tasks."""

    def task(self, name: str, total: int, unit: str, *, done: int = 0) -> AbstractContextManager[Task]:
        """Show a task while the context lasts; ``done`` units of it were finished by an earlier run."""


class Silent:
    """Shows nothing: the default in Python."""

    @contextmanager
    def task(self, name: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:  # noqa: ARG002
        """Count for nobody."""
        yield _Nothing()


class _Nothing:
    def advance(self, amount: int = 1, note: str = "") -> None:
        """Ignore."""


class Lines:
    """Prints a line every ``every`` seconds and one at the end: for logs and job files.

    ``stream`` is standard error unless given; ``clock`` returns seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, every: float = _LINE_EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stream, self.every, self.clock = stream, every, clock

    @contextmanager
    def task(self, name: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        """Print lines with rate and remaining time."""
        task = _LineTask(self, name, total, unit, done)
        yield task
        task.finish()


class _LineTask:
    def __init__(self, display: Lines, name: str, total: int, unit: str, done: int) -> None:
        self.display, self.name, self.total, self.unit = display, name, total, unit
        self.before, self.done, self.note = done, done, ""
        self.start = self.printed = display.clock()

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
        self.note = note or self.note
        if self.display.clock() - self.printed >= self.display.every:
            self._print(ended=False)

    def finish(self) -> None:
        if self.done > self.before:
            self._print(ended=True)

    def _print(self, *, ended: bool) -> None:
        self.printed = self.display.clock()
        elapsed = max(self.printed - self.start, 1e-9)
        rate = (self.done - self.before) / elapsed
        parts = [f"{self.name}: {self.done}/{self.total} {self.unit}", f"{rate:.3g} {self.unit}/s"]
        if ended:
            parts.append(f"took {duration(elapsed)}")
        elif rate:
            parts.append(f"{duration(max(0, self.total - self.done) / rate)} left")
        print(", ".join([*parts, *filter(None, [self.note])]), file=self.display.stream or sys.stderr, flush=True)


class Bars:
    """A bar with rate and remaining time, by rich, on standard error unless a console is given."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console

    @contextmanager
    def task(self, name: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        """Draw a bar."""
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn(unit),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[note]}"),
        )
        with progress.Progress(*columns, console=self.console or Console(stderr=True)) as bar:
            yield _BarTask(bar, bar.add_task(name, total=total, completed=done, note="", rate=""), unit)


class _BarTask:
    def __init__(self, bar: rich_progress.Progress, identity: rich_progress.TaskID, unit: str) -> None:
        self.bar, self.identity, self.unit, self.note = bar, identity, unit, ""

    def advance(self, amount: int = 1, note: str = "") -> None:
        speed = self.bar.tasks[0].speed
        self.note = note or self.note
        self.bar.update(
            self.identity, advance=amount, rate=f"{speed:.3g} {self.unit}/s" if speed else "", note=self.note
        )


def duration(seconds: float) -> str:
    """Return seconds in words: ``3 h 05 min``, ``2 min 07 s`` or ``12 s``."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def display(*, quiet: bool) -> Silent | Lines | Bars:
    """Return the display that suits the command line: a bar on a terminal, lines elsewhere."""
    if quiet:
        return Silent()
    return Bars() if sys.stderr.isatty() else Lines()
