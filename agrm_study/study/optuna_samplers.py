"""Samplers of a search: four samplers with short names, and classes of `optuna.samplers` with their options."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from agrm_study.study.errors import did_you_mean
from agrm_study.study.section import Section
from agrm_study.study.translate import Rule

if TYPE_CHECKING:
    import optuna

SHORT: Final = ("random", "tpe", "gp", "nsga2")
"""Short names of samplers with preset options."""

CLASSES: Final = (
    "CmaEsSampler", "GPSampler", "NSGAIIISampler", "NSGAIISampler", "QMCSampler", "RandomSampler", "TPESampler",
)  # fmt: skip
"""Classes of `optuna.samplers` that can sample from the spaces of study files."""

REFUSED: Final = {
    "BruteForceSampler": "Use `grid` instead of the search: it trains every combination.",
    "GridSampler": "Use `grid` instead of the search: it combines values without a sampler.",
    "PartialFixedSampler": "Omit the setting from the space and set it under `set`.",
}
"""Classes of `optuna.samplers` whose functionality is provided by other keys of a study file, with hints."""

OPTION_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "None": (type(None),),
}
"""Types of constructor arguments that a study file can express; arguments of other types are rejected."""

INSTEAD: Final = {"seed": "Set `sampler_seed`.", "constraints_func": "Set `constraints`."}
"""Constructor arguments that are set by other keys of a search, with hints."""


class NamedSampler(Section):
    """A class of `optuna.samplers`, by name."""

    name: str
    """Name of the class."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of its constructor: numbers, strings, true, false or null."""


def read_sampler(value: Any) -> Any:
    """Read ``tpe``, ``CmaEsSampler`` or ``{name: CmaEsSampler, options: {…}}``: one of `SHORT`, or a `NamedSampler`.

    Raises:
        Rule: If the name is unknown, or the constructor does not accept the options.
    """
    if isinstance(value, NamedSampler) or value in SHORT:
        return value
    name = value.get("name") if isinstance(value, Mapping) else value
    allowed = f"{', '.join(SHORT)}, or a class of optuna.samplers: {', '.join(CLASSES)}"
    if isinstance(value, Mapping) and (name in SHORT or not set(value) <= {"name", "options"}):
        raise Rule("must be a class of optuna.samplers, with options", allowed="{name: CLASS, options: {…}}")
    if name not in CLASSES:
        hint = REFUSED.get(name) if isinstance(name, str) else None
        raise Rule("is not a sampler", allowed=allowed, hint=hint or did_you_mean(str(name), (*SHORT, *CLASSES)))
    options = value.get("options") or {} if isinstance(value, Mapping) else {}
    if not isinstance(options, Mapping):
        raise Rule(f"the options of {name} must be a group, `argument: value`")
    _check_options(name, options)
    return NamedSampler(name=name, options=dict(options))


SamplerEntry = Annotated[
    Literal["random", "tpe", "gp", "nsga2"] | NamedSampler,
    BeforeValidator(read_sampler),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [*SHORT, *CLASSES]},
                {
                    "type": "object",
                    "properties": {"name": {"enum": list(CLASSES)}, "options": {"type": "object"}},
                    "required": ["name"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


def build_sampler(sampler: NamedSampler, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler with the given seed; deterministic samplers do not accept a seed."""
    from optuna import samplers

    made = getattr(samplers, sampler.name)
    seeded = {"seed": seed} if "seed" in inspect.signature(made).parameters else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna marks some classes and options as experimental
        return made(**sampler.options, **seeded)


def try_sampler(sampler: NamedSampler, directions: Sequence[str]) -> None:
    """Check that a sampler can be created and can sample from a space of two numbers.

    Raises:
        Rule: If it cannot, for example because of an option out of range, several objectives, or a missing package.
    """
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(0, 1, step=0.25) for name in ("a", "b")
    }
    try:
        study = optuna.create_study(directions=list(directions), sampler=build_sampler(sampler, 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(3):
                study.tell(study.ask(space), [0.0] * len(directions))
    except ImportError as fault:
        package = getattr(fault, "name", None) or "a package that is not installed"
        raise Rule(
            f"{sampler.name} requires {package}", hint=f"pip install {package}" if fault.name else None
        ) from None
    except Exception as fault:
        text = str(fault).strip().splitlines()
        raise Rule(f"{sampler.name} cannot be used here: {text[0] if text else type(fault).__name__}") from None
    finally:
        optuna.logging.set_verbosity(level)


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    """Reject arguments that the constructor lacks, that are set by other keys, or that a study file cannot express."""
    if not options:
        return
    from optuna import samplers

    plain = {}
    for key, parameter in inspect.signature(getattr(samplers, name)).parameters.items():
        written = parameter.annotation
        text = written if isinstance(written, str) else inspect.formatannotation(written)
        kinds = [kind.strip() for kind in text.split("|")]
        if key not in INSTEAD and set(kinds) <= OPTION_TYPES.keys():
            plain[key] = kinds
    for key, value in options.items():
        if key not in plain:
            raise Rule(
                f"{name} does not accept the option {key} in a study file",
                allowed=", ".join(plain) or "none",
                hint=INSTEAD.get(key) or did_you_mean(key, plain),
            )
        if not any(type(value) in OPTION_TYPES[kind] for kind in plain[key]):
            raise Rule(f"the option {key} of {name} must be {' or '.join(plain[key])}, got {value!r}")
