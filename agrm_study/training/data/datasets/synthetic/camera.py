"""Where in the picture is a point of the corridor?

World frame, in metres: the camera stands at (0, camera height, 0) and looks along z; x points to the image's right,
y up, the ground is y = 0. Pixels: (0, 0) is the upper left corner of the frame.
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
    """Metres."""
    horizon_px: float
    """Row of everything at the camera's height."""

    def project(self, points_N3: Array) -> npt.NDArray[np.float64]:
        """World points (N, 3), z > 0, to pixels (N, 2)."""
        scale = self.focal_px / points_N3[:, 2]
        x = self.width / 2.0 + scale * points_N3[:, 0]
        y = self.horizon_px - scale * (points_N3[:, 1] - self.above_ground)
        return np.stack([x, y], axis=1)


def frame_walker(width: int, height: int, *, stature: float, near: float, fill: float, above_ground: float) -> Camera:
    """The camera in whose frame a walker at distance `near` takes `fill` of the height, with 9 % below the feet."""
    focal = fill * height * near / stature
    return Camera(width, height, focal, above_ground, 0.91 * height - focal * above_ground / near)


def to_world(joints: dict[str, Array], x: float, z: float, yaw: float) -> dict[str, Array]:
    """Body-frame joints placed at (x, 0, z); yaw 0 faces the camera, π turns the back, π/2 goes to the right."""
    sine, cosine = np.sin(yaw), np.cos(yaw)
    turn = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [sine, 0.0, -cosine]])
    return {name: turn @ joint + (x, 0.0, z) for name, joint in joints.items()}


def leg_box(
    camera: Camera, *, leg: float, x: float, z: float, shift: tuple[float, float] = (0.0, 0.0), scale: float = 1.0
) -> Box:
    """The square from the waist to the soles of a walker standing at (x, z), so that the legs fill a square crop.

    It depends on the length of the leg, the place and a miss (`shift`, in sides, and `scale`), never on the pose or the
    knees: its size and position say nothing about the class. It is moved, and if need be made smaller, to lie inside
    the frame.
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
