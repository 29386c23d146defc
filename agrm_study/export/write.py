"""Writes a finished trial as a model folder with weights, recipe and model card."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from agrm_study.export.card import model_card
from agrm_study.export.chosen import Choice, FinishedStudy
from agrm_study.export.recipe_file import CARD, RECIPE, WEIGHTS, ModelRecipe
from agrm_study.records.location import Location
from agrm_study.records.part_sources import FOLDER as PARTS
from agrm_study.records.part_sources import write_sources
from agrm_study.statistics.calibration import fit_temperature
from agrm_study.statistics.part_scores import PartScores
from agrm_study.study.errors import InputError
from agrm_study.study.parts.source import PartSource
from agrm_study.training.temperature import UNSCALED, subject_log_probs


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Result of an export.

    Attributes:
        folder: The model folder.
        choice: The exported trial.
        recipe: Content of ``recipe.json``.
    """

    folder: Path
    choice: Choice
    recipe: ModelRecipe


def export(study: FinishedStudy, choice: Choice, out: Path) -> Exported:
    """Write a model folder; replaces an earlier export but no other content.

    Args:
        study: The finished study.
        choice: The trial to export.
        out: The model folder.

    Raises:
        InputError: If the weights were not saved or do not match the record, validation predictions are missing, or the
            folder has other content or cannot be written.
    """
    _check_out(out)
    weights = _network(study.weights(choice), choice, study.name)
    validation = choice.scores["val"].get(choice.trial_id)
    if validation is None:
        raise InputError(
            "the ledger has no validation predictions for this trial, which are needed to fit the temperature",
            where=study.name,
            given=choice.trial_id,
            hint="Export a different seed of the arm (--seed).",
        )
    recipe = ModelRecipe(
        study=study.study.name,
        question=study.study.question,
        arm=choice.arm,
        trial_id=choice.trial_id,
        network=choice.network,
        best_epoch=int(choice.row["best_epoch"]),
        temperature=_temperature(validation),
        recipe=choice.recipe,
        data_fingerprint=str(choice.row["data_fingerprint"]),
        split_fingerprint=str(choice.row["split_fingerprint"]),
        code_version=str(choice.row["code_version"]),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    try:
        _write(out, weights, recipe, model_card(recipe, choice, study.study), study.sources(choice))
    except OSError as fault:
        raise InputError(
            "the folder cannot be written", field="--out", given=str(out), hint=f"{fault.strerror}."
        ) from None
    return Exported(folder=out, choice=choice, recipe=recipe)


def _temperature(validation: PartScores) -> float:
    """The softmax temperature that calibrates the network on validation data, or 1 if it is not identifiable."""
    logits_RK, owners_R, labels_N = validation.logits_RK, validation.owners_R, validation.labels_N
    found = fit_temperature(lambda at: subject_log_probs(logits_RK, owners_R, len(labels_N), at), labels_N)
    return found or UNSCALED


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError("must be a folder, not a file", field="--out", given=str(out))
    if not out.exists():
        return
    try:
        foreign = sorted({path.name for path in out.iterdir()} - {RECIPE, WEIGHTS, CARD, PARTS})
    except OSError as fault:
        raise InputError(
            "the folder cannot be read", field="--out", given=str(out), hint=f"{fault.strerror}."
        ) from None
    if foreign:
        raise InputError(
            "must be a new or empty folder, or an earlier export",
            field="--out",
            given=str(out),
            hint=f"It contains {', '.join(foreign[:3])}{', …' if len(foreign) > 3 else ''}.",
        )


def _write(out: Path, weights: bytes, recipe: ModelRecipe, card: str, sources: Sequence[PartSource]) -> None:
    """Write the folder under a temporary name, then rename it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    partial.mkdir()
    try:
        (partial / WEIGHTS).write_bytes(weights)
        recipe.write(partial / RECIPE)
        (partial / CARD).write_text(card, encoding="utf-8")
        write_sources(Location.of(partial), sources)
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _network(content: bytes, choice: Choice, results: str) -> bytes:
    """Weights of the reported network, without its key prefix, as the content of a safetensors file."""
    where = f"{results}: checkpoints/{choice.trial_id}/best.safetensors"
    try:
        tensors, epoch = load(content), _metadata(content).get("epoch")
    except (SafetensorError, ValueError, KeyError) as fault:
        raise InputError("the weights cannot be read", where=where, hint=f"{fault}.") from None
    if epoch != str(int(choice.row["best_epoch"])):
        raise InputError(
            "the weights must be from the recorded best epoch",
            where=where,
            given=epoch,
            allowed=str(choice.row["best_epoch"]),
        )
    prefix = f"{choice.network}."
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if not own:
        raise InputError(f"the weights must contain the reported network (the {choice.network})", where=where)
    renamed: bytes = save(own, metadata={"format": "pt", "trial_id": choice.trial_id, "network": prefix[:-1]})
    return renamed


def _metadata(content: bytes) -> dict[str, Any]:
    """Metadata of a safetensors file, read from its JSON header, which is preceded by its length."""
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + length]).get("__metadata__", {}))
