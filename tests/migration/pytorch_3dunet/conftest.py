"""Configurations with the keys and values of those that pytorch-3dunet ships, and checkpoints as it writes them."""

from __future__ import annotations

import os
from pathlib import Path
from string import Template
from typing import Any

import pytest

from volseg_core.migration.settings import Settings, Transfer

MODEL = """
model: {name: $name, in_channels: 1, out_channels: $channels, layer_order: gcr, f_maps: 32, num_groups: 8,
        final_sigmoid: $sigmoid}
"""
LOSS = """
loss: {name: $loss, ignore_index: null, skip_last_target: true $loss_keys}
optimizer: {learning_rate: 0.0002, weight_decay: 0.00001}
eval_metric: {name: BoundaryAdaptedRandError, threshold: 0.4, use_last_target: true, use_first_input: true}
lr_scheduler: {name: ReduceLROnPlateau, mode: min, factor: 0.5, patience: 30}
trainer: {eval_score_higher_is_better: False, checkpoint_dir: CHECKPOINT_DIR, resume: null, validate_after_iters: 1000,
          log_after_iters: 500, $length}
"""
OLD, NEW = "epochs: 1000, iters: 150000", "pre_trained: null, max_num_epochs: 1000, max_num_iterations: 150000"
TURNS = """        - name: RandomFlip
        - name: RandomRotate90
        - {name: RandomRotate, axes: [[2, 1]], angle_spectrum: 45, mode: reflect}
        - {name: ElasticDeformation, spline_order: 3}
"""
LOADERS = f"""
loaders:
  num_workers: 8
$more
  raw_internal_path: /raw
  label_internal_path: /label
  train:
    file_paths: [PATH_TO_TRAIN_DIR]
    slice_builder: {{name: FilterSliceBuilder, patch_shape: $patch, stride_shape: [20, 40, 40], threshold: 0.6,
                    slack_acceptance: 0.01}}
    transformer:
      raw:
        - name: Standardize
{TURNS}        - {{name: GaussianBlur3D, execution_probability: 0.5}}
        - {{name: AdditiveGaussianNoise, execution_probability: 0.2}}
        - {{name: AdditivePoissonNoise, execution_probability: 0.2}}
        - {{name: ToTensor, expand_dims: true}}
      label:
{TURNS}        - {{name: StandardLabelToBoundary, append_label: true}}
        - {{name: ToTensor, expand_dims: false}}
$weights
  val:
    file_paths: [PATH_TO_VAL_DIR]
    slice_builder: {{name: FilterSliceBuilder, patch_shape: $patch, stride_shape: $patch, threshold: 0.6,
                    slack_acceptance: 0.01}}
    transformer:
      raw:
        - name: Standardize
        - {{name: ToTensor, expand_dims: true}}
      label:
        - {{name: StandardLabelToBoundary, append_label: true}}
        - {{name: ToTensor, expand_dims: false}}
"""
WEIGHTS = f"      weight:\n{TURNS}        - {{name: ToTensor, expand_dims: false}}\n"
MULTICLASS = """
manual_seed: 0
model: {name: $name, in_channels: 3, out_channels: 2, layer_order: gcr, f_maps: 16, num_groups: 4,
        final_sigmoid: false, is_segmentation: true}
trainer: {checkpoint_dir: 3dunet, resume: null, validate_after_iters: 2, log_after_iters: 2, epochs: 1, iters: 2,
          eval_score_higher_is_better: True}
optimizer: {learning_rate: 0.0002, weight_decay: 0.00001}
loss: {name: CrossEntropyLoss}
eval_metric: {name: MeanIoU, ignore_index: null}
lr_scheduler: {name: MultiStepLR, milestones: [2, 3], gamma: 0.5}
loaders:
  dataset: StandardHDF5Dataset
  batch_size: 1
  num_workers: 4
  raw_internal_path: raw
  label_internal_path: label
  weight_internal_path: null
  train:
    file_paths: ['a.h5']
    slice_builder: {name: SliceBuilder, patch_shape: $patch, stride_shape: $patch, skip_shape_check: true}
    transformer:
      raw: [{name: Standardize}, {name: ToTensor, expand_dims: true}]
      label: [{name: ToTensor, expand_dims: false, dtype: long}]
      weight: [{name: ToTensor, expand_dims: false}]
  val:
    file_paths: ['b.h5']
    slice_builder: {name: SliceBuilder, patch_shape: $patch, stride_shape: $patch, skip_shape_check: true}
    transformer:
      raw: [{name: Standardize}, {name: ToTensor, expand_dims: true}]
      label: [{name: ToTensor, expand_dims: false, dtype: long}]
      weight: [{name: ToTensor, expand_dims: false}]
"""
NUCLEI_MODEL = """
model: {name: UNet2D, in_channels: 1, out_channels: 1, layer_order: gcr, num_groups: 8, f_maps: [32, 64, 128],
        final_sigmoid: true, is_segmentation: true}
"""
NUCLEI = f"""
manual_seed: 0
{NUCLEI_MODEL}
trainer: {{checkpoint_dir: /data/dsb, resume: null, validate_after_iters: 250, log_after_iters: 250, epochs: 10000,
          iters: 150000, eval_score_higher_is_better: True}}
optimizer: {{learning_rate: 0.0002, weight_decay: 0.00001}}
loss: {{name: BCEDiceLoss, skip_last_target: true}}
eval_metric: {{name: BlobsAveragePrecision, use_last_target: true, metric: 'ap'}}
lr_scheduler: {{name: ReduceLROnPlateau, mode: max, factor: 0.2, patience: 30}}
loaders:
  dataset: DSB2018Dataset
  batch_size: 32
  num_workers: 8
  train:
    file_paths: [/data/dsb/train]
    transformer:
      raw:
        - {{name: CropToFixed, size: [256, 256]}}
        - name: Standardize
        - name: RandomFlip
        - name: RandomRotate90
        - {{name: RandomRotate, axes: [[2, 1]], angle_spectrum: 30, mode: reflect}}
        - {{name: ElasticDeformation, spline_order: 3, execution_probability: 0.2}}
        - {{name: AdditiveGaussianNoise, execution_probability: 0.1}}
        - {{name: AdditivePoissonNoise, execution_probability: 0.1}}
        - {{name: ToTensor, expand_dims: true}}
      label:
        - {{name: CropToFixed, size: [256, 256]}}
        - name: RandomFlip
        - name: RandomRotate90
        - {{name: RandomRotate, axes: [[2, 1]], angle_spectrum: 30, mode: reflect}}
        - {{name: ElasticDeformation, spline_order: 0, execution_probability: 0.2}}
        - name: Relabel
        - {{name: BlobsToMask, append_label: true}}
        - {{name: ToTensor, expand_dims: true}}
  val:
    file_paths: [/data/dsb/train]
    transformer:
      raw:
        - {{name: CropToFixed, size: [256, 256], centered: true}}
        - name: Standardize
        - {{name: ToTensor, expand_dims: true}}
      label:
        - {{name: CropToFixed, size: [256, 256], centered: true}}
        - name: Relabel
        - {{name: BlobsToMask, append_label: true}}
        - {{name: ToTensor, expand_dims: true}}
"""
NUCLEI_TEST = f"""
model_path: /data/dsb/best_checkpoint.pytorch
{NUCLEI_MODEL}
predictor: {{name: DSB2018Predictor}}
loaders:
  dataset: DSB2018Dataset
  output_dir: /data/dsb/predictions
  batch_size: 1
  mirror_padding: [0, 32, 32]
  num_workers: 8
  test:
    file_paths: [/data/dsb/test]
    transformer:
      raw: [{{name: Standardize}}, {{name: ToTensor, expand_dims: true}}]
"""
OLD_TEST = """
loaders:
  batch_size: 4
  mirror_padding: [16, 32, 32]
  num_workers: 8
  output_dir: /data/predictions
  raw_internal_path: raw
  test:
    file_paths: [/data/test]
    slice_builder: {name: SliceBuilder, patch_shape: [48, 80, 80], stride_shape: [24, 40, 40]}
    transformer:
      raw: [{name: Standardize}, {expand_dims: true, name: ToTensor}]
manual_seed: 0
model: {f_maps: 32, final_sigmoid: true, in_channels: 1, is_segmentation: true, layer_order: bcr, name: UNet3D,
        num_groups: null, out_channels: 1}
model_path: /data/best_checkpoint.pytorch
predictor: {name: StandardPredictor}
"""
LAZY_TEST = f"""
model_path: PATH_TO_BEST_CHECKPOINT
{Template(MODEL).substitute(name="UNet3D", channels=1, sigmoid="true")}
predictor: {{name: LazyPredictor}}
loaders:
  dataset: LazyHDF5Dataset
  output_dir: PATH_TO_OUTPUT_DIR
  batch_size: 1
  num_workers: 8
  global_normalization: true
  test:
    file_paths: [PATH_TO_TEST_DIR]
    slice_builder: {{name: SliceBuilder, patch_shape: [80, 170, 170], stride_shape: [80, 170, 170],
                    halo_shape: [16, 32, 32]}}
    transformer:
      raw: [{{name: Standardize}}, {{name: ToTensor, expand_dims: true}}]
"""


