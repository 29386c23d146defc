"""Which arms does a study have? Those it lists, those its grid crosses, or the base alone where it searches."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agrm_study.study.arm_names import arm_name, symbols
from agrm_study.study.document import KeyPath
from agrm_study.study.errors import did_you_mean
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.search_space import Dimension
from agrm_study.study.settings import Setting, read_settings, refusal
from agrm_study.study.spec import MAX_NAME, ArmEntry, Factor, read_name
from agrm_study.study.translate import Rule

MAX_ARMS = 10_000
"""Arms a grid may cross to: beyond it somebody has mistaken a grid for a search."""


@dataclass(frozen=True, slots=True)
class ArmDraft:
    """An arm before its recipe is built: its name, what it sets, and where it stands."""

    name: str
    settings: tuple[Setting, ...]
    place: Place
    accelerator: str | None = None


def listed_arms(entries: Sequence[ArmEntry], places: Places, problems: Problems) -> list[ArmDraft]:
    """The arms of an `arms` list."""
    drafts = []
    for position, entry in enumerate(entries):
        path = ("arms", position)
        settings = read_settings(entry.set, places, problems, at=(*path, "set"))
        place = places.find((*path, "name"))
        drafts.append(ArmDraft(entry.name, tuple(settings), place, entry.resources.accelerator))
    return drafts


def check_accelerators(drafts: Sequence[ArmDraft], of_study: str | None, problems: Problems) -> None:
    """Note the arms without a kind of accelerator where others name one.

    Trials that may run anywhere would take the nodes that the others wait for.
    """
    named = list(dict.fromkeys(draft.accelerator for draft in drafts if draft.accelerator))
    if not named or of_study:
        return
    for draft in drafts:
        if not draft.accelerator:
            problems.add(
                draft.place,
                f"other arms name the accelerator that they need ({', '.join(named)}), this one does not",
                field="resources.accelerator",
                given=draft.name,
                hint="Name it here too, or for all other arms in the study's `resources: {accelerator: …}`.",
            )


def grid_arms(factors: Mapping[str, Factor], places: Places, problems: Problems) -> list[ArmDraft]:
    """The crossed arms of a `grid`, the first factor varying slowest; equal combinations appear once."""
    usable = check_factors(("grid",), factors, places, problems)
    if len(usable) < len(factors):
        return []
    size = 1
    for name in usable:
        size *= len(factors[name].values)
    if size > MAX_ARMS:
        problems.add(
            places.find(("grid",)),
            f"crosses to {size} arms, more than {MAX_ARMS}",
            field="grid",
            hint="Vary fewer values, or let `search` sample them.",
        )
        return []
    symbol_of = symbols(usable)
    symbol_of.update({name: symbol for name in usable if (symbol := factors[name].symbol) is not None})
    drafts: list[ArmDraft] = []
    seen: set[str] = set()
    for assigned in _combinations(usable, factors):
        key = repr([(name, value) for name, (_, value) in assigned.items()])
        if key in seen:
            continue
        seen.add(key)
        name = arm_name(assigned, symbol_of)
        try:
            read_name(name)
        except Rule as broken:
            problems.add(
                places.find(("grid",)),
                f"makes an arm that cannot be a row of a table: its name {broken.rule}",
                field="grid",
                given=name,
                hint=f"Name long values, `values: {{label: value}}`, in at most {MAX_NAME} characters.",
            )
            return []
        settings = tuple(
            Setting(factor, value, places.find(("grid", factor))) for factor, (_, value) in assigned.items()
        )
        drafts.append(ArmDraft(name, settings, places.find(("grid",))))
    return drafts


def check_factors(
    group: KeyPath, factors: Mapping[str, Factor | Dimension], places: Places, problems: Problems
) -> list[str]:
    """The names of factors (or dimensions) that exist and whose conditions can hold, in their order.

    Notes names that do not exist, and conditions that name no earlier factor or can never hold.
    """
    usable: list[str] = []
    holding: dict[str, dict[str, list[Any]]] = {}
    label = ".".join(map(str, group))
    for name, factor in factors.items():
        if (broken := refusal(name)) is not None:
            problems.add(places.find((*group, name)), broken[0], field=f"{label}.{name}", hint=broken[1])
            continue
        missing = [other for other in factor.when.required if other not in usable]
        for other in missing:
            problems.add(
                places.find((*group, name, "when", other)),
                "must name a setting that is varied further up",
                field=f"{label}.{name}.when",
                given=other,
                allowed=", ".join(usable) or "none: this is the first one",
            )
        if missing:
            continue
        holding[name] = _holding(name, factors, holding)
        never = next((other for other, values in holding[name].items() if not values), None)
        if never is None:
            usable.append(name)
        elif any(factors[never].can_be(value) for value in factor.when.required.get(never, ())):
            problems.add(
                places.find((*group, name, "when")),
                f"can never hold: where the other settings that it names are varied, {never} has other values",
                field=f"{label}.{name}.when",
            )
        else:
            wanted = factor.when.required[never]
            problems.add(
                places.find((*group, name, "when", never)),
                f"can never hold: {never} has no such value",
                field=f"{label}.{name}.when",
                given=wanted[0] if len(wanted) == 1 else list(wanted),
                allowed=factors[never].values_text,
                hint=None if len(wanted) > 1 else did_you_mean(str(wanted[0]), factors[never].values_text.split(", ")),
            )
    return usable


def _holding(
    name: str, factors: Mapping[str, Factor | Dimension], holding: Mapping[str, dict[str, list[Any]]]
) -> dict[str, list[Any]]:
    """For each factor on which one depends, directly or through others: its values where that one is varied.

    Args:
        name: The factor.
        factors: All of them.
        holding: The same of the factors further up.
    """
    required = factors[name].when.required
    found: dict[str, list[Any]] = {}
    all_demands: list[Mapping[str, Sequence[Any]]] = [*(holding[other] for other in required), required]
    for demands in all_demands:
        for other, values in demands.items():
            before = found.get(other)
            found[other] = [v for v in values if factors[other].can_be(v) and (before is None or v in before)]
    return found


def _combinations(
    names: Sequence[str], factors: Mapping[str, Factor], assigned: Mapping[str, tuple[str | None, Any]] | None = None
) -> Iterator[dict[str, tuple[str | None, Any]]]:
    assigned = assigned or {}
    if not names:
        yield dict(assigned)
        return
    first, *rest = names
    factor = factors[first]
    if not factor.when.holds({name: value for name, (_, value) in assigned.items()}):
        yield from _combinations(rest, factors, assigned)
        return
    for label, value in factor.values:
        yield from _combinations(rest, factors, {**assigned, first: (label, value)})


def check_arm_names(drafts: Sequence[ArmDraft], problems: Problems) -> None:
    """Note names that two arms share, also when they differ in capitals, spaces or Unicode form (NFC, NFD) only."""
    first: dict[str, ArmDraft] = {}
    for draft in drafts:
        key = " ".join(unicodedata.normalize("NFC", draft.name.casefold()).split())
        if key in first:
            line = first[key].place.line
            problems.add(
                draft.place,
                f"two arms have this name, the first in line {line}",
                field="arms",
                given=draft.name,
                hint="Each row of a table needs a name of its own.",
            )
        first.setdefault(key, draft)
