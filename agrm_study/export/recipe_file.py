"""The ``recipe.json`` of a model folder: all information needed, in addition to the weights, to classify a video as in
the study."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.study.tasks import MIN_CLASSES, Task
from agrm_study.training.data.background import BOXES_VERSION
from agrm_study.training.data.store.layout import STORE_VERSION

EXPORT_VERSION: Final = 1
"""Increment if a key of recipe.json is renamed or removed, or if its meaning changes."""
RECIPE, WEIGHTS, CARD = "recipe.json", "model.safetensors", "README.md"
NOTICE: Final = "screening research, not a diagnosis"


def decision_rule(task: Task) -> str:
    """The decision rule as used for the study's metrics."""
    if task.n_classes == MIN_CLASSES:
        return (
            f"{task.classes[1]} if its probability, averaged over the windows without temperature scaling, "
            "is at least 0.5"
        )
    return "the class with the highest probability, averaged over the windows without temperature scaling"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecipe:
    """The content of ``recipe.json``.

    Attributes:
        study, question, arm: Name and question of the study, and name of the arm.
        trial_id: Id of the trial.
        network: ``teacher``, ``ema`` or ``student``.
        best_epoch: Epoch of the weights, counted from 1.
        temperature: Softmax temperature, fitted on the validation part.
        recipe: All settings of the training run; paths and subject ids are not written.
        data_fingerprint, split_fingerprint: Fingerprints of the training data and split.
        code_version: Version of the training code.
        weights_sha256: SHA-256 of ``model.safetensors``, as hexadecimal digits.
    """

    study: str
    question: str
    arm: str
    trial_id: str
    network: str
    best_epoch: int
    temperature: float
    recipe: Recipe
    data_fingerprint: str
    split_fingerprint: str
    code_version: str
    weights_sha256: str

    def write(self, path: Path) -> None:
        """Write the file as JSON, with explicit preprocessing and decision rule for use without agrm-study."""
        from agrm_study import __version__

        content = asdict(self) | {"recipe": None}
        clip, evaluate = self.recipe.clip, self.recipe.evaluate
        content |= {
            "export_version": EXPORT_VERSION,
            "agrm_study": __version__,
            "notice": NOTICE,
            "task": self.recipe.task.name,
            "seed": self.recipe.seed,
            "classes": list(self.recipe.classes),
            "decision": decision_rule(self.recipe.task),
            "preprocessing": _preprocessing()
            | clip.model_dump(mode="json", exclude={"storage"})
            | {"windows": evaluate.clips, "crop_of_the_window": "centre"},
            "settings": _shareable(self.recipe),
        }
        del content["recipe"]
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> ModelRecipe:
        """Read a file written by `write`.

        Raises:
            InputError: If the file is missing, damaged, or from a version with different keys or preprocessing.
        """
        from pydantic import ValidationError

        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise _not_a_model(path, "it is missing") from None
        except (OSError, ValueError) as fault:
            raise _not_a_model(path, f"it cannot be read ({fault})") from None
        try:
            if value["export_version"] != EXPORT_VERSION:
                raise InputError(
                    "the model was exported by an incompatible version",
                    where=path,
                    field="export_version",
                    given=value["export_version"],
                    allowed=str(EXPORT_VERSION),
                    hint="Use the version of agrm-study that wrote it, or export the trial again.",
                )
            for name, now in _preprocessing().items():
                if value["preprocessing"][name] != now:
                    raise InputError(
                        "the preprocessing of this version differs from the preprocessing used for training",
                        where=path,
                        field=f"preprocessing.{name}",
                        given=value["preprocessing"][name],
                        allowed=str(now),
                        hint=f"Use agrm-study {value['agrm_study']}, which exported it.",
                    )
            recipe = Recipe.model_validate_json(json.dumps(value["settings"]), strict=True)
            names = [name for name in cls.__slots__ if name != "recipe"]
            found = cls(recipe=recipe, **{name: value[name] for name in names})
            if not (math.isfinite(found.temperature) and found.temperature > 0):
                raise _not_a_model(path, f"its temperature is {found.temperature}")
            return found
        except (KeyError, TypeError, ValidationError) as fault:
            raise _not_a_model(path, f"{type(fault).__name__} {fault}".splitlines()[0]) from None


def _shareable(recipe: Recipe) -> dict[str, Any]:
    """All settings, without local paths or subject ids, which must not be shared with the model."""
    settings = recipe.settings()
    settings["data"] |= {"manifest": None, "split_file": None, "exclude": []}
    settings["model"] |= {"weights": None}
    return settings


def _preprocessing() -> dict[str, Any]:
    """Constants that determine the network's input in addition to the settings."""
    from agrm_study.training.augment.pixels import MEAN, STD

    return {"mean": list(MEAN), "std": list(STD), "store_version": STORE_VERSION, "boxes_version": BOXES_VERSION}


def _not_a_model(path: Path, why: str) -> InputError:
    return InputError(
        f"is not a valid {RECIPE} of an exported model: {why}",
        where=path,
        hint="`agrm-study export RESULTS --out FOLDER` writes a model folder.",
    )
