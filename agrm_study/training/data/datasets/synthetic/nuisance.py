"""Nuisance variables: attributes of walkers and recordings that are independent of the class.

Attributes of a person are sampled from ``generator(seed, "nuisance/<subject>")``, attributes of a recording from
``"nuisance/<subject>/<clip>"``. These functions do not receive the class, which is sampled from separate streams
(`classes`).
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from agrm_study.training.data.datasets.synthetic.skeleton import Body, Gait
from agrm_study.training.generators import generator

Colour = tuple[float, float, float]
"""Red, green, blue in 0..255."""


@dataclass(frozen=True)
class Clothes:
    """Colours and cut of the clothes."""

    skin: Colour
    hair: Colour
    shirt: Colour
    legs: Colour
    shoes: Colour
    cut: float
    """End of the trousers as a fraction of the distance from hip to ankle; below 0.5 they are shorts."""
    looseness: float
    """Scale factor for the radius of the trousers."""
    sleeve: float
    """End of the sleeve as a fraction of the arm."""
    long_hair: bool


@dataclass(frozen=True)
class Person:
    """Attributes of a subject, constant over all recordings."""

    body: Body
    gait: Gait
    clothes: Clothes
    sex: str
    age: float
    """Age in years."""


@dataclass(frozen=True)
class Scene:
    """Attributes of one recording."""

    wall: Colour
    floor: Colour
    ceiling: Colour
    door: Colour
    half_width: float
    """Half the corridor's width, in metres."""
    height: float
    depth: float
    doors: tuple[float, ...]
    """Distances of the doors from the camera, in metres; negative for the left wall, positive for the right wall."""
    tiles: float
    """Side of a floor tile, in metres; 0 for a plain floor."""
    camera_height: float
    """Height of the camera, in metres."""
    near: float
    """Smallest distance between walker and camera, in metres."""
    fill: float
    """Fraction of the frame's height that the walker occupies at distance `near`."""
    drift: float
    """Lateral offset of the walking line, in metres."""
    heading: float
    """Angle between walking line and camera axis, in radians."""
    turn_at: float
    """Time of the turn as a fraction of the clip, for a walker who approaches and walks away."""
    light: Colour
    """Scale factors for red, green and blue."""
    light_angle: float
    """Direction of the light, from -1 (image left) to 1 (image right)."""
    gradient: tuple[float, float]
    """Relative change of the light across the frame, horizontally and vertically."""
    flicker: float
    noise: float
    """Standard deviation of the sensor noise, in grey levels."""
    shake: float
    """Amplitude of the camera shake, in pixels."""
    quality: float
    """Compression, from 0 (light) to 1 (heavy)."""
    phase: float
    """Gait phase at the first frame, in cycles."""
    box_shift: tuple[float, float]
    """Offset of the person's box as a fraction of its side, which simulates an inexact detector."""
    box_scale: float
    """Scale factor for the side of the person's box."""


STRENGTH = {"easy": 0.35, "medium": 0.6, "hard": 1.0}
"""Fraction of each nuisance range that is used, by difficulty, centred on the midpoint of the range."""


