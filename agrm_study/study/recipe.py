"""The settings of one trial, with their defaults and valid values.

A `Recipe` is frozen and contains exactly the settings that can change a trial's outcome: resources, result paths and
arm names are stored elsewhere. Defaults follow the paper's protocol (Song et al. 2026, section 3.1) or, if the paper
does not specify a value, the choice documented on the protocol page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from agrm_study.study.augment_settings import Augment
from agrm_study.study.data_settings import Data
from agrm_study.study.options import OptionsField, OptionValues
from agrm_study.study.section import BatchSize, Count, Positive, Section, Seed, Steps
from agrm_study.study.ssl_settings import Ssl
from agrm_study.study.tasks import BUILT_IN, TaskField

AGRM = "agrm"
"""Name of the built-in trainer."""

Pixels = Annotated[int, Field(ge=1, le=10_000)]
Cells = Annotated[int, Field(ge=1, le=1000)]
Bin = tuple[Cells, Cells]


def _as_layers(value: object) -> object:
    """Layer names in a fixed order, from a list or a single name; `backbone` includes all others."""
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return ("backbone",) if "backbone" in names else tuple(sorted(set(names)))
    return value


LayerName = Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")]
Layers = Annotated[tuple[LayerName, ...], BeforeValidator(_as_layers, json_schema_input_type=str | list[LayerName])]


class Clip(Section):
    """Conversion of a video to a clip tensor (C, T, H, W)."""

    frames: Annotated[int, Field(ge=1, le=1000)] = 16
    """Number of frames per clip, T."""
    fps: Annotated[float, Field(gt=0)] = 12.5
    """Frames per second after resampling."""
    crop: Literal["resize", "raw", "person_box"] = "resize"
    """Part of each frame that is stored: the whole frame, with its short side resized; the centre at full resolution;
    or the bounding box of the person."""
    box_part: Literal["whole", "legs"] = "whole"
    """For `person_box` only: a square around the whole person, or around the lower half of the bounding box."""
    resize: Pixels = 256
    """Side of the stored frame in pixels (short side for `resize`, side of the square for `raw` and `person_box`)."""
    size: Pixels = 224
    """Side of the network's square input in pixels."""
    storage: Literal["raw", "jpeg"] = "raw"
    """Format of stored frames: raw bytes, or JPEG (lossy, a sixth of the size, a twentieth of the reading speed)."""

    @model_validator(mode="after")
    def _fits(self) -> Clip:
        if self.size > self.resize:
            raise ValueError(f"size must be at most resize ({self.resize}), got {self.size}")
        return self


class Pooling(Section):
    """Pooling of a feature volume (B, C, T, H, W) into a vector."""

    name: str = "shpm"
    """A name in `agrm_study.training.models.pooling.POOLING`."""
    bins: tuple[Bin, ...] = Field(default=((1, 1), (2, 2), (4, 4)), min_length=1)
    """Rows and columns of each level (shpm); `hpp` uses the rows only."""
    combine: Literal["sum", "concat"] = "sum"
    """Combination of the average and the maximum of a bin (shpm, hpp)."""
    temporal: Literal["mean", "max", "flatten"] = "mean"
    """Pooling over T."""
    options: OptionsField = Field(default_factory=OptionValues)
    """Options of a user-defined pooling layer."""


class Model(Section):
    """The network."""

    backbone: str = "r3d_18"
    """A name in `agrm_study.training.models.backbones.BACKBONES`."""
    width: Annotated[int, Field(ge=4, le=4096)] = 64
    """Number of channels of the first stage; all other stages scale with it (64 is the published width of every
    backbone)."""
    depth: Literal[10, 18, 34] = 18
    """Number of layers of a residual backbone."""
    head: Literal["flatten", "adaptive"] = "adaptive"
    """Only for C3D with average pooling: the published flattening, or adaptive pooling before its two hidden layers."""
    classifier: Literal["linear", "arcface"] = "linear"
    """Classifier: linear, or `arcface` (cosine similarities), which requires the loss with the same name."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability before the classifier."""
    pooling: Pooling = Pooling()
    weights: Path | None = None
    """Local file of pre-trained weights (.safetensors, .pth); a head with a different number of classes is discarded,
    with a message."""
    freeze: Layers = ()
    """Layers that are not trained, by name (`[stem, layer1]`, `[layers.0]`); with `backbone`, only the head is trained.
    Frozen layers remain in evaluation mode."""
    options: OptionsField = Field(default_factory=OptionValues)
    """Options of a user-defined backbone."""


