"""Logistic regression and random forests on scikit-learn's breast cancer data (569 tumours, 30 features)."""

from typing import Literal

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import agrm_study as ags

TABLE = load_breast_cancer()


class Tabular(ags.Trainer):
    """Fits the model in a single epoch."""

    class Options(ags.Options):
        """The model and its settings."""

        model: Literal["logistic", "forest"] = "logistic"
        """Type of the model."""
        c: float = 1.0
        """Inverse strength of the logistic regression's L2 penalty."""
        trees: int = 200
        """Number of trees in the forest."""

    @classmethod
    def samples(cls):
        labels = TABLE.target_names[TABLE.target]
        return [ags.Sample(f"{row:03d}", str(label)) for row, label in enumerate(labels)]

    @classmethod
    def fingerprint(cls):
        return str(float(TABLE.data.sum()))

    def start(self, trial, saved):
        self.trial = trial
        if self.options.model == "forest":
            self.model = RandomForestClassifier(self.options.trees, random_state=trial.seed % 2**32)
        else:
            self.model = make_pipeline(StandardScaler(), LogisticRegression(C=self.options.c))

    def run_epoch(self, epoch):
        self.model.fit(self.rows(self.trial.train), self.trial.train_labels)
        return {}

    def predict(self, ids):
        return self.model.predict_proba(self.rows(ids))

    def save(self, folder):
        """Saves nothing: a trial has only one epoch, and an interrupted trial starts again."""

    def rows(self, ids):
        return TABLE.data[np.array([int(i) for i in ids])]
