"""Answers shared by several checklists: combinations of facts, and references to tables of the report."""

from __future__ import annotations

from collections.abc import Callable

from agrm_study.report.wording import listing
from agrm_study.submission.checklists.base import AUTHORS
from agrm_study.submission.fact import Fact
from agrm_study.submission.facts import Facts


def both(*of: Callable[[Facts], Fact]) -> Callable[[Facts], Fact]:
    """An answer that combines several facts."""

    def answer(facts: Facts) -> Fact:
        found = [fact(facts) for fact in of]
        sources = dict.fromkeys(f.source for f in found if f.source)
        return Fact(" ".join(f.text for f in found if f.text), "; ".join(sources))

    return answer


def shown(text: str, *tables: str) -> Callable[[Facts], Fact]:
    """An answer that refers to tables and figures of the report."""
    return lambda facts: Fact(text, ", ".join(tables))


def goal(facts: Facts) -> Fact:
    """The question that the study addresses."""
    study = facts.m.evidence.study
    return Fact(study.question or f"Study {study.name}.", "study.yaml (question)")


def answer_of_study(facts: Facts) -> Fact:
    """The answer to the study's question."""
    from agrm_study.report.answer import answer

    return Fact(answer(facts.m), "report.html; tables")


def calibration(facts: Facts) -> Fact:
    """Discrimination, calibration and clinical utility, if they are in the report."""
    return Fact(
        "Discrimination, calibration and, for two classes, net benefit are computed with intervals.",
        "tables discrimination, calibration, predictive_values; figures pr, roc, reliability, decision_curve",
    )


def subgroups(facts: Facts) -> Fact:
    """Performance by site, sex and age."""
    return Fact(
        "Performance by sex and age group, and differences between sites, sexes and ages for every arm, with "
        "intervals, if the manifest contains these attributes.",
        "tables subgroups, heterogeneity",
    )


def clusters(facts: Facts) -> Fact:
    """Sites of the labelled subjects and their treatment in the study; left to the authors if no site is known."""
    people = facts.m.evidence.subjects
    known = people[people["label"].notna() & people["site"].notna()].drop_duplicates("subject_id")
    if known.empty:
        return Fact(f"{AUTHORS} The records contain no sites.", "")
    sizes = known["site"].value_counts().sort_index()
    text = f"Labelled subjects by site: {listing([f'{site} {n}' for site, n in sizes.items()])}."
    if len(known) < people.loc[people["label"].notna(), "subject_id"].nunique():
        text += " The site of the other subjects is unknown."
    splits = facts.m.evidence.study.splits
    if splits is not None and splits.group == "site":
        text += (
            " Folds consist of whole sites: each network was tested on sites that it was not trained on, and intervals "
            "include the differences between sites."
        )
    return Fact(text, "records/subjects; table heterogeneity")


def external(facts: Facts) -> Fact:
    """The external sets on which the networks were evaluated; left to the authors if there are none."""
    sets = facts.m.external
    if not sets:
        return Fact(f"{AUTHORS} These records contain no external test.", "")
    named = listing([f"{s.about.name} ({s.about.subjects} subjects, {s.about.clips} clips)" for s in sets])
    text = (
        f"The networks were evaluated, without any further fitting, on {named}, which "
        f"{'share' if len(sets) > 1 else 'shares'} neither videos (by checksum) nor subjects with the study's data."
    )
    declared = [s.about.name for s in sets if s.about.distinct_subjects]
    if declared:
        text += f" Identical subject ids were declared to refer to different people for {listing(declared)}."
    return Fact(text, "external/*/set.json; tables external, external_calibration")


def robustness(facts: Facts) -> Fact:
    """The corruptions under which the networks were evaluated; empty if there are none."""
    found = facts.m.corrupted
    if found is None or not found.severities:
        return Fact("", "")
    named = listing([kind.replace("_", " ") for kind in found.severities])
    return Fact(f"The networks were also evaluated on corrupted copies of the test part: {named}.", "table robustness")


def margin(facts: Facts) -> Fact:
    """Numbers of subjects and seeds, and the margin of equivalence."""
    study = facts.m.evidence.study
    equivalence = (
        f"Equivalence was defined as a difference of less than {100 * study.margin:g} points."
        if study.margin is not None
        else ""
    )
    text = (
        f"{'The test part has' if study.splits is None else 'The folds contain'} {facts.tested} subjects, and each "
        f"arm has {len(study.seeds)} "
        f"seeds; the table "
        f"variance shows the half-widths expected with more subjects or seeds. {equivalence}"
    )
    return Fact(text.strip(), "table variance; study.yaml (report.margin)")
