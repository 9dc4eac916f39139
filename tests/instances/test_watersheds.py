"""Watersheds, the mutex watershed and agglomeration: on touching spheres, whole and in blocks."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import ndimage

from volseg_core.api import UsageError
from volseg_instances.agglomeration import Agglomeration
from volseg_instances.mutex import MutexWatershed
from volseg_instances.watersheds import DistanceWatershed, Watershed

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
OFFSETS = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-6, 0, 0], [0, -6, 0], [0, 0, -6]]
BLOCK = 17


def agree(found, ids, least=0.9):
    """Whether each object has one number, which covers at least so much of it, and no other object has it."""
    numbers = []
    for number in range(1, int(ids.max()) + 1):
        values, counts = np.unique(found[ids == number], return_counts=True)
        if counts.max() < least * counts.sum():
            return False
        numbers.append(int(values[counts.argmax()]))
    return sorted(set(numbers)) == list(range(1, len(numbers) + 1)) and int(found.max()) == len(numbers)


@pytest.mark.parametrize("block", [None, BLOCK])
def test_touching_spheres_are_parted_at_their_necks(spheres, run, block):
    labels = (spheres.ids > 0).astype(np.uint8)
    assert ndimage.label(labels)[1] == 1
    found = run(labels, "distance-watershed", block=block, min_distance=5, smooth=1, halo=10)
    assert agree(found, spheres.ids)
    np.testing.assert_array_equal(found > 0, labels > 0)


@pytest.mark.parametrize("block", [None, BLOCK])
def test_boundaries_are_flooded_from_what_they_enclose(spheres, run, block):
    inside = (spheres.ids > 0).astype(np.float32)[None]
    probabilities = np.concatenate((inside, 0.9 * spheres.boundary + 0.05))
    found = run(probabilities, "watershed", block=block, foreground=0, halo=10)
    assert agree(found, spheres.ids)
    np.testing.assert_array_equal(found > 0, spheres.ids > 0)


@pytest.mark.parametrize("block", [None, BLOCK])
def test_affinities_say_what_belongs_together(spheres, run, same_objects, block):
    affinities = np.concatenate((spheres.affinities, (spheres.ids > 0)[None]))
    found = run(affinities, "mutex-watershed", block=block, offsets=OFFSETS, foreground=6, halo=10)
    assert same_objects(found, spheres.ids)
    assert found.max() == spheres.count


@pytest.mark.parametrize("block", [None, BLOCK])
def test_fragments_are_joined_by_their_affinity(spheres, run, same_objects, block):
    affinities = np.concatenate((0.9 * spheres.affinities + 0.05, (spheres.ids > 0)[None]))
    found = run(affinities, "agglomeration", block=block, offsets=OFFSETS, foreground=6, halo=10)
    assert same_objects(found, spheres.ids)


@pytest.mark.parametrize("block", [None, BLOCK])
def test_fragments_between_boundaries_are_joined_where_there_is_none(spheres, run, block):
    inside = (spheres.ids > 0).astype(np.float32)[None]
    probabilities = np.concatenate((inside, spheres.boundary))
    found = run(probabilities, "agglomeration", block=block, foreground=0, min_distance=2, halo=10)
    assert agree(found, spheres.ids)


def test_away_from_borders_blocks_give_what_the_volume_gives(spheres, run, same_objects):
    labels = (spheres.ids > 0).astype(np.uint8)
    whole, blocks = (
        run(labels, "distance-watershed", block=block, min_distance=5, smooth=1, halo=10) for block in (None, BLOCK)
    )
    assert agree(blocks, whole)
    faces = zip(whole.shape, ((17,), (16, 32), (16, 32)), strict=True)  # first planes of blocks along z, y and x
    away = [[all(abs(place - face + 0.5) > 2 for face in starts) for place in range(size)] for size, starts in faces]
    inner = np.ix_(*map(np.flatnonzero, away))
    assert inner[0].size * inner[1].size * inner[2].size > 0.5 * whole.size
    assert same_objects(whole[inner], blocks[inner])


def test_weak_boundaries_need_distances():
    volume = np.ones((1, 21, 21, 41), np.float32)
    volume[0, 1:-1, 1:-1, 1:20] = volume[0, 1:-1, 1:-1, 21:40] = 0
    volume[0, 9:12, 9:12, 20] = 0
    assert Watershed()(volume).max() == 1
    assert Watershed(min_distance=6, smooth=1)(volume).max() == 2


def test_small_seeds_are_dropped():
    volume = np.ones((1, 5, 5, 12), np.float32)
    volume[0, 1:4, 1:4, 1:4] = 0
    volume[0, 2, 2, 8:10] = 0
    assert Watershed(min_seed=8)(volume).max() == 1
    assert Watershed(min_seed=2)(volume).max() == 2


def test_classes_channels_and_predicted_distances_are_foreground(spheres):
    two = np.where(spheres.ids == 1, 2, spheres.ids > 0)
    assert DistanceWatershed(min_distance=5, smooth=1, channel=2)(two).max() == 1
    chance = np.stack((1 - (spheres.ids > 0), spheres.ids > 0)).astype(np.float32)
    parted = DistanceWatershed(min_distance=5, smooth=1, taken="probabilities")(chance)
    assert agree(parted, spheres.ids)
    distance = ndimage.distance_transform_edt(spheres.ids > 0).astype(np.float32)[None]
    given = DistanceWatershed(min_distance=5, smooth=1, taken="values")(distance)
    assert agree(given, spheres.ids, 0.85)


def test_parts_without_a_peak_are_objects_too():
    labels = np.zeros((11, 11, 30), np.uint8)
    labels[:, :, :20] = 1
    labels[5, 5, 22] = 1
    assert DistanceWatershed(min_distance=6)(labels).max() == 2


def test_proportions_of_voxels_count():
    thin = np.zeros((5, 40, 40), np.uint8)
    thin[:, 5:35, 5:35] = 1
    seeds = [DistanceWatershed(min_distance=6, smooth=0, spacing=spacing)(thin).max() for spacing in (None, (10, 1, 1))]
    assert seeds == [1, 1]
    layers = np.zeros((9, 20, 20), np.uint8)
    layers[:4, 3:17, 3:17], layers[5:, 3:17, 3:17], layers[4, 9:11, 9:11] = 1, 1, 1
    assert DistanceWatershed(min_distance=6, smooth=0, spacing=(8, 1, 1))(layers).max() == 2


def test_offsets_are_those_of_the_head():
    affinities = np.ones((3, 4, 4, 4), np.float32)
    assert MutexWatershed(offsets=[[-1, 0], [0, -1]]).channels == 2
    assert MutexWatershed(offsets=[[0, -1], [-1, 0]])(affinities[:2, :1]).max() > 0
    with pytest.raises(UsageError, match=r"mutex-watershed has 4 offsets, and there are 3 channels"):
        MutexWatershed(offsets=[[-1, 0, 0]] * 4)(affinities)
    with pytest.raises(UsageError, match=r"offset \[1\] is no step \(z, y, x\). For example"):
        MutexWatershed(offsets=[[1]])
    with pytest.raises(UsageError, match=r"agglomeration: no offset is \[0, 0, -1\]. It needs the direct neighbours"):
        Agglomeration(offsets=[[-1, 0, 0], [0, 1, 0], [0, 0, -2]])
    with pytest.raises(UsageError, match=r"agglomeration has 4 offsets, and there are 3 channels"):
        Agglomeration(offsets=[*OFFSETS[:3], [0, 0, 2]])(affinities)


def test_offsets_ahead_mean_the_same_as_those_behind(spheres, same_objects):
    behind = 0.9 * spheres.affinities[:3] + 0.05
    ahead = np.stack([np.roll(part, -1, axis) for axis, part in enumerate(behind)])
    found = [Agglomeration(offsets=[[s, 0, 0], [0, s, 0], [0, 0, s]])(part) for s, part in ((-1, behind), (1, ahead))]
    np.testing.assert_array_equal(*found)
    assert found[0].max() >= spheres.count


def test_agglomeration_says_nothing_on_standard_output(spheres, capfd):
    Agglomeration()(spheres.boundary)
    assert capfd.readouterr().out == ""


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data here")
def test_real_nuclei_are_parted_alike_whole_and_in_blocks(run):
    with h5py.File(SHARED / "nuclei3d" / "train.h5") as file:
        image, truth = file["data"][:, ::2, ::2].astype(np.float32), file["labels"][:, ::2, ::2]
    smooth = ndimage.gaussian_filter(image, (1, 0.5, 0.5))
    chance = np.clip((smooth - smooth.min()) / (np.percentile(smooth, 99.5) - smooth.min()), 0, 1)[None]
    steps = ("threshold", "fill-holes", "distance-watershed", "remove-small")
    params = {"threshold__threshold": 0.2, "fill-holes__max_size": 20, "remove-small__min_size": 250}
    params |= {"distance-watershed__min_distance": 7, "distance-watershed__halo": 16}
    whole, blocks = (run(chance, *steps, block=block, **params) for block in (None, 48))
    assert average_precision(whole, truth) > 0.25
    assert average_precision(blocks, truth) > 0.25
    assert average_precision(blocks, whole) > 0.8


def average_precision(found, truth, threshold=0.5):
    """Return TP / (TP + FP + FN) of objects that overlap by more than half of their union."""
    pairs, counts = np.unique(np.stack((found.ravel(), truth.ravel())), axis=1, return_counts=True)
    ours, theirs = np.bincount(found.ravel()), np.bincount(truth.ravel())
    inner = (pairs > 0).all(axis=0)
    union = ours[pairs[0, inner]] + theirs[pairs[1, inner]] - counts[inner]
    hits = int((counts[inner] > threshold * union).sum())
    return hits / (np.count_nonzero(ours[1:]) + np.count_nonzero(theirs[1:]) - hits)
