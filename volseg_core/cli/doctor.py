"""``volseg doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from volseg_core.cli.context import json_flag, print_json, registry_of

if TYPE_CHECKING:
    from volseg_core.registry import Registry


@click.command(epilog="Example: volseg doctor --data crop.h5 --labels crop_labels.h5")
@click.option("--data", metavar="FILE[:/PATH]", multiple=True, help="A volume to check. Repeatable.")
@click.option("--labels", metavar="FILE[:/PATH]", multiple=True, help="Its labels, in the order of --data.")
@json_flag
@click.pass_context
def doctor(ctx: click.Context, data: tuple[str, ...], labels: tuple[str, ...], as_json: bool) -> None:
    """Check machine, libraries and plugins, or with --data what ruins a training.

    The exit code is 3 when a plugin does not load, and 4 when data cannot be trained on as it is.
    """
    from volseg_core.errors import ExitCode

    registry = registry_of(ctx, warn=bool(data))
    if data or labels:
        if not _check_data(registry, data, labels, as_json=as_json):
            ctx.exit(int(ExitCode.DATA))
        return
    facts = _machine(registry)
    if as_json:
        print_json(facts)
    else:
        for key, value in facts.items():
            click.echo(f"{key:28s} {value}")
    if registry.plugins.failed():
        ctx.exit(int(ExitCode.PLUGIN))


def _check_data(registry: Registry, data: tuple[str, ...], labels: tuple[str, ...], *, as_json: bool) -> bool:
    """Print the findings of each pair and return whether none is fatal."""
    from volseg_core.errors import UsageError

    if labels and len(data) != len(labels):
        what = f"{len(data)} volumes but {len(labels)} label volumes"
        raise UsageError("data", what, "Give --labels for each --data, or for none.")

    from volseg_core import operations

    pairs = list(zip(data, labels or (None,) * len(data), strict=True))
    found = [operations.check(item, label, registry=registry) for item, label in pairs]
    if as_json:
        print_json(
            [
                {"data": item, "labels": label, "findings": [finding.to_dict() for finding in findings]}
                for (item, label), findings in zip(pairs, found, strict=True)
            ]
        )
    else:
        for (item, label), findings in zip(pairs, found, strict=True):
            if len(found) > 1:
                click.echo(f"{item} with {label}" if label else item)
            for finding in findings:
                click.echo(finding.line())
    return all(finding.level != "fatal" for findings in found for finding in findings)


def _machine(registry: Registry) -> dict[str, Any]:
    import sys

    from volseg_core import accelerators, machine, provenance

    failed = registry.plugins.failed()
    return {
        "volseg": provenance.own_version(),
        "python": sys.version.split()[0],
        "cpus": machine.cpu_count(),
        "threads": machine.thread_count(),
        "memory": _gigabytes(machine.memory_available()),
        "shared memory": _gigabytes(machine.shared_memory()),
        **{name: provenance.installed_version(name) or "not installed" for name in provenance.LIBRARIES},
        "gpu": _gpu(),
        "onnxruntime on a gpu": accelerators.describe_cuda_provider(),
        "registry": str(registry.file.path or "none"),
        "plugins": f"{len(registry.plugins.records)} found, {len(failed)} not loaded",
        **{f"plugin {record.id}": f"{record.status}: {record.reason}" for record in failed},
    }


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
