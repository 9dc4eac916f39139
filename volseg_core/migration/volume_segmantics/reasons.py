"""Settings of Volume Segmantics that no recipe carries, with the reason for each."""

from __future__ import annotations

_FOLDER = "volseg writes no slices to disk; -o names the run folder"
_DATASET = "the dataset is named with the file: --data FILE:/data --labels FILE:/labels"
_DEVICE = "train.device and --device choose cpu or cuda, CUDA_VISIBLE_DEVICES one of several GPUs"
_SCALE = "volseg trains and predicts at the scale of the volume"
_HEADS = "a volseg recipe has one output, the classes"
_PSEUDO = "volseg has no pseudo-labels; its mean teacher is train.teacher"
_TEACHER = "it belongs to use_semi_supervised, which is off"
_AUTOMATIC = "the batch of a prediction follows from the memory that is free"

_GROUPS: dict[str, tuple[str, ...]] = {
    _FOLDER: ("data_im_dirname", "seg_im_out_dirname", "model_output_fn", "slice_file_format"),
    _DATASET: ("data_hdf5_path", "seg_hdf5_path"),
    _DEVICE: ("cuda_device",),
    _SCALE: ("downsample", "output_size", "prediction_padding_factor"),
    _HEADS: (
        "use_multitask", "num_tasks", "decoder_sharing", "seg_loss_weight", "boundary_loss_weight",
        "task3_loss_weight", "boundary_loss_type",
    ),
    _PSEUDO: (
        "use_pseudo_labeling", "pseudo_label_confidence_threshold", "pseudo_label_confidence_method",
        "pseudo_label_min_pixels_per_class", "pseudo_label_use_teacher", "pseudo_label_weight",
        "pseudo_label_rampup_start", "pseudo_label_rampup_end", "pseudo_label_threshold_schedule",
        "pseudo_label_start_threshold", "pseudo_label_target_acceptance_rate", "pseudo_labeling_vis_epoch_interval",
    ),
    "the picture of a learning-rate search is kept in the run folder": ("plot_lr_graph",),
    "volseg has no sharpness-aware optimiser": ("use_sam", "adaptive_sam"),
    "train --from RUN|MODEL starts from weights": ("full_weights_path",),
    "model.encoder.weights takes a .safetensors file": ("encoder_weights_path",),
    "there is one way to read data": ("use_monai_datasets",),
    "it is not implemented in Volume Segmantics": ("skip_border_slices",),
    "it only prints": ("normalization_debug_mode",),
    "volseg predict --probabilities writes them, --confidence the winner's": ("output_probs",),
    "volseg predict writes probabilities, not one-hot votes": ("one_hot",),
    "the uncertainty of a prediction is asked for when predicting": ("output_entropy",),
    "labels are not smoothed along z after prediction": ("z_smooth", "z_smooth_sigma"),
}  # fmt: skip

REASONS: dict[str, str] = {key: reason for reason, keys in _GROUPS.items() for key in keys}
"""Reason by key."""

TEACHER_KEYS = (
    "unlabeled_batch_size", "consistency_weight", "rampup_start", "rampup_end", "ema_decay",
    "mean_teacher_vis_epoch_interval",
)  # fmt: skip
TEACHER_OFF = _TEACHER

INPUT_KEYS = ("minmax_norm", "use_imagenet_norm")
INPUT_REASON = "volseg's rule is data.normalise, the same in training and prediction, and stored in the model"

UNKNOWN = "unknown to volseg as a setting of Volume Segmantics"
