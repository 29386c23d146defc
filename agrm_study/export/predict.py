"""Prediction with an exported network; videos are preprocessed and windows averaged as in the original study."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load

from agrm_study.export.recipe_file import NOTICE, RECIPE, WEIGHTS, ModelRecipe
from agrm_study.export.video import video_frames
from agrm_study.records.part_sources import offer_kept_sources
from agrm_study.study.errors import InputError
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.clipset import ClipSet, Ints
from agrm_study.training.data.decoding import VideoError
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.device import Device
from agrm_study.training.evaluate import Evaluator, spread
from agrm_study.training.metrics import decide
from agrm_study.training.models.build import build_model
from agrm_study.training.models.network import VideoClassifier
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.losses.supervised import SupervisedLoss
from agrm_study.training.temperature import subject_log_probs

OnProgress = Callable[[int, int], None]

STALL_S: Final = 120.0
"""Seconds without a decoded chunk after which decoding of a video is aborted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The prediction for one video, or the reason why there is none.

    Attributes:
        file: The video.
        decision: Predicted class according to the decision rule of the study; None if there is no prediction.
        probabilities: Probabilities by class, averaged over windows, with the fitted temperature.
        as_evaluated: Probabilities without temperature scaling, as in the study's records; they determine the decision.
        windows: Number of averaged windows.
        seconds: Duration of the decoded video, in seconds.
        note: Note for the user about the video.
        error: Reason why there is no prediction.
    """

    file: str
    decision: str | None = None
    probabilities: dict[str, float] | None = None
    as_evaluated: dict[str, float] | None = None
    windows: int = 0
    seconds: float = 0.0
    note: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The prediction as JSON-serializable values, with the research notice."""
        return {"notice": NOTICE} | asdict(self)


