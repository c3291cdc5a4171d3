"""Simulates the decision rule on noisy machines and writes the tables of docs/statistics.md.

    python benchmarks/gate_simulation.py [--quick] [--update docs/statistics.md]

Every noise model gives x = ln(candidate/baseline), pair by pair, for a candidate that is as fast as
the baseline; a change of speed shifts x. The same noise is judged by each rule. The numbers of the
chosen rule come from the order statistics of stackwright.validation.rule, computed for all trials
at once; a sample of trials is decided by the real `decide` too, and any difference is an error.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stackwright.validation import rule

Array = npt.NDArray[np.float64]
Rng = np.random.Generator

PAIRS = 64
DELTA = 0.05
CHANGES = (0.0, -0.05, -0.10, -0.20)
Z95 = 1.96

# --- noise: ln(candidate/baseline), shape (trials, PAIRS) ----------------------------------------


def autoregressive(rng: Rng, shape: tuple[int, int], rho: float, sd: float) -> Array:
    """A stationary AR(1) process along the second axis."""
    steps = rng.normal(scale=sd * math.sqrt(1 - rho**2), size=shape)
    steps[:, 0] = rng.normal(scale=sd, size=shape[0])
    for i in range(1, shape[1]):
        steps[:, i] += rho * steps[:, i - 1]
    return steps


def in_random_order(rng: Rng, runs: Array) -> Array:
    """Differences of neighbouring runs, each pair's order drawn by lot."""
    return rng.choice((-1.0, 1.0), size=(len(runs), PAIRS)) * (runs[:, 1::2] - runs[:, ::2])


def machine(rng: Rng, trials: int) -> Array:
    """Run times of one shared virtual machine: slow drift of 25 % (CV), and short heavy tails."""
    runs = (trials, 2 * PAIRS)
    return autoregressive(rng, runs, rho=0.99, sd=0.245) + rng.laplace(scale=0.03, size=runs)


def shared_vm(rng: Rng, trials: int) -> Array:
    """Drift and tails of the machine; pairing removes the drift."""
    return in_random_order(rng, machine(rng, trials))


def steady(rng: Rng, trials: int) -> Array:
    """Independent normal noise of 2 % a run: a quiet, exclusive node."""
    return rng.normal(scale=0.02 * math.sqrt(2), size=(trials, PAIRS))


def heavy_tails(rng: Rng, trials: int) -> Array:
    """Student t with 3 degrees of freedom, scale 4 %."""
    return 0.04 * (
        rng.standard_t(3, size=(trials, PAIRS)) - rng.standard_t(3, size=(trials, PAIRS))
    )


def unpaired(rng: Rng, trials: int) -> Array:
    """Log-normal noise of 25 % in each run, from which pairing removes nothing."""
    return rng.normal(scale=0.25 * math.sqrt(2), size=(trials, PAIRS))


def trend(rng: Rng, trials: int) -> Array:
    """The machine slows by 1 % from each run to the next; 3 % noise."""
    slowing = np.arange(2 * PAIRS) * -0.01
    return in_random_order(rng, slowing + rng.normal(scale=0.03, size=(trials, 2 * PAIRS)))


def _hits(rng: Rng, trials: int, probability: float) -> Array:
    struck = rng.random((trials, PAIRS)) < probability
    return np.where(struck, rng.exponential(0.4, size=(trials, PAIRS)), 0.0)


def neighbour(rng: Rng, trials: int) -> Array:
    """A neighbour slows a quarter of all runs, of either arm, by 40 % on average."""
    noise = rng.normal(scale=0.04, size=(trials, PAIRS))
    return noise + _hits(rng, trials, 0.25) - _hits(rng, trials, 0.25)


def neighbour_of_baseline(rng: Rng, trials: int) -> Array:
    """As before, but only the baseline is hit, in 40 % of its runs: x is not symmetric."""
    return rng.normal(scale=0.04, size=(trials, PAIRS)) + _hits(rng, trials, 0.4)


def skewed(rng: Rng, trials: int) -> Array:
    """Exponential noise of 15 % in the baseline alone, its median removed: x is not symmetric."""
    return rng.exponential(0.15, size=(trials, PAIRS)) - 0.15 * math.log(2)


def correlated(rng: Rng, trials: int) -> Array:
    """The paired ratios themselves are correlated, r = 0.8: beyond what any rule here promises."""
    return autoregressive(rng, (trials, PAIRS), rho=0.8, sd=0.07)


