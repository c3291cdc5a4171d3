"""What models that tell signal from background share: loss, scores, the best hand cut."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from science import Bound, Predictor, Science, Scores
from torch import Tensor, nn

AUC = "AUC"
BINS = 24
# Of the curves that are shown; closest where the false positive rate is low.
RATES = np.linspace(0, 1, 41) ** 2


def roc(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the false and true positive rates, both from 0 to 1, as the cut is lowered.

    Equal scores pass a cut together, so that a constant score gives the diagonal.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = labels[order].astype(float)
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    signal = np.cumsum(ordered)[last_of_equals]
    background = np.cumsum(1 - ordered)[last_of_equals]
    return np.append(0, background / background[-1]), np.append(0, signal / signal[-1])


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Give the area under the ROC curve: how often a signal scores above a background.

    It is nan where a score is not finite.
    """
    if not np.isfinite(scores).all():
        return math.nan
    return float(np.trapezoid(*reversed(roc(scores, labels))))


def true_positives(scores: np.ndarray, labels: np.ndarray, false_positive_rate: float) -> float:
    """Give the part of the signal kept at a cut that keeps this part of the background."""
    return float(np.interp(false_positive_rate, *roc(scores, labels)))


def best_cut(variables: np.ndarray, labels: np.ndarray) -> Predictor:
    """Fit the best cut in two variables: that on the ratio of their histograms.

    By the lemma of Neyman and Pearson no other cut in them keeps more signal, so what a network
    does better it does by seeing more.

    Args:
        variables: shape (count, 2).
        labels: 1 for signal, 0 for background.
    """
    inner = [np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]) for column in variables.T]

    def cell(rows: np.ndarray) -> np.ndarray:
        x, y = (np.searchsorted(edges, rows[:, i]) for i, edges in enumerate(inner))
        return x * BINS + y

    cells = cell(variables)
    signal, background = (
        np.bincount(cells[labels == kind], minlength=BINS**2) + 1 for kind in (1, 0)
    )
    ratio = signal / background
    return lambda unseen: ratio[cell(unseen)]


class Classifier(Science):
    """Tells signal (label 1) from background (0) by a logit for each label."""

    metric = AUC
    classical = "hand cut"

    most_of_cut: ClassVar[float]
    """The largest part of the hand cut's error, 1 - AUC, that a model may leave."""

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the cross-entropy."""
        return nn.functional.binary_cross_entropy_with_logits(outputs, labels)

    def fit(self, summaries: np.ndarray, labels: np.ndarray) -> Predictor:
        """Fit the best cut in the two variables."""
        return best_cut(summaries, labels)

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Scores:
        """Give the area under the ROC curve."""
        return {AUC: auc(predictions, labels)}

    def criterion(self, network: Scores, trivial: Scores, classical: Scores) -> dict[str, Bound]:
        """Rank signal above background more often than guessing, and than the cut."""
        error = 1 - network[AUC]
        return {
            "half_of_trivial": Bound(error, "<=", 0.5 * (1 - trivial[AUC])),
            "beats_hand_cut": Bound(error, "<=", self.most_of_cut * (1 - classical[AUC])),
        }

    def plots(self, predictions: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
        """Show what of the signal is kept with how much background, and the network's scores."""
        curves = {
            name: [
                [[0, 0], *np.column_stack([RATES, np.interp(RATES, *roc(scores, labels))]).tolist()]
            ]
            for name, scores in predictions.items()
        }
        logits = next(iter(predictions.values()))
        scores = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        edges = np.linspace(0, 1, BINS + 1)
        middles = (edges[1:] + edges[:-1]) / 2
        shares = {
            name: np.histogram(scores[labels == kind], edges)[0] / (labels == kind).sum()
            for name, kind in (("signal", 1), ("background", 0))
        }
        return {
            "signal kept against background kept": {
                "lines": curves,
                "xlabel": "part of the background",
                "ylabel": "part of the signal",
            },
            "scores of signal and background": {
                "lines": {n: [np.column_stack([middles, s]).tolist()] for n, s in shares.items()},
                "xlabel": "score of the network",
                "ylabel": "part of the samples",
            },
        }
