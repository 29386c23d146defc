"""The rendered knees have the requested geometry."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from agrm_study.study.labels import LABELS
from agrm_study.training.data.datasets.synthetic.camera import Camera, frame_walker, leg_box
from agrm_study.training.data.datasets.synthetic.cast import labelled_roles
from agrm_study.training.data.datasets.synthetic.classes import (
    ANGLES_DEG,
    DIFFICULTIES,
    SIGN,
    balanced_labels,
    draw_knees,
)
from agrm_study.training.data.datasets.synthetic.clip import walk, world_joints
from agrm_study.training.data.datasets.synthetic.nuisance import draw_person
from agrm_study.training.data.datasets.synthetic.skeleton import (
    SIDES,
    Knees,
    ankle_half_width,
    frontal_angle,
    knee_offset,
    pose,
)


@pytest.mark.parametrize("degrees", [-30.0, -11.0, -0.01, 0.0, 5.0, 26.0])
def test_the_knee_offset_solves_the_closed_form(degrees: float) -> None:
    upper, lower, angle = 0.31, 0.27, math.radians(degrees)
    offset = knee_offset(upper, lower, angle)
    assert math.atan(offset / upper) + math.atan(offset / lower) == pytest.approx(angle, abs=1e-12)


def test_a_leg_of_equal_halves_moves_the_knee_by_half_the_leg_times_the_tangent_of_half_the_angle() -> None:
    assert knee_offset(0.25, 0.25, math.radians(20.0)) == pytest.approx(0.25 * math.tan(math.radians(10.0)))


@pytest.mark.parametrize("phase", np.linspace(0.0, 1.0, 9))
@pytest.mark.parametrize("degrees", [-22.0, 0.0, 14.0])
def test_the_angle_measured_from_hip_knee_and_ankle_is_the_angle_asked_for_at_every_phase(
    phase: float, degrees: float
) -> None:
    person = draw_person(3, "C0001", "hard", adult=False)
    knees = Knees(left=math.radians(degrees), right=math.radians(degrees + 2.0))
    joints = pose(person.body, person.gait, knees, float(phase))
    for side, asked in (("left", degrees), ("right", degrees + 2.0)):
        hip, knee, ankle = (joints[f"{name}_{side}"][:2] for name in ("hip", "knee", "ankle"))
        cosine = (hip - knee) @ (ankle - knee) / np.linalg.norm(hip - knee) / np.linalg.norm(ankle - knee)
        assert 180.0 - math.degrees(math.acos(max(-1.0, cosine))) == pytest.approx(abs(asked), abs=1e-4)
        assert math.degrees(frontal_angle(*(joints[f"{n}_{side}"] for n in ("hip", "knee", "ankle")), side)) == (
            pytest.approx(asked, abs=1e-9)
        )


@pytest.mark.parametrize(("label", "apart"), [("genu_varum", True), ("genu_valgum", False)])
def test_bow_legs_part_the_knees_and_knock_knees_bring_them_together(label: str, apart: bool) -> None:
    person = draw_person(0, "C0001", "easy", adult=False)
    width = {}
    for name in (label, "normal"):
        joints = pose(person.body, person.gait, draw_knees(0, "C0001", name, "easy"), 0.1)
        width[name] = float(joints["knee_left"][0] - joints["knee_right"][0])
    assert (width[label] > width["normal"]) is apart
    assert width["genu_varum" if apart else "genu_valgum"] > 0.0


def test_stature_and_leg_height_do_not_depend_on_the_knees() -> None:
    person = draw_person(0, "C0001", "easy", adult=False)
    heights = []
    for degrees in (-26.0, 0.0, 26.0):
        joints = pose(person.body, person.gait, Knees(math.radians(degrees), math.radians(degrees)), 0.3)
        heights.append((joints["head"][1], joints["hip_left"][1], joints["hip_right"][1]))
    np.testing.assert_allclose(heights[0], heights[1], atol=1e-12)
    np.testing.assert_allclose(heights[2], heights[1], atol=1e-12)


def test_the_lowest_foot_stands_on_the_ground() -> None:
    person = draw_person(0, "C0002", "medium", adult=False)
    for phase in np.linspace(0.0, 1.0, 13):
        joints = pose(person.body, person.gait, Knees(0.1, 0.1), float(phase))
        assert min(joints[f"{name}_{side}"][1] for name in ("heel", "toe") for side in SIDES) == pytest.approx(0.0)


def test_each_leg_lifts_its_foot_once_a_stride_in_turn() -> None:
    person = draw_person(0, "C0002", "medium", adult=False)
    phases = np.linspace(0.0, 1.0, 100, endpoint=False)
    lift = {
        side: [pose(person.body, person.gait, Knees(0, 0), p)[f"ankle_{side}"][1] for p in phases] for side in SIDES
    }
    swing = {side: phases[int(np.argmax(lift[side]))] for side in SIDES}
    assert 0.6 < swing["left"] < 0.85
    assert abs(swing["left"] - swing["right"]) == pytest.approx(0.5, abs=0.02)


def test_knock_kneed_walkers_set_their_feet_wider_and_no_feet_cross() -> None:
    body = draw_person(0, "C0002", "hard", adult=False).body
    angles = np.radians([-30, -10, 0, 10, 30])
    widths = [ankle_half_width(body, float(angle)) for angle in angles]
    assert widths == sorted(widths, reverse=True)
    assert min(widths) > 0.0


def test_the_projected_skeleton_keeps_the_angle_in_the_picture() -> None:
    role = labelled_roles(6, 1, "easy")[0]
    scene = dataclasses.replace(role.plan.scene, heading=0.0)
    plan = dataclasses.replace(role.plan, scene=scene)
    still = dataclasses.replace(walk(plan)[0], yaw=0.0, vigour=0.0)
    joints = world_joints(plan, still)
    for side, asked in (("left", plan.knees.left), ("right", plan.knees.right)):
        pixels = plan.camera.project(np.stack([joints[f"{name}_{side}"] for name in ("hip", "knee", "ankle")]))
        upright = np.column_stack([pixels[:, 0], -pixels[:, 1]])
        assert math.degrees(frontal_angle(*upright, side)) == pytest.approx(math.degrees(asked), abs=0.5)


def test_a_point_at_the_cameras_height_lies_on_the_horizon_and_scale_falls_with_distance() -> None:
    camera = Camera(192, 256, 500.0, 1.0, 120.0)
    pixels = camera.project(np.array([[0.0, 1.0, 3.0], [0.5, 1.0, 5.0], [0.0, 0.0, 5.0]]))
    np.testing.assert_allclose(pixels, [[96.0, 120.0], [146.0, 120.0], [96.0, 220.0]])


def test_the_nearest_walker_takes_the_share_of_the_frame_that_was_asked_for() -> None:
    camera = frame_walker(192, 256, stature=1.2, near=3.0, fill=0.75, above_ground=0.9)
    top, feet = camera.project(np.array([[0.0, 1.2, 3.0], [0.0, 0.0, 3.0]]))[:, 1]
    assert feet - top == pytest.approx(0.75 * 256)


def test_a_leg_box_is_a_square_round_the_legs_that_stays_inside_the_frame() -> None:
    camera = frame_walker(192, 256, stature=1.2, near=3.0, fill=0.75, above_ground=0.9)
    x, y, w, h = leg_box(camera, leg=0.55, x=0.0, z=3.0)
    waist, soles = camera.project(np.array([[0.0, 0.6, 3.0], [0.0, 0.0, 3.0]]))[:, 1]
    assert w == h
    assert y < waist < soles < y + h
    assert (soles - waist) / h > 0.75
    moved = leg_box(camera, leg=0.55, x=0.0, z=3.0, shift=(0.1, 0.0), scale=1.1)
    assert moved[2] == pytest.approx(1.1 * w)
    assert moved[0] + moved[2] / 2.0 == pytest.approx(x + w / 2.0 + 0.1 * w)
    for shift in (-5.0, 5.0):
        x, y, w, h = leg_box(camera, leg=0.55, x=shift, z=3.0)
        assert 0.0 <= x <= x + w <= 192.0


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_angles_have_the_documented_mean_and_spread(difficulty: str) -> None:
    mean, deviation = ANGLES_DEG[difficulty]
    for label in LABELS:
        drawn = np.degrees([draw_knees(0, f"C{k}", label, difficulty).left for k in range(400)])
        assert abs(drawn - SIGN[label] * mean).max() <= 2.0 * deviation + 1.5
        assert drawn.mean() == pytest.approx(SIGN[label] * mean, abs=4.0 * deviation / 20.0)


@pytest.mark.parametrize("count", [6, 60, 61])
def test_labels_are_balanced_to_within_one(count: int) -> None:
    labels = list(balanced_labels(0, "labelled", [f"C{k}" for k in range(count)]).values())
    counts = [labels.count(label) for label in LABELS]
    assert max(counts) - min(counts) <= 1


def test_nothing_but_the_knees_changes_with_the_class_stream() -> None:
    first, other = labelled_roles(12, 5, "medium"), labelled_roles(13, 5, "medium")
    assert [role.label for role in first] != [role.label for role in other[:12]]
    for one, two in zip(first, other[:12], strict=True):
        assert dataclasses.replace(one.plan, knees=two.plan.knees) == two.plan
