"""Pinhole camera that projects the corridor into the image.

World frame, in metres: the camera is at (0, camera height, 0) and looks along z; x points to the right of the image,
y up, and the ground is y = 0. Pixel (0, 0) is the upper left corner of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agrm_study.training.data.datasets.synthetic.skeleton import Array

Box = tuple[float, float, float, float]
"""x, y, w, h in pixels."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera."""

    width: int
    height: int
    focal_px: float
    above_ground: float
    """Height above the ground, in metres."""
    horizon_px: float
    """Image row of points at the camera's height."""

    def project(self, points_N3: Array) -> npt.NDArray[np.float64]:
        """Project world points (N, 3) with z > 0 to pixels (N, 2)."""
        scale = self.focal_px / points_N3[:, 2]
        x = self.width / 2.0 + scale * points_N3[:, 0]
        y = self.horizon_px - scale * (points_N3[:, 1] - self.above_ground)
        return np.stack([x, y], axis=1)


def frame_walker(width: int, height: int, *, stature: float, near: float, fill: float, above_ground: float) -> Camera:
    """Create a camera for a walker at distance `near`, in metres.

    The walker occupies the fraction `fill` of the image height, with the feet 9 % above the bottom.
    """
    focal = fill * height * near / stature
    return Camera(width, height, focal, above_ground, 0.91 * height - focal * above_ground / near)


def to_world(joints: dict[str, Array], x: float, z: float, yaw: float) -> dict[str, Array]:
    """Place body-frame joints at (x, 0, z).

    The walker faces the camera at yaw 0, right at π/2, and away from the camera at π.
    """
    sine, cosine = np.sin(yaw), np.cos(yaw)
    turn = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [sine, 0.0, -cosine]])
    return {name: turn @ joint + (x, 0.0, z) for name, joint in joints.items()}


def leg_box(
    camera: Camera, *, leg: float, x: float, z: float, shift: tuple[float, float] = (0.0, 0.0), scale: float = 1.0
) -> Box:
    """A square from the waist to the soles of a walker at (x, z), so that the legs fill a square crop.

    It depends on the leg length, the position and a simulated detection error (`shift`, in units of the side, and
    `scale`), but not on the pose or the knees, so its size and position carry no information about the class. The
    square is moved, and shrunk if necessary, to lie inside the frame.
    """
    ends = camera.project(np.array([[x, 1.16 * leg, z], [x, 0.0, z - 0.3 * leg]]))
    exact = 1.02 * float(ends[1, 1] - ends[0, 1])
    side = min(scale * exact, float(camera.width), float(camera.height))
    left = ends[0, 0] + shift[0] * exact - side / 2.0
    top = ends[0, 1] + (0.5 + shift[1]) * exact - side / 2.0
    return (
        float(np.clip(left, 0.0, camera.width - side)),
        float(np.clip(top, 0.0, camera.height - side)),
        side,
        side,
    )
