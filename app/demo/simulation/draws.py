"""Random draws that stay the same for ever: raw uniform doubles of PCG64, transformed here.

Only the stream of uniforms is taken from numpy: its ready-made distributions may change between releases, and then a
frozen institution would thaw. Every customer has streams of their own, so that nobody's life depends on how many
others there are.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
BLOCK = 512


class Draws:
    """One stream, named by integers such as (seed, customer, purpose)."""

    __slots__ = ("_block", "_next", "_rng")

    def __init__(self, *name: int) -> None:
        self._rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(name)))
        self._block: list[float] = []
        self._next = 0

    def unit(self) -> float:
        """Uniform on [0, 1)."""
        if self._next == len(self._block):
            self._block = self._rng.random(BLOCK).tolist()
            self._next = 0
        value = self._block[self._next]
        self._next += 1
        return value

    def uniform(self, low: float, high: float) -> float:
        """Uniform on [low, high)."""
        return low + (high - low) * self.unit()

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def normal(self, mean: float, deviation: float) -> float:
        """Normal, after Box and Muller."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.unit()))
        return mean + deviation * radius * math.cos(2.0 * math.pi * self.unit())

    def lognormal(self, median: float, sigma: float) -> float:
        """Log-normal by its median and the deviation of its logarithm."""
        return median * math.exp(self.normal(0.0, sigma))

    def exponential(self, mean: float) -> float:
        """Exponential: the wait for something that happens at a steady rate."""
        return -mean * math.log(1.0 - self.unit())

    def choice(self, items: Sequence[T]) -> T:
        """One of these, all alike."""
        return items[int(self.unit() * len(items))]

    def weighted(self, items: Sequence[tuple[T, float]]) -> T:
        """One of these, by weights that sum to one; the last takes what is left."""
        left = self.unit()
        for item, weight in items:
            left -= weight
            if left < 0.0:
                return item
        return items[-1][0]
