"""Model card of an exported network, generated from the records."""

from __future__ import annotations

import math

from agrm_study.export.chosen import BY_USER, Choice
from agrm_study.export.recipe_file import NOTICE, ModelRecipe, decision_rule
from agrm_study.statistics.classification import SCREENING
from agrm_study.statistics.estimators import Interval, summarise
from agrm_study.statistics.part_scores import PartScores
from agrm_study.study.counted import counted
from agrm_study.study.recipe import Clip
from agrm_study.study.study import Study
from agrm_study.study.tasks import task_words
from agrm_study.training.temperature import UNSCALED

_PARTS = {"val": "validation", "test": "test"}
_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
}


def model_card(model: ModelRecipe, choice: Choice, study: Study) -> str:
    """The model card as Markdown.

    Args:
        model: Content of ``recipe.json``.
        choice: The exported trial, with scores.
        study: The study of the trial.
    """
    recipe = model.recipe
    words = " / ".join(name.replace("_", " ") for name in recipe.classes)
    scaling = f"scaled by the temperature {model.temperature:.3f}, fitted on validation data."
    if model.temperature == UNSCALED:
        scaling = "not scaled: the temperature is not identifiable from the validation data, and 1 is used."
    seeds = counted(len(choice.seeds), "seed")
    reading = (
        "Values are in percent. *This network*: value with a 95% interval over the subjects of the part, for the fixed "
        "network (no interval if it makes no errors). *Arm*: mean ± sample standard deviation over "
        f"{seeds} of the same arm{'' if choice.fold is None else ' and fold'}."
    )
    if not choice.reason.startswith(BY_USER):
        reading += (
            " The seed was selected on validation data, so the validation scores of this network are optimistic; the "
            "test part was not used for the selection."
        )
    parts = [
        f"# {model.arm}: {task_words(recipe.task.name)} ({words})",
        f"> **{NOTICE.capitalize()}.** This network was trained for methodological research. It has not been validated "
        "for clinical use. Do not base diagnosis or treatment decisions on its predictions.",
        "## Model",
        f"Network: {recipe.model.backbone} (width {recipe.model.width}) with {recipe.model.pooling.name} pooling, "
        f"trained with the method `{recipe.ssl.method}`. The weights were taken from the {model.network} at the best "
        f"validation epoch ({model.best_epoch}) of one training run:",
        _list(
            {
                "study": f"{model.study}: {model.question}" if model.question else model.study,
                "arm, task, seed": f"{model.arm}, {recipe.task.name}, {recipe.seed} ({choice.reason})",
                "trial": f"`{model.trial_id}`",
                "code": f"`{model.code_version}`",
            }
        ),
        "## Data",
        _list(
            {
                "data fingerprint": f"`{model.data_fingerprint}`",
                "split": f"`{model.split_fingerprint}` (split seed {recipe.split_seed}, by subject"
                f"{'' if choice.fold is None else f'; fold {choice.fold} is the test part'})",
                "subjects": ", ".join(
                    f"{len(choice.scores[part][model.trial_id].labels_N)} {title}"
                    for part, title in _PARTS.items()
                    if model.trial_id in choice.scores[part]
                ),
                "synthetic": "yes: rendered walkers, not children" if recipe.data.synthetic is not None else None,
            }
        ),
        "## Evaluation",
        _metrics(choice, screening=recipe.task.positive is not None),
        reading,
        "## Preprocessing and decision rule",
        f"{_sentence(recipe.clip)} The logits of up to {recipe.evaluate.clips} windows spread over the video are "
        f"converted to probabilities and averaged. Decision: {decision_rule(recipe.task)}. The probabilities "
        f"printed by `predict` are {scaling}",
        "## Intended use and limitations",
        "Research on screening methods: comparing networks on videos recorded under the conditions of the training "
        "videos. Not intended for children, cameras, locations or conditions that are not represented in the training "
        "set; the scores above do not apply to them. The network always predicts one of its classes, even for a video "
        "without a walker or with a different gait disorder. If the preprocessing crops frames to the person, "
        "`predict` detects the walker by motion, which requires a static camera.",
        "## Usage",
        "```bash\nagrm-study predict THIS_FOLDER VIDEO...\n```",
        "```python\nfrom agrm_study.export.predict import Predictor\n\n"
        'predictor = Predictor.load("THIS_FOLDER")\nprint(predictor.predict(["walk.mp4"])[0].probabilities)\n```',
        "`model.safetensors` contains the network's state dict; `recipe.json` contains the settings, the preprocessing "
        "and the decision rule, without file paths or subject ids.",
    ]
    return "\n\n".join(parts) + "\n"


def _metrics(choice: Choice, *, screening: bool) -> str:
    """Table of metrics by part, for this network and its arm; screening metrics require a positive class."""
    own = {part: choice.scores[part].get(choice.trial_id) for part in _PARTS}
    shown = {part: scores for part, scores in own.items() if scores is not None}
    intervals = {part: scores.intervals() for part, scores in shown.items()}
    titles = [f"{_PARTS[part]}, {whose}" for part in shown for whose in ("this network", "arm")]
    lines = ["| metric | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(titles)]
    names = next(iter(shown.values())).names if shown else ()
    for name in (name for name in names if screening or name not in SCREENING):
        cells = []
        for part, scores in shown.items():
            cells += [_own(scores, name, intervals[part][name]), _arm(choice, part, name)]
        lines.append(f"| {_TITLES[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _own(scores: PartScores, name: str, interval: Interval) -> str:
    value = scores.metrics[name]
    if not math.isfinite(value):
        return "undefined"
    return f"{100 * value:.1f}" + (f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" * interval.defined)


def _arm(choice: Choice, part: str, name: str) -> str:
    found = summarise([scores.metrics[name] for scores in choice.scores[part].values()])
    if not math.isfinite(found.mean):
        return "undefined"
    text = f"{100 * found.mean:.1f}" + (f" ± {100 * found.std:.1f}" if math.isfinite(found.std) else "")
    return text if found.n == len(choice.seeds) else f"{text} ({found.n} of {len(choice.seeds)} seeds)"


def _sentence(clip: Clip) -> str:
    kept = {
        "resize": f"resized to a short side of {clip.resize} pixels",
        "raw": f"cropped to the central {clip.resize} × {clip.resize} pixels",
        "person_box": f"cropped to a square of {clip.resize} pixels around the walker"
        + (" (the legs)" if clip.box_part == "legs" else ""),
    }[clip.crop]
    return (
        f"A video is resampled to {clip.fps:g} frames per second. Each frame is {kept}; the network's input is the "
        f"central {clip.size} × {clip.size} pixels of {clip.frames} consecutive frames."
    )


def _list(facts: dict[str, str | None]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)
