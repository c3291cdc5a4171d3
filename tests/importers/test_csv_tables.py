from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imported_samples import fixture, judged, version

from stackwright.errors import StackwrightError
from stackwright.importers.csvtable import Columns
from stackwright.importers.formats import read
from stackwright.validation.comparison import Comparison, Terms, compare

MODELS, JOBS = fixture("models.csv"), fixture("jobs.csv")
PAIRED = Columns(metrics={"samples_per_s": "higher"}, selecting=frozenset({"stack"}), pair="job")


def versions(text: str, old: str, new: str) -> Comparison:
    before, after = read(text, version(old)), read(text, version(new))
    return compare({"table": before}, {"table": after}, Terms())


def stacks(old: str, new: str, columns: Columns, text: str = JOBS) -> Comparison:
    before, after = (read(text, replace(columns, where={"stack": stack})) for stack in (old, new))
    return compare({"table": before}, {"table": after}, Terms())


def test_rows_are_selected_and_the_other_columns_tell_them_apart() -> None:
    comparison = versions(MODELS, "1.0", "1.1")

    assert comparison.verdict == "FAIL"
    assert [one.name for one in comparison.compared] == [
        "gpu=V100 model=alexnet",
        "gpu=V100 model=lstm",
        "gpu=V100 model=resnet50",
    ]
    assert {one.verdict for one in comparison.compared} == {"FAIL"}


def test_no_loss_in_single_rows_is_inconclusive() -> None:
    assert versions(MODELS, "1.0", "1.2").verdict == "INCONCLUSIVE"


def test_pairs_are_judged_by_the_rule_of_the_gate() -> None:
    assert stacks("old", "same", PAIRED).verdict == "PASS"
    slow = stacks("old", "slow", PAIRED)

    assert slow.verdict == "FAIL"
    assert {one.test for one in slow.compared} == {"pairs"}


def test_the_same_runs_unpaired_never_pass() -> None:
    unpaired = replace(PAIRED, pair=None, ignored=frozenset({"job"}))

    assert stacks("old", "same", unpaired).verdict == "INCONCLUSIVE"
    slow = stacks("old", "slow", unpaired)
    assert slow.verdict == "FAIL"
    assert {one.test for one in slow.compared} == {"rank sum"}


def test_pairs_are_found_by_their_names_in_any_order() -> None:
    header, *rows = JOBS.splitlines(keepends=True)
    slow = [row for row in rows if row.startswith("slow")]
    others = [row for row in rows if not row.startswith("slow")]

    turned = stacks("old", "slow", PAIRED, header + "".join(others + slow[::-1]))

    by_name = {one.name: one.decided_by for one in stacks("old", "slow", PAIRED).compared}
    assert {one.name: one.decided_by for one in turned.compared} == by_name


def test_four_pairs_decide_nothing() -> None:
    few = "".join(
        line for line in JOBS.splitlines(keepends=True) if line.split(",")[2] in "job1234"
    )

    assert stacks("old", "same", PAIRED, few).verdict == "INCONCLUSIVE"
    assert stacks("old", "slow", PAIRED, few).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("slow,cnn,8,", "slow,cnn,9,", "do not have the same pairs"),
        ("slow,cnn,8,", "slow,cnn,7,", "a pair has more than one run of an arm"),
        ("slow,cnn,8,", "slow,cnn,,", "its pair is missing"),
    ],
)
def test_broken_pairs_are_invalid(old: str, new: str, said: str) -> None:
    comparison = stacks("old", "slow", PAIRED, JOBS.replace(old, new))

    assert comparison.verdict == "INVALID"
    assert any(said in reason for reason in comparison.reasons), comparison.reasons


