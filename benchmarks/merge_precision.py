"""Count how often a streaming mean chooses another class than the exact mean does.

Draws softmax probabilities of V views that agree as the views of one network do (shared logits plus noise per view)
and counts the voxels whose label differs from that of the float64 mean: for fixed point of 16 bits (15 and a sign,
what the merge ``mean`` keeps) and of 15 bits, and for a float16 sum of the same views in two orders.
The last column is the share of voxels whose label changes between those two orders; fixed point has none.

    python benchmarks/merge_precision.py --voxels 150000
"""

from __future__ import annotations

import argparse

import numpy as np

from volseg_merges.mean import Mean

VIEWS = (12, 16, 24, 48)
CLASSES = (2, 3, 6)
EVERYWHERE = (slice(None),) * 3


def draw(rng: np.random.Generator, views: int, classes: int, voxels: int) -> np.ndarray:
    """Return probabilities (V, C, voxels, 1, 1), float32: confident inside objects, undecided at their borders."""
    certainty = rng.uniform(0, 6, (1, 1, voxels))
    logits = certainty * rng.normal(0, 1, (1, classes, voxels)) + rng.normal(0, 1, (views, classes, voxels))
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits.astype(np.float32)[..., None, None]


def fixed(probabilities: np.ndarray, bits: int) -> np.ndarray:
    """Return labels of sums in fixed point of ``bits`` bits with the sign, the last class being the rest."""
    scale = (2 ** (bits - 1) - 1) // len(probabilities)
    sums = np.floor(probabilities[:, :-1] * np.float32(scale) + np.float32(0.5)).sum(0)
    rest = np.maximum(len(probabilities) * scale - sums.sum(0), 0)
    return np.concatenate([sums, rest[None]]).argmax(0)


def merged(probabilities: np.ndarray) -> np.ndarray:
    """Return the labels of the merge ``mean``."""
    merge = Mean()
    merge.start(probabilities.shape[2:], probabilities.shape[1], len(probabilities))
    for view, values in enumerate(probabilities):
        merge.add(values, EVERYWHERE, view)
    return np.asarray(merge.result(EVERYWHERE).labels)


def half(probabilities: np.ndarray) -> np.ndarray:
    """Return the labels of a sum in float16, in the order given."""
    total = np.zeros(probabilities.shape[1:], np.float16)
    for values in probabilities:
        total += values.astype(np.float16)
    return total.argmax(0)


def measure(rng: np.random.Generator, views: int, classes: int, voxels: int) -> list[float]:
    """Return the shares of differing labels: 16 bits, 15 bits, float16 forwards, backwards, and between both."""
    probabilities = draw(rng, views, classes, voxels)
    exact = probabilities.astype(np.float64).mean(0).argmax(0)
    forwards, backwards = half(probabilities), half(probabilities[::-1])
    found = [merged(probabilities), fixed(probabilities, 15), forwards, backwards]
    return [float((labels != exact).mean()) for labels in found] + [float((forwards != backwards).mean())]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", type=int, default=150_000, help="voxels per round (default 150000)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds to average (default 1)")
    parser.add_argument("--views", type=int, nargs="+", default=VIEWS)
    parser.add_argument("--classes", type=int, nargs="+", default=CLASSES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(f"share of {options.voxels * options.rounds} voxels whose label differs from the float64 mean's")
    print("classes  views    16 bit    15 bit   float16  reversed  between orders")
    for classes in options.classes:
        for views in options.views:
            shares = np.mean([measure(rng, views, classes, options.voxels) for _ in range(options.rounds)], axis=0)
            print(f"{classes:7d} {views:6d}  " + "  ".join(f"{share:8.1e}" for share in shares))


if __name__ == "__main__":
    main()
