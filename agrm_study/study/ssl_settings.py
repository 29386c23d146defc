"""The settings of semi-supervised learning: method, teacher, ramp, threshold and pseudo-labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agrm_study.study.options import OptionsField, OptionValues
from agrm_study.study.section import Count, Fraction, Positive, Section


class Ema(Section):
    """The teacher: exponential moving average of the student."""

    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """What the teacher keeps of itself at each step."""
    buffers: Literal["average", "copy", "own"] = "average"
    """Batch-norm buffers of the teacher: averaged, copied from the student, or from its own forward passes."""
    warmup: bool = False
    """Use min(alpha, (step + 1) / (step + 10)) for early steps."""


class Ramp(Section):
    """Weight of the unsupervised loss over the epochs since the teacher started."""

    shape: Literal["linear", "sigmoid", "step"] = "linear"
    """How the weight rises; `step` waits and then jumps."""
    epochs: Count = 30
    """Epochs until the weight is `maximum`; 0 starts there."""
    maximum: Annotated[float, Field(ge=0)] = 1.0
    """The weight after the ramp."""


class Threshold(Section):
    """Which pseudo-labels are accepted."""

    policy: str = "fixed"
    """A name of `agrm_study.training.ssl.thresholds.POLICIES`."""
    tau: Fraction = 0.8
    """Threshold of `fixed` and upper bound of `flexmatch` (strictly above)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """EMA of `freematch` and `softmatch`."""
    n_sigma: Annotated[float, Field(gt=0)] = 2.0
    """Width of the Gaussian of `softmatch`."""
    percentile: Annotated[float, Field(ge=0, le=100)] = 80.0
    """`percentile` accepts what lies above this percentile of the batch's confidences."""
    options: OptionsField = Field(default_factory=OptionValues)
    """Options of a threshold policy of your own."""


class Pseudo(Section):
    """The pseudo-label loss."""

    mode: Literal["online", "rounds", "off"] = "online"
    """`rounds` moves accepted clips into the labelled set each round (paper, section 2.1)."""
    target: Literal["hard", "soft"] = "hard"
    """Learn the most probable class, or the whole distribution."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight beside the consistency loss."""
    confidence: Literal["teacher", "student", "mean", "min", "agree"] = "teacher"
    """Whose confidence decides."""
    round_epochs: Positive = 10
    """Epochs between two rounds."""


class Ssl(Section):
    """How unlabelled clips teach."""

    method: Literal["supervised", "mean_teacher", "pseudo_label", "fixmatch", "agrm"] = "agrm"
    """Mean Teacher and pseudo-labels (`agrm`), one of the two, FixMatch, or labelled clips alone."""
    pretrain_epochs: Count = 10
    """Supervised epochs before the teacher starts as a copy of the student."""
    ema: Ema = Ema()
    ramp: Ramp = Ramp()
    threshold: Threshold = Threshold()
    pseudo: Pseudo = Pseudo()
