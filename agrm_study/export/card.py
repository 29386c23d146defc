"""What must somebody know before they use an exported network? Its model card, from the records alone."""

from __future__ import annotations

import math

from agrm_study.export.chosen import Choice
from agrm_study.export.recipe_file import DECISIONS, NOTICE, ModelRecipe
from agrm_study.statistics.estimators import Interval, summarise
from agrm_study.statistics.part_scores import PartScores
from agrm_study.study.recipe import Clip
from agrm_study.study.study import Study
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
    """The card as Markdown."""
    recipe = model.recipe
    words = " / ".join(name.replace("_", " ") for name in recipe.classes)
    scaling = f"scaled by the temperature {model.temperature:.3f}, fitted on validation."
    if model.temperature == UNSCALED:
        scaling = "not scaled: the temperature is not identifiable on validation, and 1 is used."
    seeds = f"{len(choice.seeds)} seed{'s' if len(choice.seeds) != 1 else ''}"
    reading = (
        "*This network* with a 95% interval over the part's subjects (the network fixed; none where it makes no "
        "error); *arm* is mean ± sample standard deviation over "
        f"{seeds} of the same arm; in percent."
    )
    if choice.reason != "named":
        reading += (
            " The seed was picked on validation, so the validation figures of this network are optimistic; the test "
            "part took no part in the choice."
        )
    parts = [
        f"# {model.arm}: {recipe.task.replace('_', '-')} ({words})",
        f"> **{NOTICE.capitalize()}.** This network was trained to study methods. It has not been validated for any "
        "clinical use, and nobody may be diagnosed, treated or left untreated because of what it says.",
        "## What it is",
        f"Network: {recipe.model.backbone} (width {recipe.model.width}) with {recipe.model.pooling.name} pooling, "
        f"trained by the method `{recipe.ssl.method}`. These are the weights of the {model.network} at epoch "
        f"{model.best_epoch}, the one that was best on validation, of one training run:",
        _list(
            {
                "study": f"{model.study}: {model.question}" if model.question else model.study,
                "arm, task, seed": f"{model.arm}, {recipe.task}, {recipe.seed} ({choice.reason})",
                "trial": f"`{model.trial_id}`",
                "code": f"`{model.code_version}`",
            }
        ),
        "## Data",
        _list(
            {
                "data fingerprint": f"`{model.data_fingerprint}`",
                "split": f"`{model.split_fingerprint}` (split seed {recipe.split_seed}, by subject)",
                "subjects": ", ".join(
                    f"{len(choice.scores[part][model.trial_id].labels_N)} {title}"
                    for part, title in _PARTS.items()
                    if model.trial_id in choice.scores[part]
                ),
                "synthetic": "yes: drawn figures, not children" if recipe.data.synthetic is not None else None,
            }
        ),
        "## How good it is",
        _metrics(choice),
        reading,
        "## How it decides",
        f"{_sentence(recipe.clip)} The logits of up to {recipe.evaluate.clips} windows spread over the video become "
        f"probabilities and are averaged. Decision: {DECISIONS[len(recipe.classes)]}. The probabilities that `predict` "
        f"prints are {scaling}",
        "## Intended use, and limits",
        "For research on screening methods: comparing networks on video that was recorded like the training videos. "
        "Not for children, cameras, places or conditions that the training set does not hold; the metrics above say "
        "nothing about those. The classes are all it knows: a video without a walker, or of another gait disorder, "
        "still gets one of them. Where persons are cropped, `predict` finds the walker by motion, which needs a camera "
        "that stands still.",
        "## Use",
        "```bash\nagrm-study predict THIS_FOLDER VIDEO...\n```",
        "```python\nfrom agrm_study.export.predict import Predictor\n\n"
        'predictor = Predictor.load("THIS_FOLDER")\nprint(predictor.predict(["walk.mp4"])[0].probabilities)\n```',
        "`model.safetensors` holds the network's state dict, `recipe.json` the settings, the preprocessing and the "
        "decision rule. Paths and names of subjects were left out of it.",
    ]
    return "\n\n".join(parts) + "\n"


def _metrics(choice: Choice) -> str:
    """A table: metric by part, of this network and of its arm."""
    own = {part: choice.scores[part].get(choice.trial_id) for part in _PARTS}
    shown = {part: scores for part, scores in own.items() if scores is not None}
    intervals = {part: scores.intervals() for part, scores in shown.items()}
    titles = [f"{_PARTS[part]}, {whose}" for part in shown for whose in ("this network", "arm")]
    lines = ["| metric | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(titles)]
    for name in next(iter(shown.values())).names if shown else ():
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
        "resize": f"the frame with its short side resized to {clip.resize} pixels",
        "raw": f"the central {clip.resize} × {clip.resize} pixels",
        "person_box": f"a square of {clip.resize} pixels around the walker"
        + (" (the legs)" if clip.box_part == "legs" else ""),
    }[clip.crop]
    return (
        f"A video is resampled to {clip.fps:g} frames a second; of each frame it keeps {kept}, of which the network "
        f"sees the central {clip.size} × {clip.size}, {clip.frames} frames at a time."
    )


def _list(facts: dict[str, str | None]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)
