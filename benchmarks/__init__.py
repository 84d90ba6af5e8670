"""The promises of speed, each measured as a ratio to a floor in the same run.

A module here that defines `run()` is a benchmark; `python -m benchmarks` runs them all. A ratio says the same on a
slow machine and on a fast one, where seconds would not.
"""

from typing import TypedDict


class Result(TypedDict):
    """One promise and what came of it.

    `ratio`: measured over floor, or whatever number the promise is about. `promise`: the limit, in words. `holds`:
    whether it was kept. `detail`: the measured figures with their units.
    """

    name: str
    ratio: float
    promise: str
    holds: bool
    detail: str
