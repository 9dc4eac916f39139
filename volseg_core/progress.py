"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

_LINE_EVERY = 10.0


class Task(Protocol):
    """One piece of work whose end is known."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count ``amount`` more units; ``note`` says what the work is at."""


class Progress(Protocol):
    """Shows tasks."""

    def task(self, name: str, total: int, unit: str) -> AbstractContextManager[Task]:
        """Show a task while the context lasts."""


class Silent:
    """Shows nothing: the default in Python."""

    @contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Task]:  # noqa: ARG002
        """Count for nobody."""
        yield _Nothing()


class _Nothing:
    def advance(self, amount: int = 1, note: str = "") -> None:
        """Ignore."""


class Lines:
    """Prints a line every ten seconds and one at the end: for logs and job files."""

    @contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Task]:
        """Print lines to standard error."""
        task = _LineTask(name, total, unit)
        yield task
        task.finish()


class _LineTask:
    def __init__(self, name: str, total: int, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done, self.note = 0, ""
        self.start = self.printed = time.monotonic()

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
        self.note = note or self.note
        if time.monotonic() - self.printed >= _LINE_EVERY:
            self._print()

    def finish(self) -> None:
        if self.done:
            self._print()

    def _print(self) -> None:
        self.printed = time.monotonic()
        elapsed = max(self.printed - self.start, 1e-9)
        rate = self.done / elapsed
        left = (self.total - self.done) / rate if rate else 0
        tail = f", {_duration(left)} left" if self.done < self.total else f", took {_duration(elapsed)}"
        note = f", {self.note}" if self.note else ""
        line = f"{self.name}: {self.done}/{self.total} {self.unit}, {rate:.3g} {self.unit}/s{tail}{note}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201  (this is the progress display)


class Bars:
    """A bar with rate and remaining time, by rich."""

    @contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Task]:
        """Draw a bar on standard error."""
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
        with progress.Progress(*columns, console=Console(stderr=True)) as bar:
            yield _BarTask(bar, bar.add_task(name, total=total, note="", rate=""), unit)


class _BarTask:
    def __init__(self, bar: object, identity: object, unit: str) -> None:
        self.bar, self.identity, self.unit = bar, identity, unit

    def advance(self, amount: int = 1, note: str = "") -> None:
        from rich.progress import Progress as RichProgress

        assert isinstance(self.bar, RichProgress)  # noqa: S101
        task = self.bar.tasks[0]
        rate = f"{task.speed:.3g} {self.unit}/s" if task.speed else ""
        self.bar.update(task.id, advance=amount, rate=rate, note=note or task.fields["note"])


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def display(*, quiet: bool) -> Silent | Lines | Bars:
    """Return the display that suits the command line: a bar on a terminal, lines elsewhere."""
    if quiet:
        return Silent()
    return Bars() if sys.stderr.isatty() else Lines()
