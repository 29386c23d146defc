"""Frames and key boxes of one planned clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from agrm_study.training.data.datasets.synthetic.camera import Camera, frame_walker, leg_box, to_world
from agrm_study.training.data.datasets.synthetic.corridor import Image, paint_corridor
from agrm_study.training.data.datasets.synthetic.figure import Outfit, draw_figure, draw_shadow, figure_parts
from agrm_study.training.data.datasets.synthetic.nuisance import Person, Scene
from agrm_study.training.data.datasets.synthetic.skeleton import Array, Knees, pose
from agrm_study.training.generators import generator

BOX_EVERY = 4
"""Number of frames between two key boxes."""
TURN_S = 0.5
"""Duration of a walker's turn, in seconds."""


@dataclass(frozen=True)
class ClipPlan:
    """All parameters that determine the frames of one clip."""

    clip_id: str
    person: Person
    knees: Knees
    scene: Scene
    outfit: Outfit
    view: int | None
    """Angle between walking direction and camera in degrees (0 towards it, 180 away); if None, the walker
    approaches, turns and walks away."""
    seed: int
    """Seed of the noise."""
    width: int
    height: int
    frames: int
    fps: float

    @property
    def camera(self) -> Camera:
        """The camera, framed for this walker."""
        return frame_walker(
            self.width,
            self.height,
            stature=self.person.body.stature,
            near=self.scene.near,
            fill=self.scene.fill,
            above_ground=self.scene.camera_height,
        )


@dataclass(frozen=True)
class Step:
    """Position (metres), yaw (radians), gait phase (cycles) and vigour of the walker in one frame."""

    x: float
    z: float
    yaw: float
    phase: float
    vigour: float


def walk(plan: ClipPlan) -> list[Step]:
    """One `Step` per frame."""
    scene, gait, seconds = plan.scene, plan.person.gait, plan.frames / plan.fps
    cycle = gait.cycle_s(plan.person.body)
    steps = []
    for frame in range(plan.frames):
        t = frame / plan.fps
        phase = scene.phase + t / cycle
        if plan.view is None:
            turn = scene.turn_at * seconds
            away = _smooth((t - turn) / TURN_S + 0.5)
            slow = 1.0 - 0.6 * float(np.exp(-0.5 * ((t - turn) / (0.35 * TURN_S)) ** 2))
            z, x = scene.near + gait.speed * abs(t - turn), scene.drift
            steps.append(Step(x, z, scene.heading + np.pi * away, phase, slow))
        else:
            yaw = float(np.radians(plan.view)) + 0.5 * scene.heading
            done = gait.speed * (t - seconds / 2.0)
            centre = scene.near + gait.speed * seconds / 2.0 * abs(float(np.cos(yaw))) + 1.5 * abs(float(np.sin(yaw)))
            steps.append(Step(scene.drift + done * np.sin(yaw), centre - done * np.cos(yaw), yaw, phase, 1.0))
    return steps


def _smooth(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


def world_joints(plan: ClipPlan, step: Step) -> dict[str, Array]:
    """Joint positions in the world frame at this step."""
    return to_world(
        pose(plan.person.body, plan.person.gait, plan.knees, step.phase, step.vigour), step.x, step.z, step.yaw
    )


def key_boxes(plan: ClipPlan) -> tuple[tuple[int, float, float, float, float], ...]:
    """Boxes (frame, x, y, w, h) every `BOX_EVERY` frames, at the turn and at the last frame (see `leg_box`)."""
    steps, camera, scene, leg = walk(plan), plan.camera, plan.scene, plan.person.body.leg
    nearest = min(range(len(steps)), key=lambda frame: steps[frame].z)
    boxes = []
    for frame in sorted({*range(0, plan.frames, BOX_EVERY), nearest, plan.frames - 1}):
        step = steps[frame]
        x, y, w, h = leg_box(camera, leg=leg, x=step.x, z=step.z, shift=scene.box_shift, scale=scene.box_scale)
        boxes.append((frame, round(x, 2), round(y, 2), round(w, 2), round(h, 2)))
    return tuple(boxes)


def render(plan: ClipPlan) -> Iterator[Image]:
    """Yield the frames (height, width, 3) of a plan in RGB uint8; equal plans produce identical pixels."""
    scene, camera = plan.scene, plan.camera
    rng = generator(plan.seed, f"noise/{plan.clip_id}")
    empty = paint_corridor(camera, scene)
    grain = np.clip(rng.normal(0.0, scene.noise, (plan.height + 32, plan.width + 32, 3)), -127, 127).astype(np.int16)
    wobble = rng.uniform(0.0, 2.0 * np.pi, 4)
    for frame, step in enumerate(walk(plan)):
        image = empty.copy()
        draw_shadow(image, camera, step.x, step.z, 0.2 * plan.person.body.stature)
        limbs = figure_parts(world_joints(plan, step), plan.person, plan.outfit)
        draw_figure(image, camera, limbs, scene.light, scene.light_angle)
        t = frame / plan.fps
        shift = scene.shake * np.array(
            [np.sin(7.1 * t + wobble[0]) + 0.5 * np.sin(17.3 * t + wobble[1]), np.sin(8.3 * t + wobble[2])]
        )
        move = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
        image = cv2.warpAffine(
            image, move, (plan.width, plan.height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        top, left = rng.integers(0, 33, 2)
        flicker = 1.0 + scene.flicker * rng.uniform(-1.0, 1.0)
        noisy = cv2.addWeighted(
            image, flicker, grain[top : top + plan.height, left : left + plan.width], 1.0, 0.0, dtype=cv2.CV_8U
        )
        yield np.asarray(noisy, dtype=np.uint8)
