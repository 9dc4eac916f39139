"""Which networks leave as ONNX, by which exporter, how exactly, how large and how fast: a table in Markdown.

    OMP_NUM_THREADS=1 python benchmarks/onnx_matrix.py --rows onnx.jsonl [--exporter legacy dynamo] [--only unet]

Every architecture with every encoder below, weights random, exported by `volseg export`, which compares the logits of
file and network at three input shapes. Each pair runs in a process of its own; finished rows are kept. ``free`` are the
dimensions of the input that stay free, ``difference`` is the largest one of the shapes relative to the largest logit,
``agreement`` the smallest share of equal labels.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ARCHITECTURES = (
    "unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "deeplabv3", "deeplabv3plus", "pan", "upernet",
    "segformer",
)  # fmt: skip
ENCODERS = (
    "tu-tf_efficientnet_lite0", "resnet34", "tu-efficientnet_lite0", "resnext50_32x4d", "mit_b0", "tu-convnext_atto",
)  # fmt: skip
ALONE = (("dpt", "tu-vit_tiny_patch16_224"),)
LIMIT = 1800


def main() -> None:
    """Export what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=Path("onnx.jsonl"))
    parser.add_argument("--exporter", nargs="+", choices=["legacy", "dynamo"], default=["legacy", "dynamo"])
    parser.add_argument("--only", help="architectures whose name holds this")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(exported(*arguments.one)))
        return
    lines = arguments.rows.read_text().splitlines() if arguments.rows.exists() else []
    rows = {tuple(row["key"]): row for row in map(json.loads, lines)}
    pairs = [(architecture, encoder) for architecture in ARCHITECTURES for encoder in ENCODERS] + list(ALONE)
    for exporter in arguments.exporter:
        for pair in pairs:
            key = (*pair, exporter)
            if key not in rows and (arguments.only or "") in pair[0]:
                rows[key] = separately(key)
                with arguments.rows.open("a") as file:
                    file.write(json.dumps(rows[key]) + "\n")
    show(rows)


def separately(key: tuple[str, str, str]) -> dict[str, Any]:
    """Return the row that a process of its own gives."""
    try:
        command = [sys.executable, __file__, "--one", *key]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
        row = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        row = {"failed": f"not done after {LIMIT} s"}
    except (IndexError, ValueError):
        row = {"failed": (done.stderr.splitlines() or ["no output"])[-1]}
    return {"key": key, **row}


def exported(architecture: str, encoder: str, exporter: str) -> dict[str, Any]:
    """Return what the export of a pair gave."""
    from random_model import write_random_model

    from volseg_core.errors import VolsegError
    from volseg_core.operations import export
    from volseg_core.registry import load_registry

    registry = load_registry(builtin_only=True)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "weights.safetensors"
        try:
            model = write_random_model(registry, path, encoder, 3, architecture)
            done = export(model, output=Path(name) / "m.onnx", exporter=exporter, registry=registry)
        except VolsegError as error:
            return {"failed": " | ".join([error.what, *error.notes])}
        return {
            "free": list(done.attempt.free),
            "difference": max(item.difference for item in done.parity),
            "agreement": min(item.agreement for item in done.parity),
            "mb": done.path.stat().st_size / 1e6,
            "seconds": done.seconds,
            "narrowed": list(done.failed),
        }


def show(rows: dict[tuple[str, ...], dict[str, Any]]) -> None:
    """Print all rows, best known first by architecture."""
    print("| architecture | encoder | exporter | free | difference | agreement | MB | s |")
    print("|---|---|---|---|---|---|---|---|")
    for key, row in sorted(rows.items()):
        start = f"| {' | '.join(key)} |"
        if "failed" in row:
            print(f"{start} FAILED: {row['failed'][:160].replace('|', '/')} | | | | |")
            continue
        figures = f"{row['difference']:.0e} | {row['agreement']:.5f} | {row['mb']:.0f} | {row['seconds']:.0f}"
        print(f"{start} {', '.join(row['free']) or 'none'} | {figures} |")


if __name__ == "__main__":
    main()
