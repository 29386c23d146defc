"""A plan lists the trials that an edit of a part invalidates."""

from __future__ import annotations

from pathlib import Path

from own_files import PARTS, write_study

import agrm_study as ags
from agrm_study.execution.dispatch.edited_parts import _under_new_names, edited_parts
from agrm_study.plan.expand import expand
from agrm_study.plan.plan import write_cells
from agrm_study.records.location import Location
from agrm_study.study.resolved import write_resolved


def plan_of(study: ags.Study):
    return expand(study, lambda recipe: ("data", "split"))


def test_the_trials_of_an_edited_part_are_named_with_their_arms_and_no_others(tmp_path: Path) -> None:
    results = Location.of(tmp_path / "r")
    before = ags.load_study(write_study(tmp_path))
    plan = plan_of(before)
    write_resolved(before, tmp_path / "r" / "study.yaml")
    write_cells(plan, tmp_path / "r" / "plan.json")
    done = {cell.trial_id for cell in plan.cells if cell.arm != "rising"}
    assert edited_parts(before, plan, plan.missing(done), results, done) == ()

    after = ags.load_study(write_study(tmp_path, parts=PARTS.replace("padding=1", "padding=(1, 1, 1)")))
    plan = plan_of(after)
    [part] = edited_parts(after, plan, plan.missing(done), results, done)
    assert part.written == "my_parts.py"
    assert set(part.arms) == {"plain", "plain, 2 blocks"}
    assert part.sentence(2.4).startswith(
        "my_parts.py has changed since its trials were recorded: 2 trials of plain, plain, 2 blocks run again, "
        "about 2 slot-hours"
    )


def test_times_of_the_part_before_the_edit_are_taken_for_those_after_it(tmp_path: Path) -> None:
    study = ags.load_study(write_study(tmp_path))
    rows = [{"backbone": "plain3d@0123456789abcdef"}, {"backbone": "r3d_18"}, {"backbone": "gone@0123456789abcdef"}]
    assert [row["backbone"] for row in _under_new_names(rows, study)] == [
        f"plain3d@{study.parts[0].source}",
        "r3d_18",
        "gone@0123456789abcdef",
    ]
