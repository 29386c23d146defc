"""The settings of semi-supervised learning: method, teacher, ramp, threshold and pseudo-labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agrm_study.study.options import OptionsField, OptionValues
from agrm_study.study.section import Count, Fraction, Positive, Section

Memory = Annotated[float, Field(gt=0, le=100_000)]


class Ema(Section):
    """The teacher, an exponential moving average of the student."""

    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Share of the teacher's weights that is retained at each step."""
    memory_epochs: Memory | None = None
    """Memory of the average in epochs, instead of alpha: alpha = 1 − 1/(memory_epochs · steps per epoch)."""
    buffers: Literal["average", "copy", "own"] = "average"
    """Batch-norm buffers of the teacher: averaged, copied from the student, or computed in its own forward passes."""
    warmup: bool = False
    """Whether to use min(alpha, (step + 1) / (step + 10)) in early steps."""


class Ramp(Section):
    """Weight of the unsupervised loss as a function of the number of epochs since the teacher started."""

    shape: Literal["linear", "sigmoid", "step"] = "linear"
    """Shape of the ramp; `step` is 0 until the end of the ramp, then `maximum`."""
    epochs: Count = 30
    """Number of epochs until the weight reaches `maximum`; 0 starts at `maximum`."""
    maximum: Annotated[float, Field(ge=0)] = 1.0
    """Weight after the ramp."""


class Threshold(Section):
    """Selection of pseudo-labels."""

    policy: str = "fixed"
    """A name in `agrm_study.training.ssl.thresholds.POLICIES`."""
    tau: Fraction = 0.8
    """Threshold of `fixed`, upper bound of `flexmatch` and factor of `relative`; confidences must exceed the
    threshold."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Momentum of the moving averages of `freematch`, `softmatch` and `alignment`."""
    memory_epochs: Memory | None = None
    """Memory in epochs, instead of momentum: momentum = 1 − 1/(memory_epochs · steps per epoch)."""
    n_sigma: Annotated[float, Field(gt=0)] = 2.0
    """Width of the Gaussian of `softmatch`."""
    alignment: Literal["none", "uniform", "labels", "predictions"] = "none"
    """Distribution alignment before pseudo-labels are selected: to a uniform distribution, for the weights only
    (`uniform`, SoftMatch), to the class distribution of the labelled clips (`labels`, ReMixMatch), or to the
    predictions on labelled clips (`predictions`, AdaMatch)."""
    fairness: Annotated[float, Field(ge=0)] = 0.0
    """Weight of FreeMatch's self-adaptive fairness loss, added to the pseudo-label loss; 0 disables it."""
    percentile: Annotated[float, Field(ge=0, le=100)] = 80.0
    """Percentile of the confidences in a batch above which `percentile` accepts clips."""
    options: OptionsField = Field(default_factory=OptionValues)
    """Options of a user-defined threshold policy."""


class Pseudo(Section):
    """The pseudo-label loss."""

    mode: Literal["online", "rounds", "off"] = "online"
    """Generation of pseudo-labels: at each step, in rounds that move accepted clips into the labelled set (paper,
    section 2.1), or not at all."""
    target: Literal["hard", "soft"] = "hard"
    """Target for accepted clips: the most probable class, or the whole distribution."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the pseudo-label loss relative to the consistency loss."""
    confidence: Literal["teacher", "student", "mean", "min", "agree"] = "teacher"
    """Network whose confidence is compared with the threshold."""
    uncertainty: Literal["none", "dropout", "views"] = "none"
    """Whether to also reject clips whose predictions are inconsistent: over passes of the teacher with dropout, or
    between the two views."""
    uncertainty_max: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Maximum accepted standard deviation of the pseudo-label's probability."""
    uncertainty_passes: Annotated[int, Field(ge=2, le=1000)] = 8
    """Number of passes with dropout (`uncertainty: dropout`)."""
    round_epochs: Positive = 10
    """Number of epochs between two rounds."""


class Ssl(Section):
    """Use of unlabelled clips."""

    method: Literal["supervised", "mean_teacher", "pseudo_label", "fixmatch", "agrm"] = "agrm"
    """Method: Mean Teacher with pseudo-labels (`agrm`), only one of the two, FixMatch, or supervised training."""
    batch_norm: Literal["separate", "joint", "labelled_only", "per_domain"] = "separate"
    """Batch norm of the student over labelled and unlabelled clips: separate passes, one joint pass (faster), running
    statistics of labelled clips only, or separate running statistics per domain."""
    pretrain_epochs: Count = 10
    """Number of supervised epochs before the teacher starts as a copy of the student."""
    views: Annotated[int, Field(ge=1, le=2)] = 1
    """Number of views of an unlabelled clip from which the student learns in a step; the losses of two views are
    averaged."""
    ema: Ema = Ema()
    ramp: Ramp = Ramp()
    threshold: Threshold = Threshold()
    pseudo: Pseudo = Pseudo()