class Loss(Section):
    """The supervised loss."""

    name: str = "cross_entropy"
    """A name in `agrm_study.training.ssl.losses.LOSSES`."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the probability of each label that is distributed over all classes."""
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    """Focal loss: exponent that reduces the weight of easy clips; 0 gives the cross-entropy."""
    class_balanced_beta: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Class-balanced loss: 0 weights all clips equally, values near 1 weight them by inverse class size."""
    arcface_scale: Annotated[float, Field(gt=0)] = 30.0
    """ArcFace: scale s of the cosines (64 in the ArcFace paper, for thousands of identities)."""
    arcface_margin: Annotated[float, Field(ge=0, lt=1.57)] = 0.5
    """ArcFace: margin m, in radians."""
    options: OptionsField = Field(default_factory=OptionValues)
    """Options of a user-defined loss."""


class Optimizer(Section):
    """The optimizer, the learning rate and its schedule."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimization algorithm."""
    lr: Annotated[float, Field(gt=0)] = 1e-4
    """Initial learning rate."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay rates of Adam's two moving averages."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of `sgd`."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 penalty (adam, sgd) or decoupled decay (adamw)."""
    schedule: Literal["plateau", "constant", "cosine"] = "plateau"
    """Learning-rate schedule: multiplied by `plateau_factor` on a plateau, constant, or lr · cos(7πk / 16K) in epoch
    k + 1 of K (FixMatch; every epoch then depends on `epochs`)."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor by which the learning rate is multiplied after `plateau_patience` epochs without a lower validation loss;
    the rate is constant if the patience exceeds `epochs`."""
    plateau_patience: Positive = 5
    """Number of consecutive epochs without a lower validation loss before the learning rate is reduced."""
    plateau_armed: bool = False
    """Whether epochs without a lower validation loss count only from `early_stop.armed_after` on, as for early
    stopping. Otherwise the rate may be reduced many times before the unlabelled clips have their full weight."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Ratio of the learning rates of a layer and the layer above it; the head uses `lr`."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Maximum norm of the gradient."""


class Batch(Section):
    """Number of clips per step."""

    labelled: BatchSize = 16
    """Number of labelled clips per step."""
    unlabelled: BatchSize = 16
    """Number of unlabelled clips per step."""
    accumulate: BatchSize = 1
    """Number of parts into which each batch is split; their gradients are summed."""


class Training(Section):
    """The trainer."""

    trainer: str = AGRM
    """The built-in trainer, or a user-defined one, specified by `trainer: FILE.py:CLASS` in the study."""
    options: OptionsField = Field(default_factory=OptionValues)
    """Settings of a user-defined trainer."""
    patience: Positive | None = None
    """Number of epochs without a better macro F1 on validation data after which a user-defined trainer stops; its best
    epoch is then evaluated. null: it trains until its last epoch, which is then evaluated."""


class EarlyStop(Section):
    """Early stopping of a trial."""

    metric: Literal["macro_f1", "accuracy", "balanced_accuracy", "loss"] = "macro_f1"
    """Validation metric of early stopping; it also selects the best epoch."""
    patience: Positive = 10
    """Number of epochs without improvement after which training stops."""
    armed_after: Count | None = None
    """First epoch that can count as an epoch without improvement; null: the first epoch after pre-training and
    ramp-up."""


