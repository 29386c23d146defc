"""Subjects and clips of a synthetic data set.

The labelled part follows SPWVD: children, one clip each, who walk towards the camera and back (`C0001.mp4`, 192x256,
36 frames at 12.5 fps: 2.9 s; real clips last 15 to 20 s). The unlabelled part follows CASIA-B: adults 001 to 124 at a
different location, several clips each, named subject-condition-number-view (`001-nm-01-000.avi`, 320x240, 50 frames at
25 fps: 2 s). Four out of five unlabelled clips show view 000 or 180; the fifth shows view 018, 090 or 162, which
`data.views` excludes by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agrm_study.training.data.datasets.synthetic.classes import balanced_labels, draw_knees
from agrm_study.training.data.datasets.synthetic.clip import ClipPlan
from agrm_study.training.data.datasets.synthetic.figure import Outfit
from agrm_study.training.data.datasets.synthetic.nuisance import draw_person, draw_scene
from agrm_study.training.generators import generator

CONDITIONS: tuple[str, ...] = (
    *(f"nm-{number:02d}" for number in range(1, 7)),
    *(f"{condition}-{number:02d}" for condition in ("bg", "cl") for number in (1, 2)),
)
MAIN_VIEWS = (0, 180)
OTHER_VIEWS = (18, 90, 162)
ADULTS = 124
"""Number of subjects in CASIA-B."""
CLIPS_PER_ADULT = 3
"""Minimum number of clips per adult; larger if the data set has more clips than `ADULTS` times this number."""
MOST_UNLABELLED = ADULTS * len(CONDITIONS) * len(MAIN_VIEWS)


@dataclass(frozen=True)
class Role:
    """One planned clip: the plan of its frames, its location in the data set and its manifest entry."""

    plan: ClipPlan
    file: str
    """Path relative to the data set's folder."""
    codec: str
    subject: str
    label: str
    hidden: bool
    """Whether the label appears only in the manifest's `hidden_label`."""
    condition: str | None


def labelled_roles(subjects: int, seed: int, difficulty: str) -> list[Role]:
    """One clip for each child."""
    names = [f"C{number:04d}" for number in range(1, subjects + 1)]
    labels = balanced_labels(seed, "labelled", names)
    roles = []
    for name in names:
        plan = ClipPlan(
            clip_id=name,
            person=draw_person(seed, name, difficulty, adult=False),
            knees=draw_knees(seed, name, labels[name], difficulty),
            scene=draw_scene(seed, name, name, difficulty, adult=False),
            outfit=Outfit(),
            view=None,
            seed=seed,
            width=192,
            height=256,
            frames=36,
            fps=12.5,
        )
        roles.append(Role(plan, f"spwvd/{name}.mp4", "h264", name, labels[name], False, None))
    return roles


def unlabelled_roles(clips: int, seed: int, difficulty: str) -> list[Role]:
    """Clips of the adults, in order of subject name."""
    per_adult = max(CLIPS_PER_ADULT, -(-clips // ADULTS))
    names = [f"{number:03d}" for number in range(1, -(-clips // per_adult) + 1)]
    labels = balanced_labels(seed, "unlabelled", names)
    roles = []
    for rank, name in enumerate(names):
        takes = draw_takes(seed, name, range(rank * per_adult, min((rank + 1) * per_adult, clips)))
        person = draw_person(seed, name, difficulty, adult=True)
        knees = draw_knees(seed, name, labels[name], difficulty)
        for condition, view in takes:
            clip_id = f"{name}-{condition}-{view:03d}"
            plan = ClipPlan(
                clip_id=clip_id,
                person=person,
                knees=knees,
                scene=draw_scene(seed, name, clip_id, difficulty, adult=True),
                outfit=Outfit(coat=condition.startswith("cl"), bag=condition.startswith("bg")),
                view=view,
                seed=seed,
                width=320,
                height=240,
                frames=50,
                fps=25.0,
            )
            roles.append(
                Role(plan, f"casia_b/{clip_id}.avi", "mpeg4", f"casia_b-{name}", labels[name], True, condition)
            )
    return roles


def draw_takes(seed: int, subject: str, numbers: Sequence[int]) -> list[tuple[str, int]]:
    """Condition and view of each clip of a subject, sorted and unique; `numbers` are clip indices in the data set."""
    rng = generator(seed, f"nuisance/{subject}/takes")
    main, other = (
        iter(rng.permutation([(condition, view) for condition in range(len(CONDITIONS)) for view in views]).tolist())
        for views in (MAIN_VIEWS, OTHER_VIEWS)
    )
    takes = [next(other) if number % 5 == 4 else next(main) for number in numbers]
    return sorted((CONDITIONS[condition], view) for condition, view in takes)