def test_a_stated_deviation_counts_if_it_is_larger_than_the_spread_assumed() -> None:
    text = "version,model,train_rate,train_rate_std\n1.0,cnn,100.0,0.1\n1.1,cnn,80.0,{}\n"

    assert versions(text.format("0.2"), "1.0", "1.1").verdict == "FAIL"
    assert versions(text.format("20.0"), "1.0", "1.1").verdict == "INCONCLUSIVE"
    assert versions(text.format("x"), "1.0", "1.1").verdict == "INVALID"


@given(cut=st.integers(0, len(MODELS) - 1))
def test_a_cut_table_gets_no_verdict_but_invalid(cut: int) -> None:
    try:
        comparison = compare(
            {"whole": read(MODELS, version("1.0"))},
            {"cut": read(MODELS[:cut], version("1.2"))},
            Terms(),
        )
    except StackwrightError:
        return  # a header that was cut lacks a column: an error in what was asked
    assert comparison.verdict == "INVALID"


def test_a_quote_that_is_not_closed_hides_no_rows() -> None:
    kept = [line for line in JOBS.splitlines() if line[:3] in {"sta", "old", "sam"}]
    text = "".join(f"{line},{'comment' if at == 0 else 'ok'}\n" for at, line in enumerate(kept))
    columns = replace(PAIRED, ignored=frozenset({"comment"}))
    at = text.rindex("ok", 0, len(text) // 2)

    cut = text[:at] + '"see log' + text[at + 2 :]
    closed = cut[:-3] + 'ok"\n'

    assert stacks("old", "same", columns, text).verdict == "PASS"
    for swallowed, said in ((cut, "it is no CSV"), (closed, "a line break within a field")):
        comparison = stacks("old", "same", columns, swallowed)
        assert comparison.verdict == "INVALID"
        assert any(said in reason for reason in comparison.reasons), comparison.reasons


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1672.00", "", "train_rate is missing"),
        ("1672.00", "nan", "train_rate is missing"),
        ("1672.00", "-3", "train_rate is -3"),
        ("1672.00", "inf", "train_rate is inf"),
        ("1672.00", "16,72", "row 5 has 5 of 4 columns"),
        ("1.1,V100,lstm", "1.1,V100,lstn", "lacks gpu=V100 model=lstm train_rate"),
        ("1.1,", "1.3,", "it has no row with version=1.1"),
    ],
)
def test_what_is_wrong_in_a_table_makes_it_invalid(old: str, new: str, said: str) -> None:
    comparison = versions(MODELS.replace(old, new), "1.0", "1.1")

    assert comparison.verdict == "INVALID"
    assert any(said in reason for reason in comparison.reasons), comparison.reasons


def dated(*rows: str) -> str:
    return "".join(f"{line}\n" for line in ("date,model,rate", *rows))


def test_a_column_with_nothing_in_common_may_be_one_to_ignore() -> None:
    columns = Columns(metrics={"rate": "higher"})
    before = dated("Monday,cnn,100", "Monday,lstm,50")

    reasons = judged(before, before.replace("Monday", "Tuesday"), columns=columns).reasons

    assert reasons[-1] == (
        "baseline before and candidate after have no date in common: --ignore date"
        " if it doesn't say what was measured"
    )
    once = [why for why in reasons if "--ignore" in why]
    assert len(once) == 1  # the models are the same


def test_a_column_that_lacks_a_value_is_none_to_ignore() -> None:
    columns = Columns(metrics={"rate": "higher"})
    before = dated("Monday,cnn,100", "Monday,lstm,50")

    reasons = judged(before, dated("Monday,cnn,90"), columns=columns).reasons

    assert reasons == ("candidate after lacks date=Monday model=lstm rate",)


def timed(*values: float, unit: str = "ms") -> str:
    rows = (f"j{at},{value},{unit}" for at, value in enumerate(values))
    return "".join(f"{line}\n" for line in ("job,time,unit", *rows))


