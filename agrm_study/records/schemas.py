"""Arrow schemas for each kind of record.

`trials` has one row per trial and determines which trials are complete; `epochs` and `predictions` contain their
results; `subjects` describes the subjects of a split. Every file has ``schema_version`` in its Parquet metadata.
"""

from __future__ import annotations

from typing import Final, Literal

import pyarrow as pa

SCHEMA_VERSION: Final = 1
"""Incremented when a column is renamed, removed or redefined; added columns are read as null from older files."""

Kind = Literal["trials", "epochs", "predictions", "subjects"]
Status = Literal["finished", "failed"]
PRUNED: Final = "pruned"
"""The `stop_reason` of a pruned search trial; other values are ``epochs`` and ``early_stop``. The trial counts as
finished, since it is not rerun, but it is neither promoted nor compared, since its scores are not final."""

TRIALS: Final = pa.schema(
    [
        pa.field("study", pa.string(), nullable=False),
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("config_id", pa.string(), nullable=False),
        pa.field("phase", pa.string(), nullable=False),
        pa.field("arm", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("split_seed", pa.int64(), nullable=False),
        pa.field("fold", pa.int32()),
        pa.field("params", pa.string(), nullable=False),
        pa.field("backbone", pa.string()),
        pa.field("pooling", pa.string()),
        pa.field("method", pa.string()),
        pa.field("tau", pa.float64()),
        pa.field("alpha", pa.float64()),
        pa.field("ramp_epochs", pa.int32()),
        pa.field("momentum", pa.float64()),
        pa.field("steps_per_epoch", pa.int32()),
        pa.field("n_params", pa.int64()),
        pa.field("gflops", pa.float64()),
        pa.field("clips_per_s", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("stop_reason", pa.string()),
        pa.field("failure", pa.string()),
        pa.field("error", pa.string()),
        pa.field("best_epoch", pa.int32()),
        pa.field("epochs", pa.int32()),
        pa.field("wall_s", pa.float64()),
        pa.field("started_at", pa.timestamp("us", tz="UTC")),
        pa.field("device", pa.string()),
        pa.field("host", pa.string()),
        pa.field("code_version", pa.string()),
        pa.field("versions", pa.string()),
        pa.field("data_fingerprint", pa.string()),
        pa.field("split_fingerprint", pa.string()),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("epochs_digest", pa.string()),
        pa.field("predictions_digest", pa.string()),
        pa.field("weights_digest", pa.string()),
        pa.field("row_digest", pa.string()),
    ]
)
"""One row per trial. ``fold`` is the fold used as the test part, null in a study with a single split (such a trial may
be fold 0 of a later study); ``params`` contains the factors as JSON; ``tau``, ``alpha``, ``momentum`` and
``ramp_epochs`` are null if the method does not use them (``alpha`` and ``momentum`` are per update, even if the study
specifies a memory in epochs); ``gflops`` and ``clips_per_s`` are defined as in `TrialOutcome`; ``wall_s`` is the total
over the attempts that led to the outcome; ``error`` ends with the last lines of the traceback; ``versions`` contains,
as JSON, the versions of Python and of the packages that can affect a result, including every version under which a
resumed trial ran; among the digests (see `digests`), ``predictions_digest`` is JSON keyed by ``part/network``,
and ``row_digest`` covers all other columns. Null in older records: ``momentum``, ``steps_per_epoch``, ``gflops`` and
``clips_per_s``; in records of version 0.1 also ``versions`` and the digests."""

EPOCHS: Final = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("network", pa.string(), nullable=False),
        pa.field("loss", pa.float64()),
        pa.field("loss_supervised", pa.float64()),
        pa.field("loss_consistency", pa.float64()),
        pa.field("loss_pseudo", pa.float64()),
        pa.field("loss_penalty", pa.float64()),
        pa.field("ramp_weight", pa.float64()),
        pa.field("lr", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("pseudo_coverage", pa.float64()),
        pa.field("pseudo_confidence", pa.float64()),
        pa.field("pseudo_accuracy", pa.float64()),
        pa.field("pseudo_class_counts", pa.list_(pa.int64())),
        pa.field("accuracy", pa.float64()),
        pa.field("balanced_accuracy", pa.float64()),
        pa.field("macro_f1", pa.float64()),
    ]
)
"""One row per trial, epoch, part and network. ``loss`` is the evaluation cross-entropy (val) or the total training
loss (train); ``loss_penalty`` is the weighted loss term of a threshold policy that has one; quantities that are not
measured for a part are null."""

PREDICTIONS: Final = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("subject_id", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("network", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("logits", pa.list_(pa.float32()), nullable=False),
    ]
)
"""One row per subject and evaluated window, unique on (trial_id, split, clip_id, network)."""

SUBJECTS: Final = pa.schema(
    [
        pa.field("subject_id", pa.string(), nullable=False),
        pa.field("split_seed", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("sex", pa.string()),
        pa.field("age", pa.float64()),
        pa.field("source", pa.string()),
        pa.field("site", pa.string()),
        pa.field("clips", pa.int32()),
        pa.field("split_fingerprint", pa.string(), nullable=False),
        pa.field("rows_digest", pa.string()),
    ]
)
"""One row per subject and part of a split; ``split`` is train, val, test, unlabelled_train or unlabelled_val, ``label``
is null for unlabelled subjects, ``clips`` counts the subject's clips in the part; ``rows_digest``, identical in every
row of a split, covers all rows of the split."""

SCHEMAS: Final[dict[Kind, pa.Schema]] = {
    "trials": TRIALS,
    "epochs": EPOCHS,
    "predictions": PREDICTIONS,
    "subjects": SUBJECTS,
}


def with_version(schema: pa.Schema) -> pa.Schema:
    """The schema with ``schema_version`` in its metadata."""
    return schema.with_metadata({b"schema_version": str(SCHEMA_VERSION).encode()})
