"""Where other programs' pictures have a polygon's letters, lengths and right-angle mark.

Points are the corners in order, an array of (n, 2), in whatever unit the program draws in.
"""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def beyond_corners(points: Points, distance: float) -> Points:
    """A place for each corner's letter, away from the middle."""
    outwards = points - points.mean(0)
    return points + outwards / _lengths(outwards) * distance


def beside_sides(points: Points, distance: float) -> Points:
    """A place for the length of each side, which joins a corner to the next."""
    along = np.roll(points, -1, 0) - points
    halfway = points + along / 2
    normals = np.stack([along[:, 1], -along[:, 0]], 1) / _lengths(along)
    inwards = ((halfway - points.mean(0)) * normals).sum(1, keepdims=True) < 0
    return halfway + np.where(inwards, -normals, normals) * distance


def right_angle(points: Points, corner: int, length: float) -> Points:
    """The three points of the mark at a corner: on one side, within, on the other side."""
    arms = points[[(corner + 1) % len(points), corner - 1]] - points[corner]
    u, v = arms / _lengths(arms) * length
    return points[corner] + np.array([u, u + v, v])


def _lengths(vectors: Points) -> Points:
    """Of shape (n, 1)."""
    return np.linalg.norm(vectors, axis=1, keepdims=True)