class Evaluate(Section):
    """Evaluation of a trained network."""

    clips: Annotated[int, Field(ge=1, le=1000)] = 5
    """Number of windows spread over each video; their probabilities are averaged per subject."""
    network: Literal["teacher", "student"] = "teacher"
    """Network whose validation metric selects the epoch; all networks are recorded. `teacher` is the teacher or, with
    `evaluate.ema`, the moving average of the network; methods without an average use the student."""
    batch: BatchSize = 32
    """Number of windows per forward pass; affects only memory and speed."""
    ema: bool = False
    """Whether to also evaluate a moving average of the network (`ssl.ema`, from the first step on) in methods without a
    teacher; recorded as the network `ema`."""
    unlabelled: bool = True
    """Whether to log consistency and pseudo-labels on the unlabelled validation clips in each epoch; never used in a
    reported metric."""


class Recipe(Section):
    """All settings of one trial."""

    task: TaskField = BUILT_IN["three_class"]
    """Classes that the network predicts."""
    seed: Seed = 0
    """Training seed: initial weights, order of clips, augmentation."""
    split_seed: Seed = 0
    """Seed of the split and of the selection of unlabelled clips."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Maximum number of epochs."""
    steps_per_epoch: Steps | None = None
    """Training steps per epoch; null: one pass over the labelled clips. With a fixed number, training runs with
    different numbers of labels have the same length; the clips are repeated in a new order each time."""
    shuffle_labels: bool = False
    """Control experiment: whether to permute the labels of the labelled training subjects, so that nothing can be
    learned from them. A trained network must then be at chance level on validation and test data, whose labels are
    unchanged."""
    data: Data = Data()
    clip: Clip = Clip()
    augment: Augment = Augment()
    model: Model = Model()
    ssl: Ssl = Ssl()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    batch: Batch = Batch()
    early_stop: EarlyStop = EarlyStop()
    evaluate: Evaluate = Evaluate()
    training: Training = Training()
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Autocast precision of forward and backward passes; bf16 needs an Ampere or newer GPU, or a CPU that supports it
    (AVX512-BF16, AMX); fp16 needs a GPU."""
    tf32: Literal["convolutions", "all", "none"] = "convolutions"
    """Operations in which a GPU may round fp32 products to TF32 (10-bit mantissa): only convolutions (torch's
    default), convolutions and linear layers, or none."""
    compile: bool = False
    """Whether to apply torch.compile to the networks."""
    deterministic: bool = False
    """Whether to allow only deterministic algorithms on a GPU, which is slower; CPUs are always deterministic."""

    @model_validator(mode="after")
    def _arcface_is_a_pair(self) -> Recipe:
        if (self.loss.name == "arcface") != (self.model.classifier == "arcface"):
            raise ValueError(
                "loss.name and model.classifier must both be `arcface` or neither; "
                f"got {self.loss.name} and {self.model.classifier}"
            )
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of the task, by class index."""
        return self.task.classes

    @property
    def has_teacher(self) -> bool:
        """Whether the method has a teacher network."""
        return self.ssl.method in ("mean_teacher", "agrm")

    @property
    def has_average(self) -> bool:
        """Whether a moving average of the network is evaluated: a teacher, or the average enabled by `evaluate.ema`."""
        return self.has_teacher or self.evaluate.ema

    @property
    def own_trainer(self) -> bool:
        """Whether the trial uses a user-defined trainer."""
        return self.training.trainer != AGRM

    @property
    def uses_unlabelled(self) -> bool:
        """Whether the method reads unlabelled clips."""
        return self.ssl.method != "supervised"

    @property
    def armed_after(self) -> int:
        """First epoch, counted from 1, in which a lack of improvement counts towards early stopping."""
        if self.early_stop.armed_after is not None:
            return self.early_stop.armed_after
        return self.ssl.pretrain_epochs + self.ssl.ramp.epochs

    def settings(self) -> dict[str, Any]:
        """All settings as plain JSON values."""
        return self.model_dump(mode="json")