@pytest.mark.parametrize("in_seconds", [1, 8])
@pytest.mark.parametrize("pair", ["job", None])
def test_a_gain_that_only_another_unit_explains_is_invalid(
    in_seconds: int, pair: str | None
) -> None:
    before = [100.0 + at for at in range(8)]
    after = [t * 1.4 / 1000 if at < in_seconds else t for at, t in enumerate(before)]
    columns = Columns(metrics={"time": "lower"}, pair=pair)

    comparison = judged(timed(*before), timed(*after), columns=columns)

    assert comparison.verdict == "INVALID"
    assert comparison.reasons[0].endswith("better than the baseline by 714.3 times: other units?")


@pytest.mark.parametrize(("gain", "verdict"), [(2.9, "PASS"), (8 * 0.5, "INVALID")])
def test_a_gain_passes_unless_bits_for_bytes_explain_it(gain: float, verdict: str) -> None:
    """Half the rate, in Gbit/s beside GB/s, is four times the number."""
    columns = Columns(metrics={"time": "lower"}, pair="job")
    before = [100.0 + at for at in range(8)]

    gained = judged(timed(*before), timed(*(t / gain for t in before)), columns=columns)

    assert gained.verdict == verdict


def rates(*values: float, pairs: str | None = "abcdefgh") -> str:
    names = pairs or "x" * len(values)
    rows = (f"{name},{value}" for name, value in zip(names, values, strict=True))
    return "".join(f"{line}\n" for line in ("job,rate", *rows))


IN_PAIRS = Columns(metrics={"rate": "higher"}, pair="job")


def test_one_pair_that_is_written_eight_times_is_one() -> None:
    before = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 100.0, 100.0]
    after = [99.0, 99.0, 99.0, 99.0, 99.0, 98.0, 99.0, 97.0]

    comparison = judged(rates(*before), rates(*after), columns=IN_PAIRS)

    assert comparison.verdict == "INVALID"
    assert comparison.reasons == (
        "pairs a, g have the very same values: one measurement, written 2 times?"
        " if they are several, give more digits",
    )


def test_an_arm_that_was_measured_once_is_no_arm_of_eight_pairs() -> None:
    after = [99.0 + at for at in range(8)]

    comparison = judged(rates(*[100.0] * 8), rates(*after), columns=IN_PAIRS)

    assert comparison.verdict == "INVALID"
    assert (
        "the baseline's runs a, b, c and 5 more have the very same values" in comparison.reasons[0]
    )


def test_runs_that_are_written_twice_are_no_repetition() -> None:
    unpaired = Columns(metrics={"rate": "higher"}, ignored=frozenset({"job"}))
    before, after = rates(100.0, 101.0, pairs=None), rates(94.0, 95.0, 94.0, pairs=None)

    comparison = judged(before, after, columns=unpaired)

    assert comparison.verdict == "INVALID"
    assert "the candidate's runs 1, 3 have the very same values" in comparison.reasons[0]


def test_runs_that_agree_in_one_of_two_metrics_are_two() -> None:
    header, *rows = rates(94.0, 95.0, 94.0, pairs=None).splitlines()
    both = "".join(
        f"{line}\n" for line in (f"{header},loss", *(f"{r},{at + 1}" for at, r in enumerate(rows)))
    )
    columns = Columns({"rate": "higher", "loss": "lower"}, ignored=frozenset({"job"}))

    assert judged(both, both.replace("94.0", "96.0"), columns=columns).verdict == "INCONCLUSIVE"


def test_pairs_are_told_by_the_median_that_judges_them_and_those_that_lost_by_name() -> None:
    before = [100.0 + at for at in range(8)]
    after = [50.0, *(value + 1 for value in before[1:])]

    (one,) = judged(rates(*before), rates(*after), columns=IN_PAIRS).compared

    assert (one.verdict, one.lost) == ("PASS", {"a": 0.5})
    assert 1 < one.decided_by.ratio < 1.01


