"""Another tool's side of `predict3d.py`, executed by the Python of its own environment; prints one line of JSON.

What is not the tools' own code: files are read and written with h5py for MONAI, whose sliding window works on arrays;
the network is a sigmoid where ``--network sigmoid`` says so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from peer_run import Meter

NETWORK = {"in_channels": 1, "out_channels": 1, "f_maps": 16, "num_levels": 4, "layer_order": "gcr"}


def network(path: str) -> Any:
    """Return pytorch-3dunet's U-Net with weights of a file, or a sigmoid. Both give probabilities."""
    import torch

    if path == "sigmoid":
        return torch.nn.Sigmoid()
    from pytorch3dunet.unet3d.model import UNet3D

    built = UNet3D(**NETWORK, final_sigmoid=True)
    built.load_state_dict(torch.load(path, weights_only=True))
    return built.eval()


def unet3d(arguments: argparse.Namespace, volume: Path, output: Path) -> None:
    """Predict a file into a folder with the standard predictor, its data loader in this process."""
    from pytorch3dunet.datasets.utils import get_test_loaders
    from pytorch3dunet.unet3d.config import TorchDevice
    from pytorch3dunet.unet3d.predictor import StandardPredictor

    stride = [int(edge * (1 - arguments.overlap)) for edge in arguments.window]
    slices = {"name": "SliceBuilder", "patch_shape": arguments.window, "stride_shape": stride}
    slices |= {"halo_shape": arguments.halo}
    raw = [{"name": "Standardize"}, {"name": "ToTensor", "expand_dims": True}]
    test = {"file_paths": [str(volume)], "slice_builder": slices, "transformer": {"raw": raw}}
    loaders = {"dataset": "StandardHDF5Dataset", "batch_size": 1, "num_workers": 0, "raw_internal_path": "data"}
    loaders |= {"global_normalization": True, "test": test}
    predictor = StandardPredictor(
        network(arguments.network), str(output), 1, TorchDevice.CPU, save_segmentation=arguments.labels
    )
    for loader in get_test_loaders({"loaders": loaders, "device": TorchDevice.CPU}):
        predictor(loader)


def monai(arguments: argparse.Namespace, volume: Path, output: Path) -> None:
    """Predict a file into a file with the sliding window inferer."""
    import h5py
    import numpy as np
    import torch
    from monai.inferers import sliding_window_inference

    with h5py.File(volume) as file:
        data = file["data"][()]
    image = torch.from_numpy(((data - data.mean()) / data.std()).astype(np.float32))[None, None]
    with torch.inference_mode():
        found = sliding_window_inference(
            image, arguments.window, arguments.batch, network(arguments.network), arguments.overlap, mode="gaussian"
        )
    found = (found[0, 0] > 0.5).to(torch.uint8) if arguments.labels else found[0]
    with h5py.File(output / "found.h5", "w") as file:
        file.create_dataset("predictions", data=found.numpy(), compression="gzip")


TOOLS = {"pytorch-3dunet": unet3d, "monai": monai}


def main() -> None:
    """Make a small prediction that imports everything, then the measured one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=list(TOOLS))
    parser.add_argument("volume", type=Path)
    parser.add_argument("--network", default="sigmoid", help="state_dict of a U-Net, or sigmoid")
    parser.add_argument("--window", type=int, nargs=3, default=(32, 64, 64))
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--halo", type=int, nargs=3, default=(0, 0, 0))
    parser.add_argument("--batch", type=int, default=1, help="windows at once, of MONAI")
    parser.add_argument("--labels", action="store_true", help="write labels instead of probabilities")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    import h5py
    import numpy as np
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(None):
        folder = Path(name)
        with h5py.File(folder / "small.h5", "w") as file:
            file["data"] = np.random.default_rng(0).integers(0, 256, (32, 64, 64), dtype=np.uint8)
        TOOLS[arguments.tool](arguments, folder / "small.h5", folder)
        meter = Meter()
        with meter:
            TOOLS[arguments.tool](arguments, arguments.volume, folder)
    print(json.dumps(meter.figures))


if __name__ == "__main__":
    main()