class Predictor:
    """An exported network that classifies videos, in single precision.

    Attributes:
        model: Content of the model folder's ``recipe.json``.
    """

    def __init__(self, model: ModelRecipe, network: VideoClassifier, loss: SupervisedLoss, device: Device) -> None:
        self.model, self._network, self._loss, self._device = model, network, loss, device
        self._renderer = Renderer(0, model.recipe.clip.size, device.torch, noise=False)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Predictor:
        """Load a model folder written by `export`.

        Args:
            folder: The model folder.
            device: ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            InputError: If the folder is not a model folder, its weights do not match, or the device does not exist.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(
                "must be a model folder" if not folder.exists() else "must be a model folder, not a file",
                where=folder,
                hint="`agrm-study export RESULTS --out FOLDER` writes one.",
            )
        offer_kept_sources(folder)
        model = ModelRecipe.read(folder / RECIPE)
        recipe = model.recipe.model_copy(update={"precision": "fp32", "compile": False})
        place = Device(device, recipe)
        counts = [1] * len(recipe.classes)  # class counts affect only the loss, not the logits
        loss = build_loss(recipe.loss, recipe.classes, counts, order=recipe.task.order)
        network = build_model(
            recipe.model,
            n_outputs=loss.n_outputs(len(recipe.classes)),
            frames=recipe.clip.frames,
            size=recipe.clip.size,
            seed=recipe.seed,
        )
        try:
            content = (folder / WEIGHTS).read_bytes()
            if hashlib.sha256(content).hexdigest() != model.weights_sha256:
                raise InputError(
                    f"the weights do not match {RECIPE}",
                    where=folder / WEIGHTS,
                    hint="Export the trial again.",
                )
            network.load_state_dict(load(content))
        except (OSError, SafetensorError, RuntimeError) as fault:
            reason = (str(fault).splitlines() or [type(fault).__name__])[0]
            raise InputError("the weights cannot be loaded", where=folder / WEIGHTS, hint=f"{reason}.") from None
        network.requires_grad_(False)
        place.place(network)
        return cls(model, network, loss, place)

    def predict(
        self, videos: Sequence[Path | str], *, workers: int = 1, on_progress: OnProgress | None = None
    ) -> list[Prediction]:
        """Classify videos; an unusable video does not affect the other predictions.

        Args:
            videos: Video files.
            workers: Number of decoding processes.
            on_progress: Called with the number of finished videos and the total number of videos.

        Returns:
            One prediction per video, in the given order.
        """
        found: dict[int, Prediction] = {}
        tasks = [(Path(video).absolute(), self.model.recipe.clip) for video in videos]
        with KillablePool(min(workers, max(1, len(tasks))), stall_s=STALL_S) as pool:
            for place, result in pool.map_unordered(video_frames, tasks):
                if isinstance(result, Failure):
                    error = str(result.error) if isinstance(result.error, VideoError) else result.message
                    found[place] = Prediction(file=str(videos[place]), error=error)
                else:
                    found[place] = self._predict(str(videos[place]), result)
                if on_progress is not None:
                    on_progress(len(found), len(tasks))
        return [found[place] for place in sorted(found)]

    def _predict(self, name: str, frames_TCHW: NDArray[np.uint8]) -> Prediction:
        recipe = self.model.recipe
        length, _, height, width = frames_TCHW.shape
        one = ClipSet(
            clip_ids=(name,),
            subject_ids=(name,),
            rows_N=np.zeros(1, dtype=np.int64),
            lengths_N=np.array([length], dtype=np.int64),
            heights_N=np.array([height], dtype=np.int64),
            widths_N=np.array([width], dtype=np.int64),
            labels_N=np.array([-1], dtype=np.int64),
        )
        windows = spread(one, recipe.clip, recipe.evaluate.clips)
        evaluator = Evaluator(
            store=_OneVideo(frames_TCHW),
            renderer=self._renderer,
            device=self._device,
            loss=self._loss,
            size=recipe.clip.size,
            batch=recipe.evaluate.batch,
        )
        logits_NK = evaluator.logits({"network": self._network}, windows)["network"]
        owners_N = np.zeros(len(logits_NK), dtype=np.int64)
        plain_K, soft_K = (
            np.exp(subject_log_probs(logits_NK, owners_N, 1, temperature))[0]
            for temperature in (1.0, self.model.temperature)
        )
        if not np.isfinite(plain_K).all():
            return Prediction(file=name, error="the network's output is not finite; its weights are damaged")
        decision = recipe.classes[int(decide(plain_K[None])[0])]
        return Prediction(
            file=name,
            decision=decision,
            probabilities=dict(zip(recipe.classes, soft_K.tolist(), strict=True)),
            as_evaluated=dict(zip(recipe.classes, plain_K.tolist(), strict=True)),
            windows=len(windows.names),
            seconds=length / recipe.clip.fps,
            note=self._note(length, decision, soft_K),
        )

    def _note(self, length: int, decision: str, soft_K: NDArray[np.float64]) -> str | None:
        recipe = self.model.recipe
        notes = []
        if length < recipe.clip.frames:
            needed = recipe.clip.frames / recipe.clip.fps
            notes.append(f"shorter than one window ({needed:.2g} s): the last frame is repeated")
        if recipe.classes[int(decide(soft_K[None])[0])] != decision:
            notes.append(
                "borderline: the decision is made without temperature scaling; with it, a different class is most "
                "probable"
            )
        return "; ".join(notes) or None


class _OneVideo:
    """An in-memory clip store with a single clip."""

    def __init__(self, frames_TCHW: NDArray[np.uint8]) -> None:
        self._frames = frames_TCHW

    def row(self, clip_id: str) -> int:
        return 0

    def frames(self, row: int) -> int:
        return int(self._frames.shape[0])

    def height(self, row: int) -> int:
        return int(self._frames.shape[2])

    def width(self, row: int) -> int:
        return int(self._frames.shape[3])

    def gather(self, rows_B: Ints, frames_BT: Ints, tops_B: Ints, lefts_B: Ints, size: int) -> NDArray[np.uint8]:
        return np.stack(
            [
                self._frames[frames_T, :, top : top + size, left : left + size]
                for frames_T, top, left in zip(frames_BT, tops_B.tolist(), lefts_B.tolist(), strict=True)
            ]
        )
