"""Rendering of the empty corridor."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from agrm_study.training.data.datasets.synthetic.camera import Camera
from agrm_study.training.data.datasets.synthetic.nuisance import Colour, Scene

Image = npt.NDArray[np.uint8]
NEAREST = 0.9
"""Distance from the camera at which the walls are outside the frame, in metres."""
SUBPIXEL_BITS = 4
"""Fractional bits of OpenCV's fixed-point coordinates."""


def fill_polygon(image: Image, corners_N2: npt.NDArray[np.float64], colour: Colour) -> None:
    """Draw an antialiased convex polygon, in place; corners (N, 2) are in fractional pixels."""
    fixed = np.round(corners_N2 * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillConvexPoly(image, fixed, colour, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)


def paint_corridor(camera: Camera, scene: Scene) -> Image:
    """The illuminated background of a clip, (height, width, 3) RGB uint8."""
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    half, top, end = scene.half_width, scene.height, scene.depth

    def quad(points: list[tuple[float, float, float]], colour: Colour, factor: float = 1.0) -> None:
        shade = tuple(min(255.0, channel * factor) for channel in colour)
        fill_polygon(image, camera.project(np.array(points)), (shade[0], shade[1], shade[2]))

    quad([(-half, 0, NEAREST), (half, 0, NEAREST), (half, 0, end), (-half, 0, end)], scene.floor)
    _lay_tiles(quad, scene)
    quad([(-half, top, NEAREST), (half, top, NEAREST), (half, top, end), (-half, top, end)], scene.ceiling)
    for z in np.arange(2.5, end - 0.8, 2.2):
        quad([(-0.3, top, z), (0.3, top, z), (0.3, top, z + 0.9), (-0.3, top, z + 0.9)], (255, 255, 250))
    for side in (-1.0, 1.0):
        x, factor = side * half, 0.93 - 0.1 * side * scene.light_angle
        quad([(x, 0, NEAREST), (x, top, NEAREST), (x, top, end), (x, 0, end)], scene.wall, factor)
        quad([(x, 0, NEAREST), (x, 0.1, NEAREST), (x, 0.1, end), (x, 0, end)], scene.door, 0.7)
    for door in scene.doors:
        x, z = float(np.sign(door)) * half * 0.995, abs(door)
        quad([(x, 0, z), (x, 2.1, z), (x, 2.1, z + 1.0), (x, 0, z + 1.0)], scene.door, 0.6)
        quad([(x, 0, z + 0.06), (x, 2.05, z + 0.06), (x, 2.05, z + 0.94), (x, 0, z + 0.94)], scene.door, 0.95)
    quad([(-half, 0, end), (-half, top, end), (half, top, end), (half, 0, end)], scene.wall, 0.82)
    quad([(-0.5, 0, end), (-0.5, 2.05, end), (0.5, 2.05, end), (0.5, 0, end)], scene.door, 0.85)
    return _light(image, camera, scene)


def _lay_tiles(quad: Callable[[list[tuple[float, float, float]], Colour, float], None], scene: Scene) -> None:
    if scene.tiles == 0.0:
        return
    for row, z in enumerate(np.arange(NEAREST, scene.depth, scene.tiles)):
        for column, x in enumerate(np.arange(-scene.half_width, scene.half_width, scene.tiles)):
            if (row + column) % 2:
                right, back = min(x + scene.tiles, scene.half_width), min(z + scene.tiles, scene.depth)
                quad([(x, 0, z), (right, 0, z), (right, 0, back), (x, 0, back)], scene.floor, 0.9)


def _light(image: Image, camera: Camera, scene: Scene) -> Image:
    across = 1.0 + scene.gradient[0] * np.linspace(-1.0, 1.0, camera.width)[None, :, None]
    down = 1.0 + scene.gradient[1] * np.linspace(-1.0, 1.0, camera.height)[:, None, None]
    lit = image * across * down * np.asarray(scene.light)
    soft = cv2.GaussianBlur(np.clip(lit, 0, 255).astype(np.uint8), (0, 0), 0.7)
    return np.asarray(soft, dtype=np.uint8)
