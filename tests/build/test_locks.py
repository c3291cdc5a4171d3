"""Locks: what they hold, when they are stale, and which wheels a Python and a glibc can take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from build_samples import FIXED_LOCK, LABEL, fixed_lock
from packaging import tags

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.inputs.systems import Base as PlanBase
from stackwright.locking.base import check_base, check_python
from stackwright.locking.difference import told
from stackwright.locking.lockinputs import check_fresh, lock_inputs, locked, stale_parts
from stackwright.locking.locks import Base, Lock, Wheels, changes, load_lock, requirements_txt
from stackwright.locking.wheelset import group_wheels, platform_tags
from stackwright.plans.plan import Plan, resolve


def plan_of(site: Site) -> Plan:
    return resolve(Site(site.root), parse(LABEL))


def edit(site: Site, file: str, old: str, new: str) -> Plan:
    path = site.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return plan_of(site)


# Files


def test_a_lock_survives_writing_and_reading(tmp_path: Path) -> None:
    lock = load_lock(FIXED_LOCK)
    (tmp_path / "again.json").write_bytes(lock.to_json())

    assert load_lock(tmp_path / "again.json") == lock


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("wheels", "tools", 0, "digest"), "md5:abc"),
        (("wheels", "tools", 0, "file"), "../../etc/passwd"),
        (("wheels", "layers", 1, "wheels", 1, "name"), "mpich --index-url http://example.org"),
        (("wheels", "layers", 1, "wheels", 1, "version"), "5 --hash=sha256:0"),
        (("base", "packages", "python3.11"), "3; id"),
        (("base", "digest"), "sha256:ABC"),
        (("schema",), "stackwright/lock/9"),
        (("surprise",), 1),
    ],
)
def test_a_tampered_lock_is_refused(tmp_path: Path, place: tuple[Any, ...], value: object) -> None:
    content = json.loads(FIXED_LOCK.read_text())
    target = content
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    path = tmp_path / "bad.lock.json"
    path.write_text(json.dumps(content))

    with pytest.raises(StackwrightError, match="not a valid lock: " + str(place[0])) as caught:
        load_lock(path)
    assert str(caught.value.hint).startswith("`stackwright lock LABEL` writes locks, hands don't")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"version": "2.2.6"', '"version": "2.2.7"', "18: not a valid lock: numpy 2.2.7 is not"),
        ('"name": "numpy"', '"name": "torch"', "18: not a valid lock: torch 2.2.6 is not what"),
        (
            "mini/1.0-cpu@bench",
            "mini/1.1-cpu@bench",
            "11: not a valid lock: it is the lock of",
        ),
        ('"label"', "<<<<<<< HEAD", " not a valid lock: Invalid JSON: "),
    ],
)
def test_a_lock_that_was_edited_by_hand_is_refused_in_its_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "edited.lock.json"
    path.write_text(FIXED_LOCK.read_text().replace(old, new))

    with pytest.raises(StackwrightError) as caught:
        load_lock(path, parse(LABEL))

    assert str(caught.value).startswith(f"{path}:{said}")


def test_a_version_may_be_spelt_otherwise_than_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "spelt.lock.json"
    path.write_text(FIXED_LOCK.read_text().replace('"version": "2.2.6"', '"version": "2.2.6.0"'))

    assert load_lock(path, parse(LABEL)).wheels.installed[0].version == "2.2.6.0"


def test_requirements_are_pinned_by_version_and_hash() -> None:
    wheels = load_lock(FIXED_LOCK).wheels.layers[0].wheels

    assert requirements_txt(wheels) == f"numpy==2.2.6 --hash=sha256:{'4' * 64}\n"


def with_numpy(lock: Lock, **update: str) -> Wheels:
    """The wheels of a lock, with another numpy."""
    layer, *others = lock.wheels.layers
    (numpy,) = layer.wheels
    other = layer.model_copy(update={"wheels": (numpy.model_copy(update=update),)})
    return lock.wheels.model_copy(update={"layers": (other, *others)})


def test_the_difference_of_two_locks_is_a_line_per_package(site: Site) -> None:
    old = load_lock(FIXED_LOCK)
    new = old.model_copy(
        update={
            "wheels": with_numpy(old, version="2.3.0"),
            "base": old.base.model_copy(update={"packages": {"python3.11": "3.11.2-6+deb12u9"}}),
        }
    )

    assert told(changes(old, new)) == [
        "numpy 2.2.6 -> 2.3.0",
        "libstdc++6 12.2.0-14+deb12u1 -> (absent)",
    ]
    assert changes(old, old) == []


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"digest": f"sha256:{'9' * 64}"}, f"digest {{digest}} -> sha256:{'9' * 64}"),
        (
            {"file": "numpy-2.2.6-1-py3-none-any.whl", "digest": f"sha256:{'9' * 64}"},
            "file {file} -> numpy-2.2.6-1-py3-none-any.whl",
        ),
    ],
)
def test_another_file_of_the_same_version_is_a_difference(
    update: dict[str, str], said: str
) -> None:
    old = load_lock(FIXED_LOCK)
    new = old.model_copy(update={"wheels": with_numpy(old, **update)})

    numpy = old.wheels.installed[0]
    expected = said.format(file=numpy.file, digest=numpy.digest)
    assert told(changes(old, new)) == [f"numpy {expected}"]


# Freshness


def test_a_label_without_a_lock_names_the_command(site: Site) -> None:
    with pytest.raises(StackwrightError, match=f"^{LABEL} has no lock$") as caught:
        locked(plan_of(site), site)
    assert caught.value.hint == f"stackwright lock '{LABEL}'"


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        ("stacks/mini.yaml", "numpy==2.2.6", "numpy==2.2.5", ["wheels"]),
        ("stacks/mini.yaml", "mpich==5.0.2", "mpich==5.0.1", ["wheels"]),
        ("stacks/mini.yaml", 'python: "3.11"', 'python: "3.12"', ["wheels"]),
        ("systems/bench.yaml", '"2.36"', '"2.35"', ["wheels"]),
        ("systems/bench.yaml", "bookworm", "trixie", ["base"]),
        ("systems/bench.yaml", "[libstdc++6, ", "[libgomp1, libstdc++6, ", ["base"]),
        ("systems/bench.yaml", "target: x86_64,", "target: aarch64,", ["base", "wheels"]),
        ("systems/bench.yaml", "target: x86_64,", "target: zen3,", []),
        ("stacks/mini.yaml", "Values reach", "All values reach", []),
    ],
)
def test_what_makes_a_lock_stale(
    site: Site, file: str, old: str, new: str, parts: list[str]
) -> None:
    lock = fixed_lock(plan_of(site))

    assert stale_parts(lock, lock_inputs(edit(site, file, old, new))) == parts


def test_a_stale_half_names_the_command(site: Site) -> None:
    lock = fixed_lock(plan_of(site))
    inputs = lock_inputs(edit(site, "systems/bench.yaml", "bookworm", "trixie"))

    with pytest.raises(StackwrightError, match="is stale") as caught:
        check_fresh(lock, inputs, Path("the.lock.json"))
    assert caught.value.hint == f"stackwright lock '{LABEL}'"


def test_a_drifted_base_names_the_packages_and_the_command() -> None:
    lock = load_lock(FIXED_LOCK)
    made = Base(source="bookworm", digest="sha256:" + "9" * 64, packages={"python3.11": "3.11.3"})

    with pytest.raises(StackwrightError) as caught:
        check_base(lock.base, made, lock.label)

    assert caught.value.what.splitlines() == [
        "the base is not the locked one: 2 packages differ",
        "  libstdc++6 12.2.0-14+deb12u1 -> (absent)",
        "  python3.11 3.11.2-6+deb12u9 -> 3.11.3",
    ]
    assert caught.value.hint == (
        f"take what bookworm is now: stackwright lock --base-only '{LABEL}'"
    )


def test_one_package_differs_in_the_singular() -> None:
    lock = load_lock(FIXED_LOCK)
    packages = {**lock.base.packages, "python3.11": "3.11.3"}
    made = Base(source="bookworm", digest="sha256:" + "9" * 64, packages=packages)

    with pytest.raises(StackwrightError, match="not the locked one: 1 package differs\n"):
        check_base(lock.base, made, lock.label)


def base_with(*packages: str) -> Base:
    return Base(
        source="bookworm", digest="sha256:" + "9" * 64, packages=dict.fromkeys(packages, "1")
    )


def wanting(site: Site, python: str) -> Plan:
    return plan_of(site).model_copy(update={"python": python})


def test_a_base_may_have_several_pythons_and_needs_the_one_that_is_wanted(site: Site) -> None:
    base = base_with("python3", "python3.11", "python3.12", "python3.12-minimal")

    check_python(base, wanting(site, "3.11"))
    check_python(base, wanting(site, "3.12"))
    with pytest.raises(StackwrightError, match=r"has Python 3\.11 and 3\.12$"):
        check_python(base, wanting(site, "3.13"))


def test_a_base_without_python_is_refused(site: Site) -> None:
    with pytest.raises(StackwrightError, match="but the base bookworm has no Python") as caught:
        check_python(base_with("libc6"), wanting(site, "3.11"))
    assert caught.value.hint == "name python3.11 among the base's packages in the system file"


def test_an_image_brings_what_python_it_likes(site: Site) -> None:
    image = PlanBase(image="registry.example.org/base@sha256:" + "9" * 64)

    check_python(base_with("libc6"), plan_of(site).model_copy(update={"base": image}))


# Wheels


@pytest.mark.parametrize(("machine", "glibc"), [("x86_64", "2.36"), ("aarch64", "2.31")])
def test_platform_tags_are_those_of_pep_600(
    machine: str, glibc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    major, minor = map(int, glibc.split("."))
    monkeypatch.setattr("packaging._manylinux._get_glibc_version", lambda: (major, minor))
    monkeypatch.setattr("packaging._manylinux._have_compatible_abi", lambda *_: True)
    monkeypatch.setattr("packaging._manylinux._is_compatible", lambda *_: True)
    monkeypatch.setattr("sysconfig.get_platform", lambda: f"linux-{machine}")

    ours = platform_tags(machine, glibc)

    assert ours == [tag for tag in tags.platform_tags() if tag.startswith("manylinux")]


def item(name: str, *needs: str, extras: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "version": "1.0", "requires_dist": list(needs)},
        "requested_extras": list(extras),
        "download_info": {
            "url": f"https://example.org/{name}-1.0%2Bcpu-py3-none-any.whl",
            "archive_info": {"hashes": {"sha256": "a" * 64}},
        },
    }


def grouped(*items: dict[str, Any], python: str = "3.11") -> tuple[list[str], list[str]]:
    layers = {"torch": ["torch"], "packages": []}
    found = group_wheels({"install": list(items)}, layers, python).layers
    torch, packages = ([wheel.name for wheel in layer.wheels] for layer in found)
    return torch, packages


def test_a_framework_brings_all_that_it_needs() -> None:
    items = item("torch", "sympy>=1"), item("sympy", "mpmath"), item("mpmath"), item("h5py")

    assert grouped(*items) == (["mpmath", "sympy", "torch"], ["h5py"])


def test_names_are_compared_in_their_normal_form() -> None:
    items = item("torch", "Typing_Extensions"), item("typing-extensions")

    assert grouped(*items) == (["torch", "typing-extensions"], [])


def test_needs_of_extras_and_other_platforms_count_only_when_they_apply() -> None:
    torch = item(
        "torch",
        'optree; extra == "optree"',
        'triton; platform_system == "Windows"',
        'tomli; python_version < "3.11"',
    )

    assert grouped(torch) == (["torch"], [])
    assert grouped({**torch, "requested_extras": ["optree"]}, item("optree"))[0] == [
        "optree",
        "torch",
    ]


def test_a_need_that_pip_left_out_is_an_error() -> None:
    torch = item("torch", 'tomli; python_version < "3.11"')

    with pytest.raises(
        StackwrightError, match=r"torch needs tomli on Python 3\.10, which pip left"
    ):
        grouped(torch, python="3.10")


def test_what_is_built_from_sources_is_no_wheel_though_wheels_need_it() -> None:
    items = item("jaxlib"), item("flax", "jax[cpu]"), item("jax", "jaxlib"), item("h5py")
    layers = {"jaxlib": ["jaxlib"], "packages": []}

    found = group_wheels({"install": [*items]}, layers, "3.11", built={"jax"})

    assert [wheel.name for wheel in found.installed] == ["jaxlib", "flax", "h5py"]
    assert next(wheel for wheel in found.installed if wheel.name == "flax").needs == ()


def test_circular_needs_end() -> None:
    assert grouped(item("torch", "a"), item("a", "torch"))[0] == ["a", "torch"]


def test_the_file_name_is_read_from_the_address() -> None:
    (wheel,) = group_wheels({"install": [item("torch")]}, {"all": []}, "3.11").installed

    assert wheel.file == "torch-1.0+cpu-py3-none-any.whl"
