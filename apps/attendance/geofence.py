"""How far two places are from each other."""

from math import asin, cos, radians, sin, sqrt
from typing import Final

EARTH_RADIUS: Final = 6_371_008.8
"""The Earth's mean radius in metres (IUGG; Moritz, Geodetic Reference System 1980)."""

Position = tuple[float, float]
"""Degrees north and degrees east, WGS 84."""


def distance_metres(here: Position, there: Position) -> float:
    """Return the great-circle distance between two positions in metres.

    By the haversine formula (Sinnott, Virtues of the Haversine, 1984), which is exact for near points too. The Earth is
    taken for a sphere: an error of at most 0.6 %.
    """
    (north, east), (other_north, other_east) = (map(radians, here), map(radians, there))
    height = sin((other_north - north) / 2) ** 2
    width = cos(north) * cos(other_north) * sin((other_east - east) / 2) ** 2
    return 2 * EARTH_RADIUS * asin(min(1.0, sqrt(height + width)))
