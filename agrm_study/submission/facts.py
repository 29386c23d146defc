"""Facts about a study for a manuscript: sentences generated from its records, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from agrm_study import __version__
from agrm_study.report.measure import Measurements
from agrm_study.report.notes import comparison_note, interval_note, tuning_note
from agrm_study.report.tables.class_counts import LABELLED_PARTS, subjects_of
from agrm_study.report.wording import METRIC_NAMES, listing, number, tasks_text
from agrm_study.study.counted import counted
from agrm_study.study.recipe import Recipe
from agrm_study.submission.fact import METHODS, Fact, arm_words

PART_TITLES: Final = {"train": "training", "val": "validation", "test": "test"}


@dataclass
class Facts:
    """Facts about one study.

    Args:
        m: Measurements of the study.
    """

    m: Measurements

    @property
    def recipe(self) -> Recipe:
        """The recipe of the reference arm, or of the first arm."""
        study = self.m.evidence.study
        arm = study.arm(study.reference) if study.reference is not None else study.arms[0]
        return arm.recipe

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Labelled subjects by part and label."""
        rows, _ = subjects_of(self.m.evidence)
        people = rows[rows["split"].isin(LABELLED_PARTS) & rows["label"].notna()]
        return {
            part: {
                str(k): int(v) for k, v in people[people["split"] == part]["label"].value_counts().sort_index().items()
            }
            for part in LABELLED_PARTS
        }

    @cached_property
    def tested(self) -> int:
        """Number of tested labelled subjects, in the test part or in all folds."""
        if self.m.evidence.study.splits is None:
            return sum(self.counts["test"].values())
        return sum(sum(by.values()) for by in self.counts.values())

    @cached_property
    def unlabelled(self) -> dict[str, tuple[int, int]]:
        """Unlabelled subjects and clips by part."""
        rows, _ = subjects_of(self.m.evidence)
        found = {}
        for part in ("train", "val"):
            here = rows[rows["split"] == f"unlabelled_{part}"]
            found[part] = (int(here["subject_id"].nunique()), int(here["clips"].fillna(1).sum()))
        return found

    def data(self) -> Fact:
        """Sources, subjects and clips."""
        rows, splits = subjects_of(self.m.evidence)
        sources = sorted({str(s) for s in rows["source"].dropna()})
        total = sum(sum(by.values()) for by in self.counts.values())
        clips, people = sum(c for _, c in self.unlabelled.values()), sum(s for s, _ in self.unlabelled.values())
        text = f"The data comprise {total} labelled subjects"
        text += f" and {clips} unlabelled clips from {people} other subjects" if clips else ""
        text += f" (sources: {listing(sources)})." if sources else "."
        if self.recipe.data.synthetic is not None:
            text += " The data are synthetic: animated walking figures in real video files, not recordings of people."
        if splits > 1 and self.m.evidence.study.splits is None:
            text += f" The study has {splits} splits; counts refer to one of them."
        return Fact(text, "records/subjects; study.yaml (data)")

    def exclusions(self) -> Fact:
        """Subjects that the study excludes."""
        data = self.recipe.data
        text = (
            f"{len(data.exclude)} subjects were excluded by ID." if data.exclude else "No subject was excluded by ID."
        )
        if data.subset == "balanced":
            text += " Classes were balanced by subsampling each class to the size of the smallest class."
        if data.labelled_fraction < 1:
            text += (
                f" Of the training subjects, a stratified fraction of {data.labelled_fraction:g} was used with labels."
            )
        views = ", ".join(f"{v}°" for v in data.views)
        if any(c for _, c in self.unlabelled.values()):
            text += f" For unlabelled sources with several views, the views {views} were used."
        return Fact(text, "study.yaml (data.exclude, data.subset, data.labelled_fraction, data.views)")

    def preprocessing(self) -> Fact:
        """Preprocessing of videos for the network."""
        clip = self.recipe.clip
        kept = {
            "resize": f"resized to a short side of {clip.resize} pixels",
            "raw": f"cropped to its central {clip.resize} × {clip.resize} pixels",
            "person_box": f"cropped to the person's bounding box and resized to {clip.resize} × {clip.resize} pixels",
        }.get(clip.crop, f"cropped by `{clip.crop}` to {clip.resize} pixels")
        text = (
            f"Videos were resampled to {clip.fps:g} frames per second. Each frame was {kept}. The network receives "
            f"clips of {clip.frames} frames of {clip.size} × {clip.size} pixels."
        )
        return Fact(text, "study.yaml (clip)")

    def split(self) -> Fact:
        """Assignment of subjects to parts."""
        data, counts = self.recipe.data, self.counts
        sizes = listing([f"{sum(counts[p].values())} {PART_TITLES[p]}" for p in LABELLED_PARTS])
        how = (
            "by a split file provided by the authors"
            if data.split_file is not None
            else "at random, stratified by label"
        )
        if data.folds:
            how = f"as {data.folds} stratified folds, of which one is the test part"
        folds = self.m.evidence.study.splits
        if folds is not None:
            again = f", with {folds.repeats} repeats" if folds.repeats > 1 else ""
            kind = "folds" if folds.group == "subject" else "folds of whole sites"
            how = f"to {folds.folds} {kind}, stratified by label{again}; each fold is the test part once"
            sizes = f"in one fold, {sizes}"
        seeds = sorted({p.split_seed for p in self.m.evidence.planned})
        overlap = self.m.evidence.people.broken
        disjoint = (
            f"The records contradict this: {listing(list(overlap.values()))}."
            if overlap
            else ("Parts are disjoint by subject, unlabelled clips included; the records were checked for this.")
        )
        text = (
            f"Subjects were assigned {how} (split seed {listing([str(s) for s in seeds])}): {sizes} "
            f"subjects. {disjoint}"
        )
        return Fact(text, "study.yaml (data.split); records/subjects; table splits")

    def model(self) -> Fact:
        """Network architecture."""
        r = self.recipe
        sizes = self.m.evidence.trials.loc[self.m.evidence.trials["status"] == "finished", "n_params"].dropna()
        size = ""
        if len(sizes):
            low, high = int(sizes.min()), int(sizes.max())
            size = (
                f" ({low:,} parameters)" if low == high else f" ({low:,} to {high:,} parameters, depending on the arm)"
            )
        weights = "initialised at random" if r.model.weights is None else "initialised from local pre-trained weights"
        text = (
            f"The network is {r.model.backbone} with {r.model.pooling.name} pooling and a "
            f"{r.model.classifier} classifier"
            f"{size}, {weights}. It returns one probability for each class; probabilities of "
            f"{r.evaluate.clips} windows of "
            "a video are averaged for each subject."
        )
        return Fact(text, "study.yaml (base.model, base.evaluate); records/trials (n_params)")

    def training(self) -> Fact:
        """Optimisation and use of unlabelled clips."""
        r = self.recipe
        text = (
            f"Training used {METHODS.get(r.ssl.method, r.ssl.method)}, {r.optimizer.name} with a learning rate of "
            f"{r.optimizer.lr:g}, batches of {r.batch.labelled} labelled"
        )
        text += f" and {r.batch.unlabelled} unlabelled clips" if r.uses_unlabelled else " clips"
        if r.uses_unlabelled and r.ssl.views == 2:
            text += " (two views of each, whose losses are averaged)"
        steps = f" of {counted(r.steps_per_epoch, 'step')}" if r.steps_per_epoch is not None else ""
        text += f", and at most {counted(r.epochs, 'epoch')}{steps}. "
        text += f"The loss on labelled clips is {r.loss.name.replace('_', '-')}."
        if r.has_teacher:
            text += (
                f" The teacher is an exponential moving average of the student ({self._memory()}), which "
                f"starts after {counted(r.ssl.pretrain_epochs, 'supervised epoch')}; the unsupervised loss is ramped "
                f"up over {counted(r.ssl.ramp.epochs, 'epoch')}."
            )
        return Fact(text, "study.yaml (base.ssl, base.optimizer, base.batch, base.loss)")

    def _memory(self) -> str:
        """EMA decay of the teacher, in the form used in the study."""
        ema = self.recipe.ssl.ema
        return f"α = {ema.alpha:g}" if ema.memory_epochs is None else f"a memory of {ema.memory_epochs:g} epochs"

    def augmentation(self) -> Fact:
        """Augmentation of training clips."""
        s, a = self.recipe.augment.strong, self.recipe.augment
        text = (
            f"Labelled clips were augmented with the {a.labelled} view. The strong view consists of a random "
            f"crop and flip, "
            f"colour jitter (brightness {s.brightness:g}, contrast {s.contrast:g}, saturation "
            f"{s.saturation:g}, hue {s.hue:g}), "
            f"Gaussian noise (up to {s.noise:g}), random erasing (probability {s.erase:g}), temporal jitter "
            f"(up to {s.temporal_jitter} frames) and a change of speed (± {s.speed:g}); the weak view consists "
            f"of a light crop and flip."
        )
        added = [
            (s.reverse, f"temporal reversal (probability {s.reverse:g})"),
            (s.warp, f"a smooth change of speed within the clip (± {s.warp:g})"),
            (s.tubes, f"tube masking (a share of {s.tubes:g} of {s.tube_grid} × {s.tube_grid} patches)"),
        ]
        if on := [words for strength, words in added if strength]:
            text += f" The strong view also includes {' and '.join(on)}."
        return Fact(text, "study.yaml (base.augment)")

    def selection(self) -> Fact:
        """Selection of the reported network of a trial."""
        r = self.recipe
        text = (
            f"For each trial, the epoch with the best validation "
            f"{METRIC_NAMES.get(r.early_stop.metric, r.early_stop.metric)} "
            f"was selected; training stopped after {counted(r.early_stop.patience, 'epoch')} without improvement. "
            "The test part was evaluated once, with the network of that epoch."
        )
        searched = len(self.m.evidence.searched)
        if self.m.evidence.study.tune is not None:
            text += f" {tuning_note(self.m.evidence)}"
            return Fact(text, "study.yaml (base.early_stop, tune); records/trials (best_epoch, phase); table tuned")
        if searched:
            text += (
                f" A search evaluated {counted(searched, 'trial')} on validation data only; its best settings were "
                "retrained with new seeds."
            )
        return Fact(text, "study.yaml (base.early_stop, search); records/trials (best_epoch, phase)")

    def arms(self) -> Fact:
        """The arms and seeds."""
        study = self.m.evidence.study
        named = [arm_words(a) for a in study.arms[:20]]
        more = [f"{len(study.arms) - 20} more"] if len(study.arms) > 20 else []
        reference = f" The reference is {study.reference}." if study.reference else ""
        n = len(study.seeds)
        text = (
            f"{len(study.arms)} arms were compared on the {tasks_text(study.tasks)} task: "
            f"{listing(named + more)}.{reference} Each "
            f"was trained with {counted(n, 'seed')}; the seeds are the same for all arms."
        )
        if study.splits is not None:
            text += (
                f" Each seed trained one network per fold, {study.splits.folds * study.splits.repeats} in total; the "
                "test predictions of the folds of a seed are pooled, so that each subject is tested once"
                f"{' per repeat' if study.splits.repeats > 1 else ''} by a network that was not trained on it."
            )
        return Fact(text, "study.yaml (arms, seeds)")

    def statistics(self) -> Fact:
        """Metrics, intervals and tests."""
        study = self.m.evidence.study
        comparison = comparison_note(self.m, study.tasks, [a.name for a in study.arms]) or ""
        text = (
            f"The primary metric is {METRIC_NAMES.get(study.primary_metric, study.primary_metric)}; values "
            f"are mean ± sample "
            f"standard deviation over seeds. {interval_note(self.m, study.tasks)} {comparison}"
        )
        return Fact(text.strip(), "study.yaml (primary_metric, reference, report); tables")

    def compute(self) -> Fact:
        """Hardware and training time, including failed and search trials."""
        e = self.m.evidence
        hardware = e.provenance.get("hardware", {}) if isinstance(e.provenance.get("hardware"), dict) else {}
        gpus = listing([str(g) for g in hardware.get("gpus") or []]) or "no GPU"
        finished = e.trials[e.trials["status"] == "finished"]
        failed = e.trials[e.trials["status"] == "failed"]
        hours = float(finished["wall_s"].sum()) / 3600
        text = (
            f"{len(finished)} trials took {number(hours, 2)} hours of training on "
            f"{hardware.get('processor', 'an unknown processor')} "
            f"({gpus})."
        )
        if len(e.searched):
            text += (
                f" The search took another {number(float(e.searched['wall_s'].sum()) / 3600, 2)} hours "
                f"({len(e.searched)} trials)."
            )
        if len(failed):
            text += (
                f" {len(failed)} trials failed after {number(float(failed['wall_s'].fillna(0).sum()) / 3600, 2)} hours."
            )
        return Fact(text, "records/trials (wall_s); provenance.json; tables environment, failures")

    def software(self) -> Fact:
        """Software versions and code version."""
        e = self.m.evidence
        packages = e.provenance.get("packages", {}) if isinstance(e.provenance.get("packages"), dict) else {}
        main = [f"{name} {packages[name]}" for name in ("torch", "ray", "numpy", "decord") if name in packages]
        codes = sorted(set(e.trials["code_version"].dropna()))
        text = (
            f"Software: agrm-study {__version__} (code {', '.join(codes)}), {listing(main)}."
            if main
            else (f"Software: agrm-study {__version__} (code {', '.join(codes)}).")
        )
        return Fact(text, "provenance.json; records/trials (code_version, versions)")

    def missing(self) -> Fact:
        """Missing or excluded trials and records."""
        e = self.m.evidence
        text = e.partial.removeprefix("PARTIAL: ") + "." if e.partial else "All planned trials are finished and usable."
        refused = [f for f in e.problems if f.severity == "refuse"]
        text += f" Because of {len(refused)} findings, records are excluded from the numbers." if refused else ""
        return Fact(text[0].upper() + text[1:], "records; table failures")

    def characteristics(self) -> Fact:
        """Sex and age of the labelled subjects."""
        rows, _ = subjects_of(self.m.evidence)
        people = rows[rows["split"].isin(LABELLED_PARTS)]
        parts = []
        for part in LABELLED_PARTS:
            here = people[people["split"] == part]
            by = ", ".join(f"{label} {n}" for label, n in self.counts[part].items())
            words = f"{PART_TITLES[part]}: {by}"
            if here["sex"].notna().any():
                words += (
                    f"; {int((here['sex'] == 'female').sum())} female of {int(here['sex'].notna().sum())} with known "
                    f"sex"
                )
            if here["age"].notna().any():
                words += f"; age {here['age'].mean():.1f} ± {here['age'].std(ddof=1):.1f} years"
            parts.append(words)
        return Fact(". ".join(parts) + ".", "records/subjects; tables class_counts, splits")

    def code(self) -> Fact:
        """Fingerprints of the code, data and split."""
        e = self.m.evidence
        git: dict[str, Any] = e.provenance.get("git") or {}
        prints = {name: sorted(set(e.trials[f"{name}_fingerprint"].dropna())) for name in ("data", "split")}
        text = (
            f"Git commit {git.get('commit') or 'unknown'}; data {', '.join(prints['data'])}; split "
            f"{', '.join(prints['split'])}. The records bundle (records.zip) contains every prediction and can be "
            "verified with `agrm-study verify`."
        )
        return Fact(text, "provenance.json; records.zip")
