"""The settings of semi-supervised learning: method, teacher, ramp, threshold and pseudo-labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agrm_study.study.options import OptionsField, OptionValues
from agrm_study.study.section import Count, Fraction, Positive, Section

Memory = Annotated[float, Field(gt=0, le=100_000)]


class Ema(Section):
    """The teacher: exponential moving average of the student."""

    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Share of the teacher's weights that is kept at each step."""
    memory_epochs: Memory | None = None
    """Instead of alpha: memory of the average in epochs; alpha = 1 − 1/(memory_epochs · steps of an epoch)."""
    buffers: Literal["average", "copy", "own"] = "average"
    """Batch-norm buffers of the teacher: averaged, copied from the student, or from its own forward passes."""
    warmup: bool = False
    """Use min(alpha, (step + 1) / (step + 10)) for early steps."""


class Ramp(Section):
    """Weight of the unsupervised loss over the epochs since the teacher started."""

    shape: Literal["linear", "sigmoid", "step"] = "linear"
    """Shape of the ramp; `step` is 0 until its end, then `maximum`."""
    epochs: Count = 30
    """Epochs until the weight is `maximum`; 0 starts at `maximum`."""
    maximum: Annotated[float, Field(ge=0)] = 1.0
    """Weight after the ramp."""


class Threshold(Section):
    """Which pseudo-labels are accepted."""

    policy: str = "fixed"
    """A name of `agrm_study.training.ssl.thresholds.POLICIES`."""
    tau: Fraction = 0.8
    """Threshold of `fixed`, upper bound of `flexmatch` and factor of `relative` (strictly above)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """EMA of `freematch`, `softmatch` and of `alignment`."""
    memory_epochs: Memory | None = None
    """Instead of momentum: memory in epochs; momentum = 1 − 1/(memory_epochs · steps of an epoch)."""
    n_sigma: Annotated[float, Field(gt=0)] = 2.0
    """Width of the Gaussian of `softmatch`."""
    alignment: Literal["none", "uniform", "labels", "predictions"] = "none"
    """Distribution alignment before clips are accepted: to equal classes, for the weights only (`uniform`, SoftMatch),
    to the classes of the labelled clips (`labels`, ReMixMatch), or to the predictions on them (`predictions`,
    AdaMatch)."""
    fairness: Annotated[float, Field(ge=0)] = 0.0
    """Weight of FreeMatch's self-adaptive fairness loss, added to the pseudo-label loss; 0 disables it."""
    percentile: Annotated[float, Field(ge=0, le=100)] = 80.0
    """`percentile` accepts clips above this percentile of the batch's confidences."""
    options: OptionsField = Field(default_factory=OptionValues)
    """Options of a user-defined threshold policy."""


class Pseudo(Section):
    """The pseudo-label loss."""

    mode: Literal["online", "rounds", "off"] = "online"
    """`rounds` moves accepted clips into the labelled set each round (paper, section 2.1)."""
    target: Literal["hard", "soft"] = "hard"
    """Target of accepted clips: the most probable class, or the whole distribution."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight relative to the consistency loss."""
    confidence: Literal["teacher", "student", "mean", "min", "agree"] = "teacher"
    """Network whose confidence is compared with the threshold."""
    uncertainty: Literal["none", "dropout", "views"] = "none"
    """Also reject clips with inconsistent predictions of the teacher: over passes with dropout, or between both
    views."""
    uncertainty_max: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Maximum accepted standard deviation of the pseudo-label's probability."""
    uncertainty_passes: Annotated[int, Field(ge=2, le=1000)] = 8
    """Number of passes with dropout (`uncertainty: dropout`)."""
    round_epochs: Positive = 10
    """Epochs between two rounds."""


class Ssl(Section):
    """How unlabelled clips are used."""

    method: Literal["supervised", "mean_teacher", "pseudo_label", "fixmatch", "agrm"] = "agrm"
    """Mean Teacher and pseudo-labels (`agrm`), one of the two, FixMatch, or labelled clips only."""
    batch_norm: Literal["separate", "joint", "labelled_only", "per_domain"] = "separate"
    """Batch norm of the student over labelled and unlabelled clips: separate passes, one joint pass (faster), running
    statistics of labelled clips only, or separate statistics per domain."""
    pretrain_epochs: Count = 10
    """Supervised epochs before the teacher starts as a copy of the student."""
    views: Annotated[int, Field(ge=1, le=2)] = 1
    """Views of an unlabelled clip that the student learns from in a step; the losses of two views are averaged."""
    ema: Ema = Ema()
    ramp: Ramp = Ramp()
    threshold: Threshold = Threshold()
    pseudo: Pseudo = Pseudo()
