"""Class labels and knee angles of synthetic subjects, independent of all their other attributes.

=========== ================= ==========================
difficulty  genu varum/valgum normal
=========== ================= ==========================
easy        ±(26 ± 3)°        0 ± 3°
medium      ±(18 ± 4)°        0 ± 4°
hard        ±(11 ± 3)°        0 ± 3°
=========== ================= ==========================

Angles are given as mean ± standard deviation of a normal distribution truncated at two standard deviations; both knee
angles of a subject lie within ±1.5° of the sampled angle. Classes are balanced: their counts differ by at most one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agrm_study.study.labels import LABELS
from agrm_study.training.data.datasets.synthetic.skeleton import Knees
from agrm_study.training.generators import generator

ANGLES_DEG = {"easy": (26.0, 3.0), "medium": (18.0, 4.0), "hard": (11.0, 3.0)}
"""Mean and standard deviation of the knee angle of an abnormal subject, in degrees, by difficulty."""
DIFFICULTIES = tuple(ANGLES_DEG)
SIGN = {"normal": 0.0, "genu_varum": 1.0, "genu_valgum": -1.0}
"""Sign of the knee angle (positive: outward, see `skeleton`)."""


def balanced_labels(seed: int, purpose: str, subjects: Sequence[str]) -> dict[str, str]:
    """A label for each subject, balanced and shuffled using the random stream ``class/<purpose>``."""
    order = generator(seed, f"class/{purpose}").permutation(len(subjects))
    return {subjects[int(place)]: LABELS[rank % len(LABELS)] for rank, place in enumerate(order)}


def draw_knees(seed: int, subject: str, label: str, difficulty: str) -> Knees:
    """Knee angles of a subject, sampled from the random stream ``angle/<subject>``."""
    rng = generator(seed, f"angle/{subject}")
    mean, deviation = ANGLES_DEG[difficulty]
    score = rng.normal()
    while abs(score) > 2.0:
        score = rng.normal()
    angle = SIGN[label] * mean + score * deviation
    left, right = angle + rng.uniform(-1.5, 1.5, size=2)
    return Knees(left=math.radians(left), right=math.radians(right))