NOISES: dict[str, Callable[[Rng, int], Array]] = {
    "shared VM: 25 % drift, heavy tails": shared_vm,
    "quiet node: 2 %": steady,
    "heavy tails: t3, 4 %": heavy_tails,
    "trend: 1 % slower each run": trend,
    "noisy neighbour, either arm": neighbour,
    "noisy neighbour, baseline only": neighbour_of_baseline,
    "skewed baseline": skewed,
    "log-normal 25 %, nothing pairs away": unpaired,
    "correlated ratios, r = 0.8": correlated,
}

# --- rules ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """Per trial: +1 for PASS, -1 for FAIL, 0 for INCONCLUSIVE, and the pairs that it took."""

    verdict: npt.NDArray[np.int8]
    pairs: npt.NDArray[np.int64]


Evidence = Callable[[Array], tuple[Array, Array]]
Critical = Callable[[int, float], int]


def signs(y: Array) -> tuple[Array, Array]:
    """Samples at or below, and at or above, the bound."""
    return (y <= 0).sum(axis=1), (y >= 0).sum(axis=1)


def signed_ranks(y: Array) -> tuple[Array, Array]:
    """Wilcoxon's rank sums of the samples below and above the bound."""
    ranks = np.argsort(np.argsort(np.abs(y), axis=1), axis=1) + 1
    return (ranks * (y < 0)).sum(axis=1), (ranks * (y > 0)).sum(axis=1)


@lru_cache(maxsize=64)
def signed_rank_order(n: int, alpha: float) -> int:
    """As `rule.order`, for the signed-rank sum, counted exactly over all 2^n signs."""
    ways = [1]
    for rank in range(1, n + 1):
        ways = [
            (ways[t] if t < len(ways) else 0) + (ways[t - rank] if t >= rank else 0)
            for t in range(len(ways) + rank)
        ]
    k, total = 0, ways[0]
    while total / 2**n <= alpha:
        k += 1
        total += ways[k]
    return k


@dataclass(frozen=True)
class Rule:
    """A group-sequential test: PASS or FAIL once less than k speaks against it."""

    name: str
    evidence: Evidence
    critical: Critical
    looks: tuple[int, ...]

    def __call__(self, x: Array) -> Outcome:
        """Judge ln(candidate/baseline) of shape (trials, pairs)."""
        y = x - math.log1p(-DELTA)
        verdict = np.zeros(len(y), dtype=np.int8)
        pairs = np.full(len(y), self.looks[-1])
        for n in self.looks:
            k = self.critical(n, rule.ALPHA / len(self.looks))
            below, above = self.evidence(y[:, :n])
            for value, against in ((1, below), (-1, above)):
                decided = (verdict == 0) & (against < k)
                verdict[decided] = value
                pairs[decided] = n
        return Outcome(verdict, pairs)


SIGN3 = Rule("sign 8, 16, 32", signs, rule.order, (8, 16, 32))
SIGN4 = Rule("**sign 8, 16, 32, 64**", signs, rule.order, (8, 16, 32, 64))
RANK3 = Rule("signed rank 8, 16, 32", signed_ranks, signed_rank_order, (8, 16, 32))
RANK4 = Rule("signed rank 8, 16, 32, 64", signed_ranks, signed_rank_order, (8, 16, 32, 64))
RULES = (SIGN3, SIGN4, RANK3, RANK4)


def three_tries(rng: Rng, trials: int, change: float) -> float:
    """How often a fixed -10 % threshold with two retries passes, against a recorded figure."""
    reference = machine(rng, trials)[:, 0]
    tries = machine(rng, trials)[:, :3] + math.log1p(change)
    return float((tries > (reference + math.log(0.9))[:, None]).any(axis=1).mean())


def check_against_decide(x: Array, outcome: Outcome, looks: tuple[int, ...]) -> None:
    """Raise AssertionError unless `rule.decide` gives the same verdicts and numbers of pairs."""
    names = {1: "PASS", -1: "FAIL", 0: "INCONCLUSIVE"}
    for samples, verdict, pairs in zip(x, outcome.verdict, outcome.pairs, strict=False):
        decision = rule.decide([math.exp(v) for v in samples], 1 - DELTA, looks)
        if (decision.verdict, decision.n) != (names[int(verdict)], int(pairs)):
            raise AssertionError(f"simulation {verdict} after {pairs}, rule {decision}")


# --- tables --------------------------------------------------------------------------------------


def upper(hits: int, trials: int) -> float:
    """Upper end of the 95 % interval of a frequency (Wilson, JASA 22, 1927)."""
    p, z2 = hits / trials, Z95**2
    centre = p + z2 / (2 * trials)
    half = Z95 * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2))
    return (centre + half) / (1 + z2 / trials)


