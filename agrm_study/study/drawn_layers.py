"""Checks of spaces that vary both `model.freeze` and the backbone: a backbone may lack the layers to freeze."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any, Final

from agrm_study.study.counted import some
from agrm_study.study.document import KeyPath
from agrm_study.study.errors import InputError
from agrm_study.study.frozen_layers import FREEZE, frozen_layer_errors
from agrm_study.study.loading import Loading
from agrm_study.study.problems import Place
from agrm_study.study.recipe import Recipe
from agrm_study.study.search_space import Dimension

MOST_COMBINATIONS: Final = 1000
"""Maximum number of combinations that are checked in advance; larger spaces are not checked."""
MOST_INTEGERS: Final = 32
"""Maximum length of integer ranges that are checked completely; for longer ranges, only the endpoints are checked."""

Point = dict[str, Any]
"""A point of a space: values by dotted name."""


def layer_dimensions(names: Sequence[str]) -> tuple[str, ...]:
    """The dimensions that jointly determine whether frozen layers exist; empty if there are fewer than two."""
    deciding = (FREEZE, "model.backbone", "model.depth")
    found = tuple(name for name in names if name in deciding or name.startswith("model.options"))
    return found if len(found) > 1 else ()


def try_layers(
    space: Mapping[str, Dimension],
    names: Sequence[str],
    recipe_of: Callable[[Point], Recipe | None],
    loading: Loading,
    *,
    at: KeyPath,
    prefix: str,
) -> None:
    """Report an error for each value that no combination allows; otherwise list the impossible combinations in a note.

    Args:
        space: All dimensions.
        names: Result of `layer_dimensions`.
        recipe_of: Returns the recipe with the given settings, without a check of its layers; None if it violates other
            rules.
        loading: Receives errors and notes.
        at: Path of the space in the study file.
        prefix: Prefix of the field for messages.
    """
    points = list(islice(_points(names, space, set(names), {}), MOST_COMBINATIONS + 1))
    if loading.layers is None or len(points) > MOST_COMBINATIONS:
        return
    possible: list[Point] = []
    impossible: list[tuple[Point, InputError]] = []
    for point in points:
        recipe = recipe_of(point)
        errors = frozen_layer_errors(recipe.model, loading.layers) if recipe is not None else []
        if errors:
            impossible.append((point, errors[0]))
        elif recipe is not None:
            possible.append(point)
    refused: dict[str, tuple[str, Any, InputError]] = {}
    for point, error in impossible:
        for name, value in point.items():
            if not any(name in other and other[name] == value for other in possible):
                refused.setdefault(f"{name} {value!r}", (name, value, error))
    for name, value, error in refused.values():
        loading.problems.add(
            _place_of(value, space[name], loading, (*at, name)),
            f"cannot be combined with any values of the other settings: {error.rule}",
            field=f"{prefix}{name}",
            given=value,
            hint=error.hint if name == FREEZE else None,
        )
    if impossible and not refused:
        place = loading.places.find((*at, FREEZE if FREEZE in names else names[-1]))
        varied = " and ".join(f"`{name}`" for name in names)
        examples = some([_words(point) for point, _ in impossible])
        loading.notes.append(
            f"{place}: {len(impossible)} of {len(points)} combinations of {varied} are impossible because the "
            f"backbone lacks a layer to freeze: {examples}. The search skips them; use a condition (`when`) to exclude "
            "them."
        )


def _points(names: Sequence[str], space: Mapping[str, Dimension], together: Set[str], point: Point) -> Iterator[Point]:
    """All combinations of values.

    Conditions on dimensions outside `together` are undetermined, so combinations are generated for both cases.

    Args:
        names: Dimensions that have no value yet.
        space: All dimensions.
        together: Result of `layer_dimensions`.
        point: Values of the other dimensions.
    """
    if not names:
        yield point
        return
    first, *rest = names
    required = space[first].when.required
    inside = {name: values for name, values in required.items() if name in together}
    if len(inside) < len(required) or any(point.get(name) not in values for name, values in inside.items()):
        yield from _points(rest, space, together, point)
    if all(point.get(name) in values for name, values in inside.items()):
        for value in _values(space[first]):
            yield from _points(rest, space, together, {**point, first: value})


def _values(dimension: Dimension) -> tuple[Any, ...]:
    if dimension.kind == "int" and dimension.step is None:
        low, high = map(int, dimension.bounds)
        if high - low < MOST_INTEGERS:
            return tuple(range(low, high + 1))
    return dimension.probes


def _place_of(value: Any, dimension: Dimension, loading: Loading, path: KeyPath) -> Place:
    """The location of a choice in the study file, otherwise the location of its dimension."""
    for index, (label, choice) in enumerate(dimension.choices or ()):
        if choice == value:
            return loading.places.find((*path, "choice", index if label is None else label))
    return loading.places.find(path)


def _words(point: Point) -> str:
    return " with ".join(f"{name} {_text(value)}" for name, value in point.items())


def _text(value: Any) -> str:
    return f"[{', '.join(map(_text, value))}]" if isinstance(value, list | tuple) else str(value)