def read(carry: Any, content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], Any]:
    """Return what ``carry(settings, transfer)`` makes of a section: keys of the recipe, reasons by key, its result."""
    transfer = Transfer()
    settings = Settings(content, transfer)
    result = carry(settings, transfer)
    assert all(item.why for item in transfer.choices)
    left = {key: item.why for item in transfer.left for key in item.keys}
    assert len(left) == sum(len(item.keys) for item in transfer.left), "a key is named twice"
    return {item.key: item.value for item in transfer.choices}, left, result


def boundary(
    name: str = "UNet3D",
    channels: int = 1,
    sigmoid: str = "true",
    patch: str = "[80, 170, 170]",
    length: str = OLD,
    loss: str = "BCEDiceLoss",
    **parts: str,
) -> str:
    """Return the training of a network that finds boundaries."""
    keys = {"more": "", "weights": "", "loss_keys": "", **parts}
    return Template(MODEL + LOSS + LOADERS).substitute(
        keys, name=name, channels=channels, sigmoid=sigmoid, patch=patch, length=length, loss=loss
    )


CONFIGS = {
    "confocal": boundary(),
    "lightsheet": boundary("ResidualUNet3D", length=NEW),
    "weighted": boundary(
        channels=2,
        sigmoid="false",
        length=NEW,
        loss="PixelWiseCrossEntropyLoss",
        loss_keys=", squeeze_channel: true",
        more="  weight_internal_path: /weight",
        weights=WEIGHTS,
    ),
    "slices": boundary(
        "UNet2D", patch="[1, 515, 512]", length=f"tensorboard_formatter: {{skip_last_target: true}}, {NEW}"
    ),
    "multiclass": Template(MULTICLASS).substitute(name="UNet3D", patch="[32, 64, 64]"),
    "multiclass-2d": Template(MULTICLASS).substitute(name="UNet2D", patch="[1, 64, 64]"),
    "nuclei": NUCLEI,
    "nuclei-test": NUCLEI_TEST,
    "old-test": OLD_TEST,
    "lazy-test": LAZY_TEST,
}