def percent(fraction: float) -> str:
    """With the digits that matter for an error rate."""
    return f"{100 * fraction:.2f}" if fraction < 0.0995 else f"{100 * fraction:.1f}"


def rows(trials: int, seed: int) -> Iterator[str]:
    """One row for each noise and rule."""
    for i, (noise_name, noise) in enumerate(NOISES.items()):
        x = noise(np.random.default_rng((seed, i)), trials)
        for judge in RULES:
            cells = [noise_name, judge.name]
            for change in CHANGES:
                shifted = x + math.log1p(change)
                outcome = judge(shifted)
                if judge.evidence is signs:
                    check_against_decide(shifted[:50], outcome, judge.looks)
                cells.append(_cell(outcome, change))
            yield f"| {' | '.join(cells)} |"


def _cell(outcome: Outcome, change: float) -> str:
    passed, failed = (outcome.verdict == 1), (outcome.verdict == -1)
    text = f"{percent(passed.mean())} / {percent(failed.mean())}"
    if change == 0:
        text += f" in {outcome.pairs.mean():.0f}"
    if change == -0.10:
        text += f" (< {percent(upper(int(passed.sum()), len(passed)))})"
    return text


def suite_rows(trials: int, seed: int, metrics: int = 8) -> Iterator[str]:
    """A case of several metrics on the shared VM, decided by `rule.decide_all`."""
    rng = np.random.default_rng((seed, 1000))
    for looks in (SIGN3.looks, SIGN4.looks):
        for slowed in (0, 1):
            verdicts: Counter[str] = Counter()
            for _ in range(trials):
                x = shared_vm(rng, metrics)
                x[:slowed] += math.log1p(-0.20)
                asked = [rule.Question(tuple(np.exp(row)), 1 - DELTA) for row in x]
                found = {d.verdict for d in rule.decide_all(asked, looks)}
                verdicts[min(found, key=["FAIL", "INCONCLUSIVE", "PASS"].index)] += 1
            what = "no change" if not slowed else "one metric -20 %"
            cells = (verdicts[v] / trials for v in ("PASS", "FAIL", "INCONCLUSIVE"))
            shown = " | ".join(percent(c) for c in cells)
            yield f"| {', '.join(map(str, looks))} | {what} | {shown} |"


def report(trials: int, seed: int) -> str:
    """The Markdown between the markers of docs/statistics.md."""
    rng = np.random.default_rng((seed, 2000))
    retried = " | ".join(percent(three_tries(rng, trials, change)) for change in CHANGES)
    return "\n".join(
        [
            f"PASS / FAIL in per cent of {trials} simulated jobs (the rest is INCONCLUSIVE), "
            f"seed {seed}. Column 0 adds the mean number of pairs; column -10 % the upper end of "
            "the 95 % interval of a wrong PASS.",
            "",
            "| noise | rule | 0 | -5 % (the bound) | -10 % | -20 % |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows(trials, seed),
            "",
            "One run against a recorded figure, a threshold of -10 % and two retries, on the same "
            "shared VM: how often it passes, in per cent.",
            "",
            "| 0 | -5 % | -10 % | -20 % |",
            "| --- | --- | --- | --- |",
            f"| {retried} |",
            "",
            f"A case of 8 metrics on the shared VM, {trials // 20} simulated jobs: its verdict, in "
            "per cent.",
            "",
            "| looks | change | PASS | FAIL | INCONCLUSIVE |",
            "| --- | --- | --- | --- | --- |",
            *suite_rows(trials // 20, seed),
        ]
    )


BEGIN, END = "<!-- begin gate_simulation -->", "<!-- end gate_simulation -->"


def update(document: Path, tables: str) -> None:
    """Replace what stands between the markers of a document."""
    head, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        sys.exit(f"{document}: add the lines '{BEGIN}' and '{END}' where the tables belong")
    document.write_text(f"{head}{BEGIN}\n{tables}\n{END}{tail}", encoding="utf-8")


def main() -> None:
    """Print the tables, or put them into a document."""
    parser = argparse.ArgumentParser(description="Simulate the decision rule.")
    parser.add_argument("--quick", action="store_true", help="2,000 trials, not 20,000")
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("--update", type=Path, metavar="FILE", help="write the tables into FILE")
    options = parser.parse_args()
    tables = report(2_000 if options.quick else 20_000, options.seed)
    if options.update:
        update(options.update, tables)
    else:
        print(tables)


if __name__ == "__main__":
    main()
