"""``volseg doctor``."""

from __future__ import annotations

from typing import Any

import click

from volseg_core.cli.context import json_flag, print_json, registry_of


@click.command(epilog="Example: volseg doctor --json")
@json_flag
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check machine, libraries and plugins; the exit code is 3 when a plugin does not load, else 0."""
    import sys

    from volseg_core import machine, provenance
    from volseg_core.errors import ExitCode

    registry = registry_of(ctx, warn=False)
    failed = registry.plugins.failed()
    facts: dict[str, Any] = {
        "volseg": provenance.own_version(),
        "python": sys.version.split()[0],
        "cpus": machine.cpu_count(),
        "threads": machine.thread_count(),
        "memory": _gigabytes(machine.memory_available()),
        "shared memory": _gigabytes(machine.shared_memory()),
        **{name: provenance.installed_version(name) or "not installed" for name in provenance.LIBRARIES},
        "gpu": _gpu(),
        "registry": str(registry.file.path or "none"),
        "plugins": f"{len(registry.plugins.records)} found, {len(failed)} not loaded",
        **{f"plugin {record.id}": f"{record.status}: {record.reason}" for record in failed},
    }
    if as_json:
        print_json(facts)
    else:
        for key, value in facts.items():
            click.echo(f"{key:28s} {value}")
    if failed:
        ctx.exit(int(ExitCode.PLUGIN))


def _gigabytes(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 1e9:.1f} GB free"


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return f"none seen by torch (built for CUDA {torch.version.cuda})" if torch.version.cuda else "torch without CUDA"
