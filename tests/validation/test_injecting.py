"""What a site injects: how it reaches a container, and when it is refused before anything runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from stackwright.building.recipe import IMAGE_PREFIX
from stackwright.elf import Elf
from stackwright.errors import StackwrightError
from stackwright.inputs.injections import OF_THE_STACK, Injection
from stackwright.runtimes.injecting import Injecting, injected
from stackwright.runtimes.injections import carried_by, check_loadable, given, staged
from stackwright.runtimes.loadable import Brought, Inside, problems
from stackwright.runtimes.request import Engine, Mount, Request
from stackwright.runtimes.rootless import Charliecloud
from stackwright.runtimes.shifter import Bubblewrap, entries_of
from stackwright.store import Store

IMAGE_ENV = {"LD_LIBRARY_PATH": "/opt/stack/lib", "PATH": "/bin"}


def injection(name: str = "mpi", **fields: object) -> Injection:
    said = {"name": name, "why": "The fabric.", "source": "https://example.org/mpi", **fields}
    return Injection.model_validate(said)


MPICH = injection(
    bind=[{"source": "/usr/lib/site-mpich", "target": "/opt/site/mpich"}],
    prepend={"LD_LIBRARY_PATH": "/opt/site/mpich"},
    env={"MPICH_OFI_NIC_POLICY": "NUMA"},
    libraries=[{"soname": "libmpi.so.12"}],
    modules={"shifter": "mpich"},
)
DRIVER = injection(
    "driver",
    bind=[{"source": "/usr/lib/libcuda.so.1"}],
    prepend={"LD_LIBRARY_PATH": "/usr/lib"},
    libraries=[{"soname": "libcuda.so.1"}],
)


def test_files_are_mounted_and_variables_set_over_those_of_the_user() -> None:
    asked = Request(("true",), env={"MPICH_OFI_NIC_POLICY": "mine", "A": "1"})

    given = injected(asked, [MPICH], IMAGE_ENV)

    assert given.mounts == (Mount("/usr/lib/site-mpich", "/opt/site/mpich"),)
    assert given.env == {
        "A": "1",
        "MPICH_OFI_NIC_POLICY": "NUMA",
        "LD_LIBRARY_PATH": "/opt/site/mpich:/opt/stack/lib",
    }


def test_of_two_folders_put_first_the_first_injections_is_searched_first() -> None:
    given = injected(Request(("true",)), [MPICH, DRIVER], {})

    assert given.env["LD_LIBRARY_PATH"] == "/opt/site/mpich:/usr/lib"


def test_a_driver_that_is_injected_need_not_come_with_the_run_time() -> None:
    way = Charliecloud(Engine(("ch-run",)), Path("/s/i.squashfs"), {})
    asked = Request(("nvidia-smi",), gpus=True)

    with pytest.raises(ValueError, match="no driver"):
        Injecting(way, (MPICH,), {}).command_line(asked)
    argv = Injecting(way, (DRIVER,), {}).command_line(asked).argv
    assert "--bind=/usr/lib/libcuda.so.1:/usr/lib/libcuda.so.1" in argv


def test_shifters_own_modules_bring_the_files_and_the_request_their_variables() -> None:
    (left,) = given("shifter", [MPICH])

    asked = injected(Request(("true",)), [left], IMAGE_ENV)

    assert (asked.mounts, asked.env) == ((), {"MPICH_OFI_NIC_POLICY": "NUMA"})
    assert carried_by("shifter", [MPICH, MPICH]) == ("mpich",)
    assert given("podman", [MPICH]) == (MPICH,)
    with pytest.raises(StackwrightError, match="driver doesn't say which module of shifter"):
        given("shifter", [MPICH, DRIVER])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"bind": [{"source": "/a", "target": "/opt/stackwright/lib"}]}, "would lie over"),
        ({"bind": [{"source": "/a", "target": "/opt"}]}, "would lie over /opt"),
        ({"bind": [{"source": "/usr/lib"}]}, "would lie over /usr/lib"),
        ({"copy": [{"source": "/a", "target": "/stackwright/payload/cases"}]}, "would lie over"),
        ({"bind": [{"source": "/a", "target": "/etc/ld.so.preload"}]}, "would lie over"),
        ({"bind": [{"source": "/a", "target": "/proc/self/root/opt/x"}]}, "would lie over"),
        ({"bind": [{"source": "/a", "target": "/lib/../opt/stackwright"}]}, "without '..'"),
        ({"env": {"LD_PRELOAD": "/a.so"}}, "decides what programs load"),
        ({"env": {"LD_LIBRARY_PATH": "/opt/x"}}, "put it under 'prepend'"),
        ({"prepend": {"LD_PRELOAD": "/a.so"}}, "decides what programs load"),
        ({"env": {"OMP_NUM_THREADS": "1"}}, "a validation sets OMP_NUM_THREADS itself"),
    ],
)
def test_what_would_replace_what_was_certified_is_no_injection(
    said: dict[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        injection(**said)


def test_the_folders_of_the_stack_are_those_of_its_images() -> None:
    assert {IMAGE_PREFIX, "/stackwright"} <= {*OF_THE_STACK}


def elf(soname: str | None = None, needed: tuple[str, ...] = (), **other: object) -> Elf:
    parts: dict[str, object] = {
        "machine": "EM_X86_64",
        "soname": soname,
        "needed": needed,
        "rpath": (),
        "runpath": (),
        "glibc": (2, 34),
    }
    return Elf(**{**parts, **other})  # type: ignore[arg-type]


INSIDE = Inside("EM_X86_64", frozenset({"libc.so.6"}), (2, 36), frozenset({"libmpi.so.12"}))
LIBMPI = "/opt/site/mpich/libmpi.so.12"


def told(
    files: Mapping[str, Elf],
    *,
    inside: Inside = INSIDE,
    one: Injection = MPICH,
    driver: str | None = None,
    targets: Mapping[str, str] | None = None,
) -> list[str]:
    return [*problems([Brought(one, files, targets or {})], inside, driver)]


def test_libraries_that_fit_have_no_problems() -> None:
    files = {
        LIBMPI: elf("libmpi.so.12", ("libfabric.so.1", "libc.so.6")),
        "/opt/site/mpich/dep/libfabric.so.1": elf("libfabric.so.1", ("libc.so.6",)),
    }

    assert told(files) == []


@pytest.mark.parametrize(
    ("library", "why"),
    [
        (elf("libmpi.so.12", ("libcxi.so.1",)), "needs libcxi.so.1, which neither the image nor"),
        (elf("libmpi.so.12", glibc=(2, 38)), "needs glibc 2.38, and the image has 2.36"),
        (elf("libmpi.so.12", machine="EM_AARCH64"), "is for EM_AARCH64, and the image for EM_X86"),
    ],
)
def test_a_library_that_the_image_cannot_load_is_named(library: Elf, why: str) -> None:
    (problem,) = told({LIBMPI: library})

    assert problem.startswith(f"injection mpi: {LIBMPI} ")
    assert why in problem


def test_an_image_without_glibc_can_load_nothing() -> None:
    (problem,) = told({LIBMPI: elf("libmpi.so.12")}, inside=Inside(None, frozenset(), None))

    assert "the image has none where a loader would find it" in problem


def test_an_mpi_of_another_abi_would_not_be_used() -> None:
    other = Inside("EM_X86_64", frozenset(), (2, 36), frozenset({"libmpi.so.40"}))

    (problem,) = told({LIBMPI: elf("libmpi.so.12")}, inside=other)

    assert "libmpi.so.12, and the stack is built for libmpi.so.40" in problem


def test_what_it_says_it_brings_must_be_there() -> None:
    (problem,) = told({"/opt/site/mpich/libfabric.so.1": elf("libfabric.so.1")})

    assert "nothing of what it binds is libmpi.so.12" in problem


def test_a_driver_of_another_version_than_the_kernels_is_refused() -> None:
    files = {"/usr/lib/libcuda.so.1": elf("libcuda.so.1")}
    targets = {"/usr/lib/libcuda.so.1": "libcuda.so.570.86.10"}

    assert told(files, one=DRIVER, targets=targets, driver="570.86.10") == []
    (problem,) = told(files, one=DRIVER, targets=targets, driver="580.105.08")
    assert "libcuda 570.86.10, and the kernel's driver is 580.105.08" in problem


def test_a_copy_is_made_once_and_not_changed_with_its_source(tmp_path: Path) -> None:
    source = tmp_path / "site"
    source.mkdir()
    (source / "libmpi.so.12").write_text("first")
    store = Store(tmp_path / "store")
    asked = injection(copy=[{"source": str(source), "target": "/opt/site"}])

    (copied,) = staged(asked, store).copied
    (source / "libmpi.so.12").write_text("second")

    assert copied.target == "/opt/site"
    assert Path(copied.source, "libmpi.so.12").read_text() == "first"
    assert staged(asked, store).copied[0].source != copied.source


# The real tools: a library of the host's takes the place of the image's.

VERSION = "const char *version(void) { return WHO; }\n"
PROGRAM = """
#include <stdio.h>
const char *version(void);
int main(void) { puts(version()); return 0; }
"""


def compiled(target: Path, code: str, *options: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = target.with_suffix(".c")
    source.write_text(code)
    subprocess.run(["cc", "-o", target, source, *options], check=True)
    source.unlink()


def library(folder: Path, who: str) -> None:
    options = ("-shared", "-fPIC", "-Wl,-soname,libmpi.so.12", f'-DWHO="{who}"')
    compiled(folder / "libmpi.so.12", VERSION, *options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image with a program that asks its library who it is, and with this host's libc."""
    root = tmp_path / "root"
    library(root / "opt/stack/lib", "the image's")
    compiled(root / "opt/stack/bin/who", PROGRAM, str(root / "opt/stack/lib/libmpi.so.12"))
    for path in _linked(root / "opt/stack/bin/who"):
        (root / path.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path.relative_to("/"))
    (root / "etc/ld.so.conf.d").mkdir(parents=True)
    (root / "etc/ld.so.conf.d/stack.conf").write_text("# the stack's\n/opt/stack/lib\n")
    return root


