"""Settings as Volume Segmantics ships them, and checkpoints as it writes them."""

from __future__ import annotations

import enum
import sys
import types
from pathlib import Path

import pytest

TRAIN_032 = """
data_im_dirname: data
seg_im_out_dirname: seg
model_output_fn: trained_2d_model
clip_data: False
st_dev_factor: 2.575
data_hdf5_path: /data
seg_hdf5_path: /data
training_axes: All
image_size: 256
downsample: False
training_set_proportion: 0.8
cuda_device: 0
num_cyc_frozen: 8
num_cyc_unfrozen: 5
patience: 3
loss_criterion: "DiceLoss"
alpha: 0.75
beta: 0.25
eval_metric: "MeanIoU"
pct_lr_inc: 0.3
starting_lr: 1e-6
end_lr: 50
lr_find_epochs: 1
lr_reduce_factor: 500
plot_lr_graph: False
model:
  type: "U_Net"
  encoder_name: "resnet34"
  encoder_weights: "imagenet"
"""

TRAIN_040 = """
data_im_dirname: data
seg_im_out_dirname: seg
model_output_fn: trained_2d_model
clip_data: True
st_dev_factor: 2.575
minmax_norm: False
use_imagenet_norm: True
normalization_debug_mode: False
data_hdf5_path: /data
seg_hdf5_path: /data
training_axes: Z
image_size: 512
downsample: False
training_set_proportion: 0.85
random_seed:
cuda_device: 0
num_cyc_frozen: 8
num_cyc_unfrozen: 5
patience: 4
loss_criterion: CombinedCEDiceLoss
alpha: 0.5
beta: 0.5
ce_weight: 0.2
dice_weight: 0.8
dice_weight_mode: inverse_sqrt_freq
exclude_background_from_dice: False
dice_averaging: macro
eval_metric: DiceCoefficient
pct_lr_inc: 0.3
starting_lr: 5e-5
end_lr: 1e-3
lr_find_epochs: 1
lr_reduce_factor: 500
plot_lr_graph: False
encoder_lr_multiplier: 0.1
use_sam: False
adaptive_sam: True
encoder_weights_path: False
full_weights_path: False
augmentation_library: albumentations
use_monai_datasets: True
use_2_5d_slicing: True
num_slices: 5
slice_file_format: png
skip_border_slices: False
use_multitask: False
num_tasks: 2
decoder_sharing: shared
seg_loss_weight: 1
boundary_loss_weight: 1
task3_loss_weight: 1
boundary_loss_type: bce
use_semi_supervised: True
unlabeled_batch_size: 8
consistency_weight: 0.1
rampup_start: 0
rampup_end: 10000
ema_decay: 0.99
mean_teacher_vis_epoch_interval: 5
use_pseudo_labeling: False
pseudo_label_confidence_threshold: 0.95
pseudo_label_confidence_method: max_prob
pseudo_label_min_pixels_per_class: 10
pseudo_label_use_teacher: True
pseudo_label_weight: 1
pseudo_label_rampup_start: 0
pseudo_label_rampup_end: 5000
pseudo_label_threshold_schedule: fixed
pseudo_label_start_threshold: 0.9
pseudo_label_target_acceptance_rate: 0.3
pseudo_labeling_vis_epoch_interval: 5
model:
  type: U_Net
  encoder_name: tu-convnextv2_base
  encoder_weights: imagenet
  encoder_depth: 4
"""

PREDICT = """
quality: high
output_probs: False
output_entropy: False
clip_data: True
st_dev_factor: 2.575
minmax_norm: False
use_imagenet_norm: True
data_hdf5_path: /data
cuda_device: 0
downsample: False
one_hot: False
prediction_axis: Z
augmentation_library: albumentations
use_2_5d_prediction: False
num_slices: 3
prediction_padding_factor: 1
use_sliding_window: True
sw_roi_size: [512, 512]
sw_overlap: 0.25
sw_batch_size: 4
sw_mode: gaussian
output_size: 512
z_smooth: False
"""

THEIRS = "volume_segmantics.utilities.base_data_utils"
TYPES = (
    "U_NET", "U_NET_PLUS_PLUS", "FPN", "DEEPLABV3", "DEEPLABV3_PLUS", "MA_NET", "LINKNET", "PAN", "SEGFORMER",
    "VANILLA_UNET",
)  # fmt: skip


@pytest.fixture
def model_types(monkeypatch):
    """Return an enumeration that lives where theirs does while a checkpoint is written; then nothing is there."""
    module = types.ModuleType(THEIRS)
    module.ModelType = enum.Enum("ModelType", TYPES, module=THEIRS)
    for name in ("volume_segmantics", "volume_segmantics.utilities"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, THEIRS, module)
    return module.ModelType


@pytest.fixture
def save_checkpoint(model_types, monkeypatch, tmp_path):
    """Return a function that writes a checkpoint as their early stopping does, and takes their package away."""
    import numpy as np
    import torch

    def save(network, structure, name="model.pytorch", prefix="", codes=None, **more) -> Path:
        path = tmp_path / name
        state = network.state_dict()
        kind = structure["type"]  # their newer trainer writes the name itself
        content = {
            "model_state_dict": type(state)((f"{prefix}{key}", value) for key, value in state.items()),
            "model_struc_dict": {**structure, "type": model_types[kind] if kind in model_types.__members__ else kind},
            "optimizer_state_dict": torch.optim.AdamW(network.parameters()).state_dict(),
            "loss_val": np.float64(0.25),
            "label_codes": codes or {},
            **more,
        }
        torch.save(content, path)
        for module in ("volume_segmantics", "volume_segmantics.utilities", THEIRS):
            monkeypatch.delitem(sys.modules, module)
        return path

    return save


@pytest.fixture
def settings_files(tmp_path):
    """Write settings files and return their paths by name."""
    files = {"train_032.yaml": TRAIN_032, "train_040.yaml": TRAIN_040, "predict.yaml": PREDICT}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {name: tmp_path / name for name in files}
