"""Labels in their own place agree best with the image; moved ones are found, and how they moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.advice.placement import Comparison, Placement, agreement
from volseg_core.data.files import open_volume
from volseg_core.registry import load_registry
from volseg_core.volume import Grid, Volume
from volseg_core.volume.views import View

CATALOG = load_registry(builtin_only=True).catalog


def of(image, labels, planes=None, independent=False):
    volume = Volume(np.ascontiguousarray(image if image.ndim == 4 else image[None]), Grid(independent=independent))
    with open_volume(CATALOG, volume) as source:
        return agreement(source, lambda box: labels[box], planes or (0, labels.shape[0]))


def test_labels_in_their_own_place_are_best_there(blobs):
    found = of(*blobs)
    assert found.related
    assert not found.best.better
    assert 0 < found.as_given < found.entropy


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shift", [-6, -3, 3, 5])
def test_shifts_are_found_with_axis_and_distance(blobs, moved, axis, shift):
    best = of(*moved(*blobs, axis, shift)).best
    assert best.better
    assert (best.placement.view, best.placement.axis, best.placement.shift) == (None, axis, -shift)


@pytest.mark.parametrize("name", ["-z,y,x", "z,-y,x", "z,y,-x", "z,x,y", "z,-x,y", "z,-y,-x"])
def test_flips_turns_and_transpositions_are_found_with_what_undoes_them(blobs, name):
    image, labels = blobs
    wrong = View.parse(name)
    given = wrong.apply(labels)
    best = of(image, np.ascontiguousarray(given)).best
    assert best.better
    np.testing.assert_array_equal(best.placement.view.apply(given), labels)


def test_a_placement_is_compared_on_the_voxels_that_both_cover():
    """Labels equal to the image, so that information is entropy: a shift by s leaves n - s planes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (40, 40, 40)).repeat(2, 1).repeat(2, 2).astype(np.uint8)
    rolled = np.roll(labels, 5, axis=0)
    best = of(labels * 100, rolled).best
    assert (best.placement.axis, best.placement.shift) == (0, -5)
    assert best.as_given < 0.01
    assert best.moved == pytest.approx(of(labels[:-5] * 100, labels[:-5]).as_given, rel=0.05)


def test_labels_of_something_else_are_unrelated(blobs):
    noise = np.random.default_rng(0).normal(size=blobs[1].shape).astype(np.float32)
    found = of(noise, blobs[1])
    assert not found.related


def test_ignored_voxels_do_not_count(blobs):
    image, labels = blobs
    sparse = labels.astype(np.int16)
    sparse[np.arange(len(sparse)) % 4 > 0] = -1
    assert not of(image, sparse).best.better
    shifted = np.roll(sparse, 4, axis=2)
    best = of(image, shifted).best
    assert best.better
    assert (best.placement.axis, best.placement.shift) == (2, -4)


def test_a_second_channel_helps(blobs):
    image, labels = blobs
    noise = np.random.default_rng(0).normal(size=image.shape).astype(np.float32)
    both = of(np.stack([noise, image.astype(np.float32)]), labels)
    assert both.related
    assert not both.best.better


def test_independent_images_keep_their_order(blobs):
    image, labels = blobs
    best = of(image, labels[::-1], independent=True).best
    assert best.placement.view is None or not best.placement.view.flips[0]


def test_symmetric_labels_fit_their_mirror_image_as_well_and_no_better():
    """Borders that coincide with faces of blocks count alike in both."""
    checks = np.add.outer(np.add.outer(np.arange(64) // 16, np.arange(64) // 16), np.arange(64) // 16) % 2
    found = of((checks * 90 + 5).astype(np.uint8), checks)
    assert not found.best.better
    turned = of((checks * 90 + 5).astype(np.uint8), np.ascontiguousarray(checks[:, ::-1, ::-1]))
    assert turned.as_given == pytest.approx(found.as_given)


def test_single_planes_and_tiny_volumes_are_compared_too(blobs):
    image, labels = blobs
    assert not of(image[20:21], labels[20:21]).best.better
    assert of(image[:1, :4, :4], labels[:1, :4, :4]).as_given >= 0


def test_what_a_placement_is_called():
    assert str(Placement(1, -4)) == "shifted by -4 along y"
    assert str(Placement(view=View.parse("z,-y,-x"))) == "flipped along y and x"
    assert str(Placement(view=View.parse("z,x,y"))) == "transposed to (z, x, y)"
    assert str(Placement(view=View.parse("z,-x,y"))) == "transposed to (z, x, y) and flipped along y"


@pytest.mark.parametrize(
    ("placement", "moved", "errors", "better"),
    [
        (Placement(0, 3), 1.2, 5.0, True),
        (Placement(0, 3), 1.05, 50.0, False),
        (Placement(0, 3), 2.0, 0.5, False),
        (Placement(0, 1), 1.2, 5.0, False),
        (Placement(0, 1), 1.6, 5.0, True),
        (Placement(view=View.parse("z,-y,x")), 1.2, 5.0, True),
    ],
)
def test_what_counts_as_better(placement, moved, errors, better):
    assert Comparison(placement, 1.0, moved, errors, 16, 16).better is better


@pytest.mark.parametrize(
    ("moved", "errors", "wins", "blocks", "clear"),
    [
        (1.2, 3.0, 12, 16, True),
        (1.2, 2.9, 16, 16, False),
        (1.2, 9.0, 11, 16, False),
        (1.2, 9.0, 5, 5, False),
        (1.2, 9.0, 6, 6, True),
        (1.05, 9.0, 16, 16, False),
    ],
)
def test_what_counts_as_beyond_doubt(moved, errors, wins, blocks, clear):
    assert Comparison(Placement(0, 3), 1.0, moved, errors, wins, blocks).clear is clear


def test_one_block_in_which_flipped_labels_fit_is_no_proof(blobs):
    """In a quarter of the volume the labels are flipped along x, in the rest they are right."""
    image, labels = blobs
    given = labels.copy()
    given[:, :32, :32] = labels[:, :32, :32][:, :, ::-1]
    assert not of(image, given).best.clear


def test_placements_of_a_truly_flipped_volume_win_in_nearly_all_blocks(blobs):
    best = of(blobs[0], np.ascontiguousarray(blobs[1][:, :, ::-1])).best
    assert best.clear
    assert best.wins >= best.blocks - 1 >= 14


@settings(max_examples=6)
@given(st.integers(0, 10_000), st.sampled_from([(24, 40, 40), (40, 40, 40), (6, 64, 80)]), st.integers(8, 20))
def test_labels_of_random_fields_are_never_said_to_be_elsewhere(seed, shape, size):
    """Blocks of random grey values with a drift of brightness, noise, and the values above the middle labelled."""
    rng = np.random.default_rng(seed)
    coarse = rng.random([-(-n // size) + 1 for n in shape])
    field = coarse[tuple(np.ix_(*(np.arange(n) // size for n in shape)))]
    drift = np.linspace(0, rng.uniform(-2, 2), shape[2])
    found = of((100 * (field + drift) + rng.normal(0, 20, shape)).astype(np.float32), (field > 0.5).astype(np.uint8))
    assert not found.best.clear