class _Ranges:
    """Uniform sampling from ranges that are narrowed around their midpoints according to the difficulty."""

    def __init__(self, rng: np.random.Generator, strength: float) -> None:
        self.rng, self.strength = rng, strength

    def __call__(self, low: float, high: float) -> float:
        middle, half = (low + high) / 2.0, (high - low) / 2.0
        return float(middle + self.strength * half * self.rng.uniform(-1.0, 1.0))

    def most(self, high: float) -> float:
        """A value between 0.2 and 1 times `high`, scaled by the strength."""
        return float(self.strength * high * self.rng.uniform(0.2, 1.0))

    def colour(self, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
        """A colour of random hue; its ranges do not depend on the difficulty."""
        hue, sat, val = self.rng.uniform(), self.rng.uniform(*saturation), self.rng.uniform(*value)
        red, green, blue = colorsys.hsv_to_rgb(hue, sat, val)
        return (255.0 * red, 255.0 * green, 255.0 * blue)

    def between(self, dark: Colour, light: Colour) -> Colour:
        """A random mixture of two colours; its range does not depend on the difficulty."""
        share = self.rng.uniform()
        mixed = np.asarray(dark) * (1.0 - share) + np.asarray(light) * share
        return (float(mixed[0]), float(mixed[1]), float(mixed[2]))


def draw_person(seed: int, subject: str, difficulty: str, *, adult: bool) -> Person:
    """Sample the attributes of a child (3 to 12 years) or an adult; a pure function of the arguments."""
    rng = generator(seed, f"nuisance/{subject}")
    draw = _Ranges(rng, STRENGTH[difficulty])
    sex = "male" if rng.uniform() < 0.5 else "female"
    age = round(float(rng.uniform(19.0, 45.0) if adult else rng.uniform(3.0, 12.0)), 1)
    usual = (1.74 if sex == "male" else 1.62) if adult else 0.77 + 0.06 * age
    stature = usual * draw(0.92, 1.08)
    leg = stature * (draw(0.455, 0.485) if adult else draw(0.43, 0.475))
    body = Body(
        stature=stature,
        leg=leg,
        thigh_share=draw(0.49, 0.54),
        hip_half=leg * (draw(0.11, 0.135) if adult else draw(0.12, 0.15)),
        ankle_half=leg * draw(0.04, 0.15),
        shoulder_half=stature * (draw(0.105, 0.125) if adult else draw(0.1, 0.12)),
        arm=stature * draw(0.36, 0.41),
        head_radius=stature * (draw(0.062, 0.07) if adult else draw(0.078, 0.092)),
        foot=stature * draw(0.14, 0.16),
        ankle_height=stature * 0.042,
        girth=draw(0.75, 1.3),
    )
    gait = Gait(
        speed=draw(1.0, 1.4) if adult else draw(0.75, 1.15),
        hip_swing=draw(0.33, 0.45),
        knee_swing=draw(0.85, 1.1),
        arm_swing=draw(0.2, 0.55),
        elbow=draw(0.15, 0.6),
        sway=body.leg * draw(0.0, 0.08),
        lean=draw(0.0, 0.07),
        toe_out=draw(-0.15, 0.45),
        phase=0.0,
    )
    clothes = Clothes(
        skin=draw.between((120.0, 78.0, 56.0), (242.0, 204.0, 178.0)),
        hair=draw.between((22.0, 18.0, 16.0), (150.0, 104.0, 60.0)),
        shirt=draw.colour((0.1, 0.7), (0.3, 0.92)),
        legs=draw.colour((0.1, 0.6), (0.15, 0.8)),
        shoes=draw.colour((0.0, 0.5), (0.1, 0.9)),
        cut=float(rng.uniform(0.26, 0.4) if rng.uniform() < 0.4 else rng.uniform(0.86, 0.95)),
        looseness=draw(1.0, 1.5),
        sleeve=float(rng.uniform(0.35, 0.5) if rng.uniform() < 0.6 else 0.95),
        long_hair=bool(rng.uniform() < (0.7 if sex == "female" else 0.08)),
    )
    return Person(body=body, gait=gait, clothes=clothes, sex=sex, age=age)


def draw_scene(seed: int, subject: str, clip: str, difficulty: str, *, adult: bool) -> Scene:
    """Sample the corridor, camera and light of a recording: a clinic for children, a gait laboratory for adults."""
    rng = generator(seed, f"nuisance/{subject}/{clip}")
    draw = _Ranges(rng, STRENGTH[difficulty])
    if adult:
        wall = draw.between((72.0, 110.0, 84.0), (140.0, 160.0, 150.0))
        floor = draw.between((74.0, 92.0, 70.0), (126.0, 118.0, 104.0))
    else:
        wall = draw.colour((0.03, 0.3), (0.55, 0.95))
        floor = draw.colour((0.05, 0.4), (0.35, 0.8))
    warmth = draw(-0.08, 0.08)
    level = draw(0.6, 1.15)
    return Scene(
        wall=wall,
        floor=floor,
        ceiling=draw.colour((0.0, 0.06), (0.85, 0.98)),
        door=draw.colour((0.1, 0.5), (0.3, 0.8)),
        half_width=draw(1.1, 1.9) + (0.9 if adult else 0.0),
        height=draw(2.4, 3.0),
        depth=draw(8.0, 13.0),
        doors=tuple(float(side * rng.uniform(3.0, 7.5)) for side in (-1.0, 1.0) if rng.uniform() < 0.75),
        tiles=float(rng.choice([0.0, 0.4, 0.6, 0.9])),
        camera_height=draw(0.6, 1.3) + (0.25 if adult else 0.0),
        near=draw(2.7, 3.5) + (1.0 if adult else 0.0),
        fill=draw(0.72, 0.82),
        drift=draw(-0.16, 0.16),
        heading=draw(-0.24, 0.24),
        turn_at=draw(0.4, 0.6),
        light=(level * (1.0 + warmth), level, level * (1.0 - warmth)),
        light_angle=draw(-1.0, 1.0),
        gradient=(draw(-0.25, 0.25), draw(-0.2, 0.2)),
        flicker=draw.most(0.04),
        noise=draw.most(11.0),
        shake=draw.most(1.2),
        quality=draw(0.0, 1.0),
        phase=float(rng.uniform()),
        box_shift=(draw(-0.1, 0.1), draw(-0.07, 0.07)),
        box_scale=draw(0.96, 1.22),
    )
