"""Specs that a stack file may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackwright.inputs.requirements import PROVIDERS
from stackwright.inputs.spackspecs import Spec, read_spec

COMMIT = 4 * "0123456789"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("hpl", "hpl"),
        ("py-torch@2.9.0+mkldnn ~cuda +gloo", "py-torch@2.9.0 ~cuda +gloo +mkldnn"),
        ("nccl@=2.28.7 cuda_arch=80", "nccl@=2.28.7 cuda_arch=80"),
        (
            "openmpi schedulers=slurm fabrics=ofi,ucx",
            "openmpi fabrics=ofi,ucx schedulers=slurm",
        ),
        ("hdf5@1.14: +mpi", "hdf5@1.14: +mpi"),
        (f"stream@git.{COMMIT}=5.10+openmp", f"stream@git.{COMMIT}=5.10 +openmp"),
    ],
)
def test_a_spec_has_a_normal_form(text: str, normal: str) -> None:
    assert str(read_spec(text)) == normal


@pytest.mark.parametrize(
    "text",
    [
        "py-torch ^mkl",
        "py-torch%gcc",
        "py-torch@2.9.0 mkldnn",
        "Torch",
        "torch; id",
        "torch\n+x",
        "",
        "torch +",
        "torch x=$(id)",
        "stream@git.0123456=5.10",  # what it names may be another commit tomorrow
        f"stream@git.{COMMIT}=",
        "stream@git.main=5.10",
    ],
)
def test_what_is_no_spec_or_the_systems_matter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="spec"):
        read_spec(text)


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("a@2.9.0", "2.9.0"),
        ("a@=2.9.0", "2.9.0"),
        (f"a@git.{COMMIT}=2.9.0", f"git.{COMMIT}=2.9.0"),
        ("a@2:", None),
        ("a", None),
    ],
)
def test_only_one_version_is_an_exact_one(text: str, exact: str | None) -> None:
    assert PROVIDERS["spack"].read(text).version == exact


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
VALUES = st.one_of(
    st.booleans(), st.lists(st.from_regex(r"[a-z0-9]{1,4}", fullmatch=True), min_size=1).map(tuple)
)
SPECS = st.builds(
    Spec,
    name=NAMES,
    version=st.one_of(st.none(), st.from_regex(r"=?[0-9]{1,2}(\.[0-9]{1,2}){0,2}", fullmatch=True)),
    variants=st.dictionaries(KEYS, VALUES, max_size=4),
)


@given(SPECS)
def test_the_normal_form_says_the_same(spec: Spec) -> None:
    assert read_spec(str(spec)) == spec
