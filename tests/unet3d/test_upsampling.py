"""Enlarging to the size of finer features."""

from __future__ import annotations

import torch

from volseg_unet3d.upsampling import Interpolation, TransposedConvolution


def test_interpolation_maps_channels_and_reaches_any_size() -> None:
    layer = Interpolation("nearest", 4, 2, 3)
    assert layer(torch.randn(1, 4, 2, 3, 4), torch.empty(1, 7, 5, 6, 9)).shape == (1, 2, 5, 6, 9)
    assert not Interpolation("nearest", 4, 4, 3).state_dict()


def test_interpolation_repeats_voxels_at_whole_factors_as_that_of_areas_does() -> None:
    coarse = torch.randn(1, 2, 3, 4)
    fine = Interpolation("nearest", 2, 2, 2)(coarse, torch.empty(1, 1, 6, 8))
    assert torch.equal(fine, coarse.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(fine, torch.nn.functional.interpolate(coarse, size=(6, 8), mode="area"))


def test_linear_interpolation_keeps_a_constant() -> None:
    fine = Interpolation("trilinear", 2, 2, 3)(torch.full((1, 2, 3, 4, 5), 1.5), torch.empty(1, 1, 7, 8, 9))
    torch.testing.assert_close(fine, torch.full((1, 2, 7, 8, 9), 1.5))


@torch.no_grad()
def test_a_transposed_convolution_reaches_every_voxel_even_of_a_narrow_kernel() -> None:
    layer = TransposedConvolution(1, 1, (1, 3, 3), (2, 2, 1))
    layer.upsample["conv_transposed"].weight.fill_(1.0)
    fine = layer(torch.ones(1, 1, 3, 4, 5), torch.empty(1, 1, 6, 8, 5))
    assert fine.shape == (1, 1, 6, 8, 5)
    assert fine.min() > 0
