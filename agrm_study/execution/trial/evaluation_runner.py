"""Runner that evaluates the saved weights of a finished trial on other data; each part counts as an epoch."""

from __future__ import annotations

import gc
import json
from collections import OrderedDict
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from agrm_study.execution.corruptions import corrupted
from agrm_study.execution.data.external_set import whole_split
from agrm_study.execution.trial.checkpoints import ROLLING
from agrm_study.execution.trial.inputs import StoreRunner, manifest_at, require_planned, split_of, store_at
from agrm_study.execution.trial.records import prediction_blocks
from agrm_study.execution.trial.runner import RunnerContext
from agrm_study.execution.trial.work import Evaluation, Work
from agrm_study.records.digests import block_digests, read_blocks
from agrm_study.records.evaluations import corruption_of
from agrm_study.records.files import UNREADABLE
from agrm_study.records.integrity import WEIGHTS, check_weights
from agrm_study.records.location import Location
from agrm_study.records.part_sources import offer_kept_sources
from agrm_study.records.patience import retry_storage
from agrm_study.records.reader import Ledger
from agrm_study.records.removed_weights import why_without_weights
from agrm_study.records.writer import predictions_table, table_bytes
from agrm_study.study.errors import InputError
from agrm_study.study.temporary import replacing
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.clipset import ClipSet, Ints, clip_set
from agrm_study.training.data.store import ClipStore
from agrm_study.training.device import Device
from agrm_study.training.evaluate import Evaluator, spread
from agrm_study.training.kept_network import kept_network, kept_weights
from agrm_study.training.outcome import EpochReport, Predictions, Split, TrialOutcome
from agrm_study.training.ssl.losses import build_loss

AT_HAND: Final = 4
"""Number of corrupted clips cached in memory, since the windows of a clip are read consecutively."""
IDENTITY: Final = b"evaluation"
"""Key in the Parquet metadata of the rolling file; its value identifies the evaluation."""


class EvaluationRunner(StoreRunner):
    """Evaluates the reported network of a finished trial, with the precision of the trial and without compilation."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: dict[str, Predictions] = {}

    def start(self, work: Work, context: RunnerContext) -> int:
        if work.evaluation is None:
            raise ValueError("the work specifies no evaluation")
        torch.set_num_threads(max(1, context.settings.threads))
        self._work, self._evaluation, self._folder = work, work.evaluation, context.checkpoint_dir
        self._recipe = work.trial.recipe.model_copy(update={"compile": False})
        offer_kept_sources(self._evaluation.results)
        self._store = store_at(work.store, context.settings.local_store)
        self._clips = _clips(work, self._store)
        self._device = Device(context.settings.device, self._recipe)
        self._loss = build_loss(
            self._recipe.loss,
            self._recipe.classes,
            [1] * len(self._recipe.classes),  # counts affect losses, not logits
            order=self._recipe.task.order,
        )
        where = Location.of(self._evaluation.results) / "checkpoints" / work.trial.trial_id / WEIGHTS
        weights = kept_weights(_content(where, self._evaluation), self._evaluation.best_epoch, where.address)
        self._name, self._network = kept_network(self._recipe, self._loss, weights, where.address)
        self._device.place(self._network)
        self._blocks = {part: block for part, block in self._recorded(context).items() if part in self._evaluation.kept}
        self._blocks |= self._saved()
        return len(self._blocks)

    def run_epoch(self) -> EpochReport:
        missing = [part for part in self._evaluation.parts if part not in self._blocks]
        if missing:
            self._blocks[missing[0]] = self._evaluate(missing[0])
        return EpochReport(epoch=len(self._blocks), rows=(), done=len(missing) <= 1)

    def save(self) -> None:
        blocks = prediction_blocks(self._blocks.values())
        table = predictions_table(self._work.trial.trial_id, blocks)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), IDENTITY: self._identity()})
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._folder / ROLLING) as file:
            file.write(table_bytes(table))

    def outcome(self) -> TrialOutcome:
        return TrialOutcome(
            stop_reason="epochs",
            best_epoch=self._evaluation.best_epoch,
            epochs=len(self._evaluation.parts),
            n_params=sum(parameter.numel() for parameter in self._network.parameters()),
            class_names=self._recipe.classes,
            rows=(),
            predictions=tuple(self._blocks[part] for part in self._evaluation.parts),
            device=self._device.description,
        )

    def close(self) -> None:
        self._blocks = {}
        for name in ("_network", "_device", "_loss"):
            if hasattr(self, name):
                delattr(self, name)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _evaluate(self, part: str) -> Predictions:
        corruption = corruption_of(part)
        store: ClipStore | CorruptedStore = self._store
        if corruption is not None:
            store = CorruptedStore(self._store, *corruption, seed=self._evaluation.seed)
        evaluator = Evaluator(
            store=store,
            renderer=Renderer(0, self._recipe.clip.size, self._device.torch, noise=False),
            device=self._device,
            loss=self._loss,
            size=self._recipe.clip.size,
            batch=self._recipe.evaluate.batch,
        )
        windows = spread(self._clips, self._recipe.clip, self._recipe.evaluate.clips)
        with self._device.session(self._evaluation.best_epoch):
            logits_NK = evaluator.logits({self._name: self._network}, windows)[self._name]
        return Predictions(
            split=cast(Split, part),
            network=self._name,
            epoch=self._evaluation.best_epoch,
            subject_id=windows.clips.subject_ids,
            clip_id=windows.names,
            label=windows.clips.labels_N.astype(np.int8),
            logits=logits_NK,
        )

    def _recorded(self, context: RunnerContext) -> dict[str, Predictions]:
        """Parts of the trial's record that match their digests."""
        if not self._evaluation.kept:
            return {}
        ledger, trial_id = Ledger(context.settings.results), self._work.trial.trial_id
        rows = retry_storage(lambda: ledger.table("trials", trial_id).to_pylist())
        table = retry_storage(lambda: ledger.table("predictions", trial_id))
        stored = read_blocks(rows[0]["predictions_digest"]) if rows else {}
        found = block_digests(table).get(trial_id, {}) if table.num_rows else {}
        whole = {name for name, digest in found.items() if stored.get(name) == digest}
        return {part: block for part, block in predictions_of(table).items() if f"{part}/{block.network}" in whole}

    def _saved(self) -> dict[str, Predictions]:
        """Parts in the rolling file of an earlier attempt; none if it is damaged or from different weights or data."""
        try:
            table = pq.read_table(self._folder / ROLLING)
        except UNREADABLE:
            return {}
        if (table.schema.metadata or {}).get(IDENTITY) != self._identity():
            return {}
        return {part: block for part, block in predictions_of(table).items() if part in self._evaluation.parts}

    def _identity(self) -> bytes:
        trial = self._work.trial
        return json.dumps(
            [self._evaluation.weights_digest, trial.data_fingerprint, trial.split_fingerprint, self._evaluation.seed]
        ).encode()