@pytest.mark.parametrize(("factor", "verdict"), [(2.9, "PASS"), (3.1, "INVALID")])
def test_pairs_of_several_models_are_no_pairs_of_one_job(factor: float, verdict: str) -> None:
    """One row a model, as `--pair model` takes them: nothing was repeated."""
    before = [241.0, 300.0, 400.0, 500.0, 241.0 * factor]
    after = [value * 1.01 for value in before]

    old, new = (rates(*values, pairs="abcde") for values in (before, after))
    comparison = judged(old, new, columns=IN_PAIRS)

    assert comparison.verdict == verdict
    if verdict == "INVALID":
        baseline, candidate = comparison.reasons
        assert baseline == (
            "rate: the baseline's runs differ by 3.1 times (241 in pair a, 747.1 in pair e):"
            " the column of --pair has to name the job (the run) in which both arms were"
            " measured, not what was measured"
        )
        assert "the candidate's runs differ by 3.1 times" in candidate


def test_pairs_that_only_one_thing_has_are_none() -> None:
    text = "model,job,rate\n" + "".join(f"m{at},j{at},{100 + at}\n" for at in range(8))
    after = text.replace(",1", ",2")

    comparison = judged(text, after, columns=IN_PAIRS)

    assert (comparison.verdict, comparison.reasons) == (
        "INVALID",
        ("the arms, or the metrics, do not have the same pairs",),
    )


def test_a_column_that_is_ignored_and_differs_between_pairs_is_told() -> None:
    rows = "".join(f"m{at},j{at},{100 + at},0.{at}1\n" for at in range(8))
    text = f"model,job,rate,loss\n{rows}"
    columns = replace(IN_PAIRS, ignored=frozenset({"model", "loss"}))

    comparison = judged(text, text.replace(",1", ",2"), columns=columns)

    assert comparison.notes == (
        "'model', which is ignored, has several values: these are pairs of one measurement only"
        " if it doesn't say what was measured",
    )


def test_a_gain_in_a_unit_that_the_file_names_is_one() -> None:
    before, after = fixture("osu-before.txt"), fixture("osu-after.txt")

    assert judged(before.replace("11965.77", "11.97"), after).verdict == "FAIL"


@pytest.mark.parametrize("name", ["unit", "Units", "time_unit"])
@pytest.mark.parametrize("how", ["ignored", "selecting"])
def test_units_cannot_differ(name: str, how: str) -> None:
    text = timed(100.0, 101.0).replace("unit", name)
    columns = Columns(metrics={"time": "lower"}, **{how: frozenset({name})})  # type: ignore[arg-type]

    with pytest.raises(StackwrightError, match="can't be compared in different units") as caught:
        read(text, columns)
    assert caught.value.hint


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_without_commas_is_told_what_is_wanted(mark: str, name: str) -> None:
    text = dated("Monday,cnn,100").replace(",", mark)

    reasons = judged(text, text, columns=Columns(metrics={"rate": "higher"})).reasons

    assert len(reasons) == 2
    assert {why.partition("CSV ")[2] for why in reasons} == {
        f"(with commas between the columns, not {name})"
    }


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (Columns(), "which columns are metrics"),
        (Columns(metrics={"train_rat": "higher"}), "did you mean 'train_rate'"),
        (Columns(metrics={"version": "higher"}), "is 'train_rate' a metric?"),
    ],
)
def test_columns_that_do_not_fit_are_an_error(columns: Columns, said: str) -> None:
    with pytest.raises(StackwrightError, match=said) as caught:
        read(MODELS, columns)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["", " \n", "Segmentation fault\n", "\x00\x01", "a,b\n" + "x" * 200_000 + ",1\n"]
)
def test_what_is_no_result_is_invalid(text: str) -> None:
    columns = Columns(metrics={"b": "higher"}) if text.startswith("a,b") else Columns()

    assert judged(text, text, columns=columns).verdict == "INVALID"


def test_columns_are_for_csv_only() -> None:
    with pytest.raises(StackwrightError, match="only a CSV has columns"):
        read(fixture("osu-before.txt"), version("1.0"))