def _linked(program: Path) -> list[Path]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    words = (word for line in said.splitlines() for word in line.split())
    found = [Path(w) for w in words if w.startswith("/")]
    return [p for p in found if not p.is_relative_to(program.parents[1])]


@pytest.mark.real
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_hosts_library_takes_the_place_of_the_images(tmp_path: Path, root: Path) -> None:
    site = tmp_path / "site"
    library(site, "the site's")
    image_env = {"LD_LIBRARY_PATH": "/opt/stack/lib"}
    bare = Bubblewrap(Engine(("bwrap",)), root, image_env, entries_of(root))
    asked = injection(
        bind=[{"source": str(site), "target": "/site-mpi"}],
        prepend={"LD_LIBRARY_PATH": "/site-mpi"},
        libraries=[{"soname": "libmpi.so.12"}],
    )
    check_loadable([asked], root, image_env)

    def who(way: Bubblewrap | Injecting) -> str:
        argv = way.command_line(Request(("/opt/stack/bin/who",))).argv
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    assert who(bare) == "the image's\n"
    assert who(Injecting(bare, (asked,), image_env)) == "the site's\n"


@pytest.mark.real
def test_what_does_not_load_is_told_before_anything_runs(tmp_path: Path, root: Path) -> None:
    compiled(tmp_path / "dep/libcxi.so.1", "int cxi(void) { return 0; }", "-shared", "-fPIC")
    site = tmp_path / "site"
    code = "int cxi(void); int fabric(void) { return cxi(); }"
    needs = (f"-L{tmp_path / 'dep'}", "-l:libcxi.so.1")
    compiled(site / "libmpi.so.12", code, "-shared", "-fPIC", "-Wl,-soname,libmpi.so.12", *needs)
    asked = injection(bind=[{"source": str(site), "target": "/site-mpi"}])

    with pytest.raises(StackwrightError, match=r"/site-mpi/libmpi.so.12 needs libcxi.so.1"):
        check_loadable([asked], root, {})
    with pytest.raises(StackwrightError, match="there is no /nowhere on this host"):
        check_loadable([injection(bind=[{"source": "/nowhere"}])], root, {})