class CorruptedStore:
    """A clip store whose clips are corrupted as they are read.

    Args:
        severity: 1 to 5.
        seed: Seed of the corruption's random numbers.
    """

    def __init__(self, store: ClipStore, kind: str, severity: int, *, seed: int) -> None:
        self._store, self._kind, self._severity, self._seed = store, kind, severity, seed
        self._clips: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def row(self, clip_id: str) -> int:
        return self._store.row(clip_id)

    def frames(self, row: int) -> int:
        return self._store.frames(row)

    def height(self, row: int) -> int:
        return self._store.height(row)

    def width(self, row: int) -> int:
        return self._store.width(row)

    def gather(self, rows_B: Ints, frames_BT: Ints, tops_B: Ints, lefts_B: Ints, size: int) -> NDArray[np.uint8]:
        windows = zip(rows_B.tolist(), frames_BT, tops_B.tolist(), lefts_B.tolist(), strict=True)
        return np.stack(
            [self._clip(row)[frames_T, :, top : top + size, left : left + size] for row, frames_T, top, left in windows]
        )

    def _clip(self, row: int) -> NDArray[np.uint8]:
        if row not in self._clips:
            self._clips[row] = corrupted(
                self._store.clip(row),
                self._kind,
                self._severity,
                fps=float(self._store.settings["fps"]),
                clip_id=self._store.clip_ids[row],
                seed=self._seed,
            )
            if len(self._clips) > AT_HAND:
                self._clips.popitem(last=False)
        return self._clips[row]


def predictions_of(table: pa.Table) -> dict[str, Predictions]:
    """Predictions of one trial by part, from rows of the `predictions` record with one network per part."""
    found = {}
    for part in table["split"].unique().to_pylist():
        rows = table.filter(pc.field("split") == part)
        logits = np.array(rows["logits"].to_pylist(), dtype=np.float32)
        found[str(part)] = Predictions(
            split=cast(Split, part),
            network=rows["network"][0].as_py(),
            epoch=rows["epoch"][0].as_py(),
            subject_id=tuple(rows["subject_id"].to_pylist()),
            clip_id=tuple(rows["clip_id"].to_pylist()),
            label=np.array(rows["label"].to_pylist(), dtype=np.int8),
            logits=logits,
        )
    return found


def _clips(work: Work, store: ClipStore) -> ClipSet:
    """The clips to evaluate: the whole external set or, for corrupted copies, the test part of the study."""
    trial, evaluation = work.trial, work.evaluation
    recipe, manifest = trial.recipe, manifest_at(work.manifest)
    inside = evaluation is not None and corruption_of(evaluation.parts[0]) is not None
    if inside:
        split = split_of(work.manifest, recipe.data.model_dump_json(), recipe.split_seed)
    else:
        split = whole_split(manifest)
    hint = "Check whether the manifest or the videos changed in the meantime, then rerun the command."
    require_planned(trial, manifest, split, work.manifest, by="evaluation", hint=hint)
    return clip_set(split.test, manifest, store, recipe.task)


def _content(file: Location, evaluation: Evaluation) -> bytes:
    content = retry_storage(file.read)
    if content is None:
        trial_id = file.path.rsplit("/", 2)[-2]
        raise InputError(why_without_weights(Location.of(evaluation.results), trial_id), where=file.address)
    check_weights(content, evaluation.weights_digest, file.address)
    return content
