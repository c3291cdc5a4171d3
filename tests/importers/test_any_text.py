from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imported_samples import fixture, judged

from stackwright.errors import StackwrightError
from stackwright.importers.csvtable import Columns

WHOLE = ["nccl-after.log", "nccl-after.json", "osu-after.txt", "models.csv", "hang.log"]
METRIC = Columns(metrics={"train_rate": "higher"})


@pytest.mark.parametrize("name", WHOLE)
@given(start=st.integers(0, 4000), length=st.integers(0, 60), put=st.text(max_size=20))
def test_no_text_breaks_a_reader_or_makes_it_pass(
    name: str, start: int, length: int, put: str
) -> None:
    text = fixture(name)
    broken = text[:start] + put + text[start + length :]
    columns = METRIC if name.endswith(".csv") else Columns()

    try:
        comparison = judged(text, broken, columns=columns)
    except StackwrightError:
        return

    assert comparison.verdict in {"INVALID", "HUNG", "FAIL", "INCONCLUSIVE"}


@pytest.mark.parametrize("value", ["9" * 5000, "1e400", "²", "-1", "1_0", "NaN", "[]", "{}"])
@pytest.mark.parametrize(
    ("name", "size"),
    [("nccl-after.log", "16777216"), ("nccl-after.json", "16777216"), ("osu-after.txt", "2097152")],
)
def test_a_size_that_is_none_is_invalid(name: str, size: str, value: str) -> None:
    text = fixture(name)

    assert judged(text, text.replace(size, value)).verdict == "INVALID"


@pytest.mark.parametrize(
    ("name", "value"), [("osu-after.txt", "4786.31"), ("models.csv", "1672.00")]
)
@pytest.mark.parametrize("far", ["1e300", "1e-300", "5e-324", "1_000"])
def test_values_that_no_clock_gives_are_invalid(name: str, value: str, far: str) -> None:
    text = fixture(name)
    columns = METRIC if name.endswith(".csv") else Columns()

    assert judged(text, text.replace(value, far), columns=columns).verdict == "INVALID"