@pytest.fixture(scope="session")
def folder() -> Path:
    """Return the folder of the conformance cases."""
    shared = Path(os.environ.get("VOLSEG_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
    path = shared / "conformance" / "networks3d"
    if not path.is_dir():
        pytest.skip("the shared conformance cases are not here")
    return path


@pytest.fixture(scope="session")
def carried() -> Any:
    """Return `read`."""
    return read


@pytest.fixture
def configs(tmp_path: Path) -> dict[str, Path]:
    """Write the configurations and return their paths by name."""
    for name, text in CONFIGS.items():
        (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
    return {name: tmp_path / f"{name}.yml" for name in CONFIGS}


@pytest.fixture
def save_checkpoint(tmp_path: Path) -> Any:
    """Return a function that writes a checkpoint as their trainer does."""
    import numpy as np
    import torch

    def save(network: torch.nn.Module, prefix: str = "", **more: Any) -> Path:
        state = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
        optimizer = torch.optim.Adam(network.parameters())
        content = {
            "num_epochs": 3,
            "num_iterations": 600,
            "model_state_dict": state,
            "best_eval_score": np.float64(0.12),
            "optimizer_state_dict": optimizer.state_dict(),
            **more,
        }
        path = tmp_path / "best_checkpoint.pytorch"
        torch.save(content, path)
        return path

    return save
