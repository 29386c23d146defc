"""Rendering of a posed skeleton as a clothed person.

Every part is the convex hull of two or more discs (two discs form a tapered limb). Parts are painted from far to near,
each in three layers, from a dark rim to a bright ridge on the side facing the light.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agrm_study.training.data.datasets.synthetic.camera import Camera
from agrm_study.training.data.datasets.synthetic.corridor import SUBPIXEL_BITS, Image
from agrm_study.training.data.datasets.synthetic.nuisance import Colour, Person
from agrm_study.training.data.datasets.synthetic.skeleton import SIDES, Array

_ARC = np.linspace(0.0, 2.0 * np.pi, 14, endpoint=False)
_CIRCLE = np.stack([np.cos(_ARC), np.sin(_ARC)], axis=1)
_LAYERS = ((1.0, 0.0, 0.66), (0.8, 0.14, 0.92), (0.42, 0.38, 1.1))
"""For each layer: fraction of the radius, shift towards the light in radii, colour factor."""


@dataclass(frozen=True)
class Outfit:
    """Items worn or carried in addition to the usual clothes."""

    coat: bool = False
    bag: bool = False


@dataclass(frozen=True)
class Part:
    """The convex hull of discs with centres (N, 3) in world metres and radii in metres."""

    centres: Array
    radii: tuple[float, ...]
    colour: Colour
    limb: str
    """Limb name; consecutive parts with the same name are painted as one shape and must have the same colour."""

    @property
    def distance(self) -> float:
        """Mean distance from the camera, in metres."""
        return float(self.centres[:, 2].mean())


def part(limb: str, colour: Colour, *discs: tuple[Array, float]) -> Part:
    """Create a part from (centre, radius) pairs."""
    return Part(np.stack([centre for centre, _ in discs]), tuple(radius for _, radius in discs), colour, limb)


def figure_parts(joints: dict[str, Array], person: Person, outfit: Outfit) -> list[list[Part]]:
    """The limbs of a person in painting order, from joints in the world frame.

    A limb is a list of parts of one colour that are painted together, layer by layer, so that no rim is visible at
    their joints.
    """
    legs = {side: list(_leg(joints, person, side)) for side in SIDES}
    arms = {side: list(_arm(joints, person, side, outfit)) for side in SIDES}
    trunk = list(_trunk(joints, person, outfit))
    behind = {side: arms[side][0].distance > trunk[-1].distance for side in SIDES}
    order = [piece for side in SIDES if behind[side] for piece in arms[side]]
    for side in sorted(SIDES, key=lambda name: -float(joints[f"knee_{name}"][2])):
        order += legs[side]
    back, front = _head(joints, person)
    order += back + trunk
    order += [piece for side in SIDES if not behind[side] for piece in arms[side]]
    order += front
    return [list(limb) for _, limb in itertools.groupby(order, key=lambda piece: piece.limb)]


def _leg(joints: dict[str, Array], person: Person, side: str) -> Iterator[Part]:
    body, clothes = person.body, person.clothes
    hip, knee, ankle, heel, toe = (joints[f"{name}_{side}"] for name in ("hip", "knee", "ankle", "heel", "toe"))
    unit = body.leg * body.girth
    calf = knee + 0.3 * (ankle - knee)
    trousers = clothes.cut > 0.5
    loose = clothes.looseness if trousers else 1.0
    colour, name = (clothes.legs if trousers else clothes.skin), f"leg_{side}"
    end = knee + (2.0 * clothes.cut - 1.0) * (ankle - knee) if trousers else ankle
    sole = np.array([0.0, 0.03, 0.0])
    shoe = (heel + 1.2 * sole, 0.036), (toe + 0.85 * sole, 0.032), (ankle, 0.04 * unit)
    lower = [part(f"shoe_{side}", clothes.shoes, *shoe)]
    if trousers:
        lower.append(part(f"sock_{side}", clothes.skin, (end, 0.042 * unit), (ankle, 0.038 * unit)))
    lower += [
        part(name, colour, (calf, 0.064 * unit * loose), (end, (0.054 if trousers else 0.038) * unit * loose)),
        part(name, colour, (knee, 0.06 * unit * loose), (calf, 0.064 * unit * loose)),
    ]
    upper = [part(name, colour, (hip, 0.095 * unit * loose), (knee, 0.061 * unit * loose))]
    if not trousers:
        hem = hip + 2.0 * clothes.cut * (knee - hip)
        shorts = (hip, 0.105 * unit), (hem, 0.095 * unit * clothes.looseness)
        upper.append(part(f"shorts_{side}", clothes.legs, *shorts))
    yield from (lower + upper if calf[2] > hip[2] else upper[:1] + lower[::-1] + upper[1:])


def _arm(joints: dict[str, Array], person: Person, side: str, outfit: Outfit) -> Iterator[Part]:
    clothes, unit = person.clothes, person.body.arm * (0.5 + 0.5 * person.body.girth)
    shoulder, elbow, wrist = (joints[f"{name}_{side}"] for name in ("shoulder", "elbow", "wrist"))
    wide = 1.25 if outfit.coat else 1.0
    hand = wrist + 0.16 * (wrist - elbow)
    arm, sleeve = f"arm_{side}", f"sleeve_{side}"
    yield part(arm, clothes.skin, (wrist, 0.05 * unit), (hand, 0.06 * unit))
    if outfit.coat or clothes.sleeve > 0.5:
        yield part(sleeve, clothes.shirt, (elbow, 0.072 * unit * wide), (wrist, 0.058 * unit * wide))
        yield part(sleeve, clothes.shirt, (shoulder, 0.092 * unit * wide), (elbow, 0.072 * unit * wide))
    else:
        yield part(arm, clothes.skin, (elbow, 0.062 * unit), (wrist, 0.05 * unit))
        yield part(arm, clothes.skin, (shoulder, 0.08 * unit), (elbow, 0.062 * unit))
        hem = shoulder + 1.5 * clothes.sleeve * (elbow - shoulder)
        yield part(sleeve, clothes.shirt, (shoulder, 0.095 * unit), (hem, 0.09 * unit))
    if outfit.bag and side == "right":
        top, below = hand - (0.0, 0.12 * unit, 0.0), hand - (0.0, 0.34 * unit, 0.0)
        yield part("bag", clothes.shoes, (top, 0.05 * unit), (below, 0.16 * unit))


def _trunk(joints: dict[str, Array], person: Person, outfit: Outfit) -> Iterator[Part]:
    body, clothes = person.body, person.clothes
    unit = body.leg * body.girth
    hips = [joints[f"hip_{side}"] for side in SIDES]
    lift = np.array([0.0, 0.09 * body.leg, 0.0])
    yield part("pelvis", clothes.legs, *[(hip + up, 0.1 * unit) for hip in hips for up in (0.0 * lift, lift)])
    yield part(
        "neck", clothes.skin, (joints["neck"], 0.45 * body.head_radius), (joints["head"], 0.5 * body.head_radius)
    )
    deep = 0.075 * body.stature * (0.5 + 0.5 * body.girth)
    shoulders = [(0.86 * joints[f"shoulder_{s}"] + 0.14 * joints["neck"] - (0, 0.02, 0), 0.75 * deep) for s in SIDES]
    if outfit.coat:
        hem = [(joints[f"hip_{s}"] + 0.28 * (joints[f"knee_{s}"] - joints[f"hip_{s}"]), 0.13 * unit) for s in SIDES]
        yield part("trunk", clothes.shirt, *shoulders, *hem)
    else:
        yield part("trunk", clothes.shirt, *shoulders, *[(hip + 1.9 * lift, 0.09 * unit + 0.012) for hip in hips])


def _head(joints: dict[str, Array], person: Person) -> tuple[list[Part], list[Part]]:
    """Parts of the head painted before the trunk, and parts painted after it."""
    radius, clothes = person.body.head_radius, person.clothes
    head, left = joints["head"], joints["shoulder_left"] - joints["shoulder_right"]
    left = left / max(float(np.linalg.norm(left)), 1e-9)
    ahead, up = np.array([left[2], 0.0, -left[0]]), np.array([0.0, radius, 0.0])
    front = 0.16 * radius * ahead
    face = part(
        "face", clothes.skin, (head + 0.2 * up + front, 0.82 * radius), (head - 0.4 * up + front, 0.64 * radius)
    )
    crown = (head + 0.42 * up - 0.2 * radius * ahead, 0.92 * radius)
    nape = (-1.3, 0.7) if clothes.long_hair else (-0.1, 0.74)
    hair = part("hair", clothes.hair, crown, (head + nape[0] * up - 0.5 * radius * ahead, nape[1] * radius))
    facing = float(-ahead[2])
    if facing < 0.3:
        return [], [face, hair]
    fringe = [(head + 0.86 * up + (0.25 * ahead + side * 0.38 * left) * radius, 0.36 * radius) for side in (-1.0, 1.0)]
    eyes = [head + 0.12 * up + (0.8 * ahead + side * 0.32 * left) * radius for side in (-1.0, 1.0)]
    dots = [part(f"eye_{k}", (38.0, 30.0, 28.0), (eye, 0.09 * radius)) for k, eye in enumerate(eyes)]
    return [hair], [face, part("fringe", clothes.hair, *fringe), *dots]


def disc_points(camera: Camera, limbs: list[list[Part]], light_angle: float) -> npt.NDArray[np.float32]:
    """Points on the rims of all discs of a figure, (layers, discs, points, 2) in pixels."""
    centres_N3 = np.concatenate([piece.centres for limb in limbs for piece in limb])
    radii_N = np.concatenate([piece.radii for limb in limbs for piece in limb]) * camera.focal_px / centres_N3[:, 2]
    centres_N2 = camera.project(centres_N3)
    towards = np.array([light_angle, -0.45])
    layers = [
        (centres_N2 + shift * radii_N[:, None] * towards)[:, None] + share * radii_N[:, None, None] * _CIRCLE
        for share, shift, _ in _LAYERS
    ]
    return np.stack(layers).astype(np.float32)


def draw_shadow(image: Image, camera: Camera, x: float, z: float, size: float) -> None:
    """Draw a soft shadow under the walker, in place; `size` is its half-width in metres."""
    centre = camera.project(np.array([[x, 0.0, z]]))[0]
    wide = size * camera.focal_px / z
    high = max(1.5, 0.32 * wide)
    left, top = int(centre[0] - 2 * wide), int(centre[1] - 2 * high)
    right, bottom = int(centre[0] + 2 * wide) + 1, int(centre[1] + 2 * high) + 1
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, camera.width), min(bottom, camera.height)
    if right <= left or bottom <= top:
        return
    x_px = (np.arange(left, right) + 0.5 - centre[0]) / wide
    y_px = (np.arange(top, bottom) + 0.5 - centre[1]) / high
    factor = 1.0 - 0.42 * np.exp(-1.4 * (x_px[None, :] ** 2 + y_px[:, None] ** 2))
    image[top:bottom, left:right] = (image[top:bottom, left:right] * factor[..., None]).astype(np.uint8)


def draw_figure(image: Image, camera: Camera, limbs: list[list[Part]], light: Colour, light_angle: float) -> None:
    """Paint the limbs into an RGB image, in place."""
    points = np.round(disc_points(camera, limbs, light_angle) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    first = 0
    for limb in limbs:
        spans = []
        for piece in limb:
            spans.append((first, first + len(piece.radii)))
            first += len(piece.radii)
        lit = [channel * share for channel, share in zip(limb[0].colour, light, strict=True)]
        for layer, (_, _, factor) in enumerate(_LAYERS):
            colour = (min(255.0, factor * lit[0]), min(255.0, factor * lit[1]), min(255.0, factor * lit[2]))
            for start, stop in spans:
                polygon = cv2.convexHull(points[layer, start:stop].reshape(-1, 2))
                cv2.fillConvexPoly(image, polygon, colour, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
