"""Joint positions of a walker as a function of gait phase and frontal-plane knee angles.

Body frame, in metres: x to the walker's left, y up, z forward; the origin is on the ground, on the walking line.
A frontal-plane knee angle is the angle between thigh and shank projected on the x-y plane, 0 for a straight leg,
positive if the knee is lateral to the line from hip to ankle (genu varum), negative if it is medial (genu valgum).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
SIDES = {"left": 1.0, "right": -1.0}


@dataclass(frozen=True)
class Body:
    """Body dimensions in metres; independent of the knee angle and hence of the class."""

    stature: float
    leg: float
    """Straight-line distance between hip joint and ankle in quiet standing."""
    thigh_share: float
    """Fraction of `leg` above the knee."""
    hip_half: float
    """Half the distance between the hip joints."""
    ankle_half: float
    """Half the distance between the ankles of a walker with straight legs."""
    shoulder_half: float
    arm: float
    head_radius: float
    foot: float
    ankle_height: float
    girth: float
    """Scale factor for all radii."""


@dataclass(frozen=True)
class Gait:
    """Parameters of the walking motion."""

    speed: float
    """Walking speed, in metres per second."""
    hip_swing: float
    """Amplitude of hip flexion, in radians."""
    knee_swing: float
    """Maximum knee flexion in swing, in radians."""
    arm_swing: float
    elbow: float
    sway: float
    """Amplitude of the lateral motion of the pelvis, in metres."""
    lean: float
    """Amplitude of the lateral tilt of the trunk, in radians."""
    toe_out: float
    """Toe-out angle of the feet, in radians."""
    phase: float
    """Gait phase of the left leg at time 0, in cycles."""

    def cycle_s(self, body: Body) -> float:
        """Stride duration in seconds at which the stance foot does not slide on the ground."""
        return 4.0 * body.leg * float(np.sin(self.hip_swing)) / self.speed


@dataclass(frozen=True)
class Knees:
    """Signed frontal-plane knee angles in radians (positive for varum)."""

    left: float
    right: float


def knee_offset(upper: float, lower: float, angle: float) -> float:
    """Outward distance d of the knee from the hip-ankle line at which the frontal-plane knee angle equals `angle`.

    If u and l are the parts of the line above and below the knee, angle = atan(d/u) + atan(d/l), hence
    d² tan(angle) + d (u + l) - u l tan(angle) = 0. The root that vanishes with the angle is returned.

    Args:
        upper: u, the distance from the hip to the knee's projection onto the line, in metres.
        lower: l, the distance from the knee's projection to the ankle, in metres.
        angle: Signed angle in radians, within ±π/2.

    Returns:
        d in metres, negative for an inward knee.
    """
    tangent = float(np.tan(angle))
    if abs(tangent) < 1e-12:
        return 0.0
    total = upper + lower
    return (-total + float(np.sqrt(total**2 + 4.0 * upper * lower * tangent**2))) / (2.0 * tangent)


def ankle_half_width(body: Body, angle: float) -> float:
    """Half the distance between the ankles, in metres.

    It is larger for genu valgum, so that the knees can pass each other, and smaller for genu varum.
    """
    offset = knee_offset(body.leg * body.thigh_share, body.leg * (1.0 - body.thigh_share), angle)
    return max(body.ankle_half - (0.4 if angle > 0 else 1.0) * offset, 0.035 * body.leg)


def _bump(phase: float, centre: float, width: float) -> float:
    distance = (phase - centre + 0.5) % 1.0 - 0.5
    return float(np.exp(-0.5 * (distance / width) ** 2))


def sagittal_angles(gait: Gait, phase: float, vigour: float) -> tuple[float, float, float]:
    """Hip flexion, knee flexion and foot pitch (positive for toe up) in radians; phase 0 is heel strike.

    Hip flexion follows a cosine. Knee and foot curves are sums of Gaussian bumps at the peaks of normal gait: knee
    flexion at 14 % (loading response) and 72 % (swing) of the stride, and push-off at about 60 % (Perry and Burnfield
    2010, chapters 4 and 5).
    """
    hip = 0.09 + gait.hip_swing * float(np.cos(2.0 * np.pi * phase))
    knee = 0.06 + 0.17 * _bump(phase, 0.14, 0.07) + gait.knee_swing * _bump(phase, 0.72, 0.1)
    foot = 0.25 * _bump(phase, 0.0, 0.06) - 0.65 * _bump(phase, 0.63, 0.08) + 0.1 * _bump(phase, 0.88, 0.07)
    return vigour * hip, 0.04 + vigour * (knee - 0.04), vigour * foot


def pose(body: Body, gait: Gait, knees: Knees, phase: float, vigour: float = 1.0) -> dict[str, Array]:
    """Joint positions in the body frame.

    Args:
        body: Body dimensions.
        gait: Motion parameters.
        knees: Frontal-plane knee angles, which the projected joints reproduce exactly at every phase.
        phase: Gait phase of the left leg, in cycles; the right leg is offset by half a cycle.
        vigour: Scale factor for all sagittal motion (below 1 while the walker turns).

    Returns:
        Positions (3,) in metres by joint name: pelvis, neck, head, and hip, knee, ankle, heel, toe, shoulder, elbow and
        wrist on each side (``hip_left`` ...).
    """
    joints: dict[str, Array] = {}
    sway = gait.sway * float(np.sin(2.0 * np.pi * (phase - 0.05)))
    reach = {}
    for side, sign in SIDES.items():
        own = phase if side == "left" else phase + 0.5
        hip, knee, pitch = sagittal_angles(gait, own % 1.0, vigour)
        upper, lower = body.leg * body.thigh_share, body.leg * (1.0 - body.thigh_share)
        down = np.array([upper * np.cos(hip), lower * np.cos(hip - knee)])
        ahead = np.array([upper * np.sin(hip), lower * np.sin(hip - knee)])
        angle = knees.left if side == "left" else knees.right
        top = np.array([sway + sign * body.hip_half, 0.0])
        foot = np.array([sign * ankle_half_width(body, angle), -down.sum()])
        line = foot - top
        length = float(np.hypot(*line))
        share = float(down[0] / down.sum())
        outward = sign * np.array([-line[1], line[0]]) / length
        bent = top + share * line + knee_offset(share * length, (1.0 - share) * length, angle) * outward
        joints[f"hip_{side}"] = np.array([top[0], top[1], 0.0])
        joints[f"knee_{side}"] = np.array([bent[0], bent[1], ahead[0]])
        joints[f"ankle_{side}"] = np.array([foot[0], foot[1], ahead.sum()])
        course = np.array([sign * np.sin(gait.toe_out), 0.0, np.cos(gait.toe_out)])
        along = course * np.cos(pitch) + np.array([0.0, np.sin(pitch), 0.0])
        below = np.array([0.0, -body.ankle_height * np.cos(pitch), 0.0]) + course * body.ankle_height * np.sin(pitch)
        joints[f"heel_{side}"] = joints[f"ankle_{side}"] + below - 0.22 * body.foot * along
        joints[f"toe_{side}"] = joints[f"ankle_{side}"] + below + 0.78 * body.foot * along
        reach[side] = min(float(joints[f"heel_{side}"][1]), float(joints[f"toe_{side}"][1]))
    joints["pelvis"] = np.array([sway, 0.0, 0.0])

    trunk = body.stature - body.leg - body.ankle_height - 2.0 * body.head_radius
    tilt = gait.lean * float(np.sin(2.0 * np.pi * (phase - 0.05)))
    up = np.array([np.sin(tilt), np.cos(tilt), 0.04])
    joints["neck"] = joints["pelvis"] + trunk * 0.88 * up
    joints["head"] = joints["neck"] + np.array([0.4 * np.sin(tilt), 1.0, 0.05]) * (0.12 * trunk + body.head_radius)
    for side, sign in SIDES.items():
        own = phase + 0.5 if side == "left" else phase
        swing = vigour * gait.arm_swing * float(np.cos(2.0 * np.pi * own)) + 0.05
        bend = gait.elbow * (0.6 + 0.4 * float(np.cos(2.0 * np.pi * own)) * vigour)
        shoulder = joints["neck"] + np.array(
            [sign * body.shoulder_half, -0.07 * trunk, 0.3 * body.shoulder_half * swing]
        )
        upper_arm = np.array([sign * 0.16, -np.cos(swing), np.sin(swing)]) * 0.47 * body.arm
        forearm = np.array([sign * 0.05, -np.cos(swing + bend), np.sin(swing + bend)]) * 0.53 * body.arm
        joints[f"shoulder_{side}"] = shoulder
        joints[f"elbow_{side}"] = shoulder + upper_arm
        joints[f"wrist_{side}"] = shoulder + upper_arm + forearm
    lift = np.array([0.0, -min(reach.values()), 0.0])
    return {name: joint + lift for name, joint in joints.items()}


def frontal_angle(hip: Array, knee: Array, ankle: Array, side: str) -> float:
    """Signed frontal-plane knee angle in radians, computed from the x and y coordinates of the joints."""
    thigh, shank = (knee - hip)[:2], (ankle - knee)[:2]
    turn = float(np.arctan2(thigh[0] * shank[1] - thigh[1] * shank[0], thigh @ shank))
    return -SIDES[side] * turn
