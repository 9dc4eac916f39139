"""``volseg doctor``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from volseg_core.cli.context import json_flag, print_json, registry_of

if TYPE_CHECKING:
    from volseg_core.errors import ExitCode
    from volseg_core.registry import Registry


@click.command(epilog="Example: volseg doctor --data crop.h5 --labels crop_labels.h5")
@click.option("--data", metavar="FILE[:/PATH]", multiple=True, help="A volume to check. Repeatable.")
@click.option("--labels", metavar="FILE[:/PATH]", multiple=True, help="Its labels, in the order of --data.")
@click.option("--gpu", is_flag=True, help="Without a GPU that every installed runtime can use, exit with 5.")
@json_flag
@click.pass_context
def doctor(ctx: click.Context, data: tuple[str, ...], labels: tuple[str, ...], gpu: bool, as_json: bool) -> None:
    """Check machine, libraries and plugins, or with --data what ruins a training.

    The exit code is 3 when a plugin does not load, 5 when a GPU or /dev/shm cannot be used as it should, and 4 when
    data cannot be trained on as it is.
    """
    from volseg_core.errors import ExitCode

    registry = registry_of(ctx, warn=bool(data))
    if data or labels:
        if not _check_data(registry, data, labels, as_json=as_json):
            ctx.exit(int(ExitCode.DATA))
        return
    code = _check_installation(registry, gpu=gpu, as_json=as_json)
    if code:
        ctx.exit(int(code))


def _check_installation(registry: Registry, *, gpu: bool, as_json: bool) -> ExitCode:
    """Print facts and problems, and return the exit code of the worst problem."""
    from volseg_core.advice import installation
    from volseg_core.errors import ExitCode

    facts = installation.look(registry)
    found = installation.problems(facts, gpu=gpu)
    if as_json:
        print_json({**facts, "problems": [{"what": item.what, "hint": item.hint} for item in found]})
    else:
        _print_facts(facts)
        for item in found:
            click.echo(f"PROBLEM {item.what}. {item.hint}")
    return max((item.code for item in found), default=ExitCode.DONE)


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


def _print_facts(facts: dict[str, Any]) -> None:
    """Print facts by group, a line each."""
    machine, driver, torch = facts["machine"], facts["driver"], facts["torch"]
    counts = Counter(plugin["status"] for plugin in facts["plugins"].values())
    quota = "" if machine["cpu_quota"] is None else f" (quota {machine['cpu_quota']:g})"
    rows = {
        **{key: facts[key] for key in ("volseg", "python", "system")},
        "cpus": f"{machine['cpus']}{quota}, threads {machine['threads']}",
        "memory": _free(machine["memory"]),
        "shared memory": _free(machine["shared_memory"]),
        **{name: version or "not installed" for name, version in facts["libraries"].items()},
        **_driver(driver),
        "torch on a gpu": _torch(torch),
        **{f"onnxruntime, {device}": state for device, state in facts["onnxruntime"].items()},
        "registry": facts["registry"] or "none",
        "plugins": ", ".join(f"{count} {status}" for status, count in counts.items()),
    }
    for key, value in rows.items():
        click.echo(f"{key:28s} {value}")


def _driver(driver: dict[str, Any] | None) -> dict[str, str]:
    if driver is None:
        return {"gpu driver": "none"}
    gpus = {
        f"gpu {number}": f"{gpu['name']}, {gpu['memory'] / 1e9:.1f} GB" for number, gpu in enumerate(driver["gpus"])
    }
    return {"gpu driver": f"{driver['version'] or 'found'}, runs CUDA {driver['cuda']} at most", **gpus}


def _free(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 1e9:.1f} GB free"


def _torch(torch: dict[str, Any] | None) -> str:
    if torch is None:
        return "torch is not installed"
    built = f"built for CUDA {torch['cuda']}" if torch["cuda"] else "built without CUDA"
    return f"{built}, sees {torch['gpus'] or 'none'}"
