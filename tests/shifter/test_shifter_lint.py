"""An image that breaks each rule, and is clean by all others."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from shifter_samples import CLEAN, CONFIG, ENV, Item, file, folder, image_of, link, program

from stackwright.cli import lint as command
from stackwright.inputs.site import find_site
from stackwright.shifter.flaws import Host, assembled_name, host_of
from stackwright.shifter.lint import RULES, Finding, errors, lint

REPOSITORY = Path(__file__).parents[2]
SITE = Host(mounts=("/global/cfs", "/scratch"))


def found(
    folder: Path,
    *items: Item,
    host: Host = SITE,
    without: Sequence[str] = (),
    **config: Any,
) -> tuple[Finding, ...]:
    kept = [item for item in CLEAN if item.path not in without]
    with image_of(folder / "oci", kept, items, config={**CONFIG, **config}) as image:
        return lint(image, host)


def env(*more: str) -> Mapping[str, Any]:
    return {"Env": [*ENV, *more]}


def crowd(count: int) -> list[Item]:
    return [file(f"/etc/entry{number}", "") for number in range(count)]


def volumes(*paths: str) -> Mapping[str, Any]:
    return {"Volumes": {path: {} for path in paths}}


BROKEN: Sequence[tuple[str, Sequence[Item], Mapping[str, Any], str, str]] = [
    # rule, what is added, what is configured, where it is found, what is to be changed
    ("SH01", [file("/opt/my data")], {}, "/opt/my data", "rename it"),
    ("SH01", [folder("/site@nersc")], {}, "/site@nersc", "rename it"),
    ("SH02", [file("/etc/big", bytes(5 << 20))], {}, "/etc/big", "move it"),
    ("SH02", [Item("/var/pipe", tarfile.FIFOTYPE)], {}, "/var/pipe", "leave it out"),
    ("SH02", [Item("/opt/null", tarfile.CHRTYPE)], {}, "/opt/null", "leave it out"),
    ("SH03", [file("/.wh.opt", ""), link("/opt", "/usr/opt")], {}, "/opt", "make it a folder"),
    ("SH03", [file("/.wh.opt", ""), link("/opt", "../usr")], {}, "/opt", "make it a folder"),
    ("SH04", [file("/etc/passwd", "ada:x:1000:1000::/:/bin/sh\n")], {}, "/etc/passwd", "no users"),
    ("SH04", [file("/etc/group", "mpi:x:1001:\n")], {}, "/etc/group", "no groups"),
    ("SH04", [file("/etc/hosts", "10.0.0.1 db # x\n")], {}, "/etc/hosts", "take the line out"),
    ("SH05", [file("/tmp/data/x"), file("/tmp/y")], {}, "/tmp/data/x", "keep them elsewhere"),
    ("SH05", [file("/var/spool/job")], {}, "/var/spool/job", "keep them elsewhere"),
    ("SH05", [file("/etc/ssh/sshd_config")], {}, "/etc/ssh/sshd_config", "keep them elsewhere"),
    ("SH05", [file("/scratch/weights")], {}, "/scratch/weights", "keep them elsewhere"),
    ("SH05", [file("/global/common/x")], {}, "/global/common/x", "keep them elsewhere"),
    ("SH06", [file("/usr/bin/su", mode=0o4755)], {}, "/usr/bin/su", "chmod a-s"),
    ("SH06", [file("/usr/bin/wall", mode=0o2755)], {}, "/usr/bin/wall", "chmod a-s"),
    (
        "SH06",
        [Item("/bin/ping", mode=0o755, headers={"SCHILY.xattr.security.capability": "x"})],
        {},
        "/bin/ping",
        "setcap -r",
    ),
    ("SH06", [program("/usr/bin/sudo")], {"Cmd": ["sudo", "sh"]}, "CMD", "the program itself"),
    ("SH07", [], env("HOME=/root"), "ENV HOME", "leave HOME to the user"),
    ("SH07", [folder("/cache")], env("TORCH_HOME=/cache"), "ENV TORCH_HOME", "leave TORCH_HOME"),
    ("SH07", [file("/usr/lib/python3/x.py")], {}, "/usr/lib/python3", "compileall"),
    (
        "SH07",
        [file(f"/opt/stack/lib/python3.11/site-packages/m{n}.py") for n in range(9)],
        {},
        "/opt/stack/lib/python3.11",
        "compileall",
    ),
    ("SH07", [file("/etc/.wh.ld.so.cache", "")], {}, "/etc/ld.so.conf.d", "run ldconfig"),
    (
        "SH08",
        [file("/opt/stack/key", mode=0o600)],
        {},
        "/opt/stack/key",
        "chmod -R a+r /opt/stack/key",
    ),
    ("SH08", [file("/opt/stack/bin/x", mode=0o744)], {}, "/opt/stack/bin/x", "chmod -R a+x"),
    (
        "SH08",
        [file("/opt/stack/a", mode=0o640), file("/opt/stack/b", mode=0o640)],
        {},
        "/opt/stack",
        "chmod -R a+r /opt/stack",
    ),
    ("SH08", [folder("/data", 0o700), file("/data/a/x")], {}, "/data", "chmod -R a+rX /data"),
    ("SH08", [program("/root/conda/bin/python3")], {}, "/root", "chmod -R a+rX"),
    ("SH09", [], {"ExposedPorts": {"8888/tcp": {}}}, "EXPOSE", "take EXPOSE out"),
    ("SH09", [program("/sbin/init")], {"Cmd": ["/sbin/init"]}, "CMD", "without an init system"),
    ("SH10", [], {"Entrypoint": ["/bin/sh", "-l"]}, "ENTRYPOINT", "set by ENV"),
    ("SH10", [], {"Cmd": ["./sh"]}, "CMD", "give its whole path"),
    ("SH10", [], {"Cmd": ["/usr/bin/bash"]}, "CMD", "install it"),
    ("SH10", [], {"Cmd": ["jupyter", "lab"]}, "CMD", "install it"),
    ("SH10", [file("/usr/bin/.wh.sh", "")], {"Cmd": None}, "/bin/sh", "add a shell"),
    ("SH11", [], {"Env": ["PYTHONNOUSERSITE=1"]}, "ENV PATH", "set PATH"),
    ("SH11", [], {"Env": [ENV[0]]}, "ENV PYTHONNOUSERSITE", "the stack's environment"),
    ("SH12", [], env("EMPTY="), "ENV EMPTY", "one line"),
    ("SH12", [], env("TWO=a\nENTRY: ['x']"), "ENV TWO", "one line"),
    ("SH12", [], env("WINDOWS=C:\\"), "ENV WINDOWS", "backslash"),
    ("SH12", [], env("SPACED=a "), "ENV SPACED", "without spaces"),
    ("SH12", [], {"WorkingDir": "/\n"}, "WORKDIR", "one line"),
    ("SH13", [], {"Cmd": ["/bin/sh", "-c", "echo 'x'"]}, "CMD", "into a script"),
    ("SH13", [], {"Cmd": ["/bin/sh", "-c", "echo\n"]}, "CMD", "into a script"),
    ("SH14", [file("/usr/lib/libcuda.so.1")], {}, "/usr/lib/libcuda.so.1", "leave it out"),
    (
        "SH14",
        [program("/opt/stack/bin/train", "#!/bin/bash\nexport LD_LIBRARY_PATH=/opt/stack/lib\n")],
        {},
        "/opt/stack/bin/train",
        "add to it",
    ),
    ("SH14", [file("/etc/profile.d/x.sh", "unset LD_LIBRARY_PATH")], {}, "/etc/profile.d/x.sh", ""),
    ("SH15", [], volumes("/data"), "VOLUME /data", "take VOLUME out"),
    ("SH15", [], volumes("/var/tmp"), "VOLUME /var/tmp", "take VOLUME out"),
    ("SH15", [file("/opt/file")], volumes("/opt/file"), "VOLUME /opt/file", "take VOLUME out"),
    ("SH16", [], volumes("/var/lib/db"), "VOLUME /var/lib/db", "mount directly below"),
    ("SH16", [], volumes("/variables"), "VOLUME /variables", "mount directly below"),
    ("SH16", [], volumes("/var/tmp/x"), "VOLUME /var/tmp/x", "mount directly below"),
    ("SH16", [], volumes("/opt"), "VOLUME /opt", "mount directly below"),
    ("SH16", [], volumes("/srv/deep/x"), "VOLUME /srv/deep/x", "make a folder"),
    ("SH16", [folder("/d"), link("/s", "d")], volumes("/s"), "VOLUME /s", "mount directly below"),
    ("SH16", [link("/scratch", "/data")], {}, "/scratch", "take the link out"),
    ("SH17", crowd(200), {}, "/etc", "keep to 200"),
    (
        "SH17",
        [file(f"/etc/d/{number}", bytes(5 << 20)) for number in range(10)],
        {},
        "/etc",
        "keep data below",
    ),
]


@pytest.mark.parametrize(
    ("rule", "items", "config", "where", "fix"),
    BROKEN,
    ids=[f"{row[0]}-{row[3]}" for row in BROKEN],
)
def test_an_image_that_breaks_one_rule(
    tmp_path: Path,
    rule: str,
    items: Sequence[Item],
    config: Mapping[str, Any],
    where: str,
    fix: str,
) -> None:
    (finding,) = errors(found(tmp_path, *items, **config))

    assert (finding.rule, finding.where) == (rule, where)
    assert fix in finding.fix
    assert "\n" not in finding.what + finding.fix


def test_each_rule_is_broken_by_an_image() -> None:
    assert {row[0] for row in BROKEN} == {rule.id for rule in RULES}
    assert tuple(rule.id for rule in RULES) == command.RULES


def test_a_clean_image_has_nothing_to_tell(tmp_path: Path) -> None:
    assert found(tmp_path) == ()


KEPT: Sequence[tuple[Sequence[Item], Mapping[str, Any]]] = [
    ([file("/usr/share/my data"), folder("/etc/x"), file("/etc/x/a b@c")], {}),
    ([file("/etc/almost", bytes((5 << 20) - 1)), file("/usr/big", bytes(5 << 20))], {}),
    ([Item("/usr/pipe", tarfile.FIFOTYPE)], {}),
    ([file("/.wh.opt", ""), link("/opt", "usr/opt"), file("/usr/opt/x")], {}),
    ([folder("/scratch"), folder("/tmp/empty"), link("/dev/fd", "/proc/self/fd")], {}),
    ([folder("/var/mail", 0o2775)], {}),
    ([file("/cache/model")], env("TORCH_HOME=/cache")),
    ([], env("TMPDIR=/tmp/x", "HF_HOME=/scratch/hf", "WANDB_DIR=runs")),
    ([file("/opt/stack/lock", b"", 0o600), folder("/opt/stack/private", 0o700)], {}),
    ([file("/opt/stack/lib/libx.so", mode=0o644)], {}),
    ([file("/usr/local/cuda/lib64/stubs/libcuda.so")], {}),
    ([file("/usr/bin/notes", "LD_LIBRARY_PATH=/x\n")], {}),
    ([], {"Cmd": ["sh", "-c", 'echo "x"']}),
    ([file("/usr/lib/python3.11/lib2to3.txt")], {}),
]


@pytest.mark.parametrize(("items", "config"), KEPT)
def test_what_only_looks_like_it(
    tmp_path: Path, items: Sequence[Item], config: Mapping[str, Any]
) -> None:
    assert found(tmp_path, *items, **config) == ()


@pytest.mark.parametrize(
    ("config", "rule", "where"),
    [
        ({"User": "ada"}, "SH06", "USER"),
        ({"WorkingDir": "/opt/stack"}, "SH10", "WORKDIR"),
        ({"Cmd": ["python3"]}, "SH10", "CMD"),
    ],
)
def test_what_is_lost_without_harm_is_a_note(
    tmp_path: Path, config: Mapping[str, Any], rule: str, where: str
) -> None:
    (finding,) = found(tmp_path, **config)

    assert (finding.severity, finding.rule, finding.where) == ("note", rule, where)


def test_one_rule_may_be_asked_alone(tmp_path: Path) -> None:
    with image_of(tmp_path / "oci", CLEAN, [file("/tmp/x"), file("/opt/a b")]) as image:
        assert {finding.rule for finding in lint(image, SITE)} == {"SH01", "SH05"}
        assert {finding.rule for finding in lint(image, SITE, ["SH05"])} == {"SH05"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/global/cfs/x", "/global"),
        ("/scratch", "/scratch"),
        ("/opt/cray/pe", "/opt/cray"),
        ("/opt", "/opt"),
    ],
)
def test_the_entry_that_a_mount_takes(path: str, name: str) -> None:
    assert assembled_name(path) == name


def test_what_a_systems_file_says() -> None:
    site = find_site(REPOSITORY, {}, REPOSITORY)
    name = "perlmutter-gpu"

    host = host_of(site.system(name), site.injections(name))

    assert host.mounts == ("/pscratch", "/global/cfs", "/global/homes")
    assert host.mpi == "libmpi.so.12"
    assert all(needs.startswith("2.") for needs in host.libraries.values())


def test_two_mounts_below_one_folder_hide_it_once(tmp_path: Path) -> None:
    host = Host(mounts=("/global/cfs", "/global/homes"))

    (finding,) = found(tmp_path, file("/global/x"), host=host)

    assert finding.what == "1 file of /global, which the site hides by /global/cfs"


# libraries, made by the C compiler


def library(folder: Path, name: str, *options: str) -> bytes:
    source = folder / "source.c"
    source.write_text(f"int of_{re.sub('[^a-z]', '_', name)}(void){{return 1;}}\n")
    made = folder / name
    argv = ["cc", "-o", made, source, "-shared", "-fPIC", f"-Wl,-soname,{name}", *options]
    subprocess.run(argv, check=True)
    return made.read_bytes()


NEEDED = "-Wl,--no-as-needed"
RPATH = ("-Wl,--disable-new-dtags", "-Wl,-rpath,$ORIGIN/../lib")
RUNPATH = ("-Wl,--enable-new-dtags", "-Wl,-rpath,/opt/stack/lib")


@pytest.mark.real
@pytest.mark.parametrize("name", ["libmpi.so.12", "libmpi_usempif08.so.12"])
def test_an_rpath_that_leads_past_the_hosts_library(tmp_path: Path, name: str) -> None:
    def made(called: str, needs: str, *options: str) -> Item:
        data = library(tmp_path, called, NEEDED, str(tmp_path / needs), *options)
        return file(f"/opt/stack/lib/{called}", data)

    mpi = file(f"/opt/stack/lib/{name}", library(tmp_path, name))
    consumers = [
        made("rpath.so", name, *RPATH),
        made("runpath.so", name, *RUNPATH),
        made("neither.so", name),
        # Its RPATH holds for what its libraries need, unless they have a RUNPATH.
        made("through-neither.so", "neither.so", *RPATH),
        made("through-runpath.so", "runpath.so", *RPATH),
    ]

    broken = found(tmp_path, mpi, *consumers)
    free = found(tmp_path / "2", *consumers)

    assert [(each.rule, each.where) for each in broken] == [
        ("SH14", "/opt/stack/lib/rpath.so"),
        ("SH14", "/opt/stack/lib/through-neither.so"),
    ]
    assert f"takes /opt/stack/lib/../lib/{name}" in broken[0].what
    assert "patchelf --set-rpath '$ORIGIN/../lib' /opt/stack/lib/rpath.so" in broken[0].fix
    assert free == ()


@pytest.mark.real
def test_an_mpi_of_another_abi(tmp_path: Path) -> None:
    mine = file("/opt/stack/lib/libmpi.so.12", library(tmp_path, "libmpi.so.12"))
    other = file("/opt/stack/lib/libmpi.so.40", library(tmp_path, "libmpi.so.40"))

    (finding,) = found(tmp_path, mine, other)
    (swapped,) = found(tmp_path / "2", mine, other, host=Host(mpi="libmpi.so.40"))

    assert (finding.rule, finding.where) == ("SH14", "/opt/stack/lib/libmpi.so.40")
    assert swapped.where == "/opt/stack/lib/libmpi.so.12"
    (noted,) = found(tmp_path / "3", mine, other, host=Host(has_mpi=False))
    assert (finding.severity, noted.severity) == ("error", "note")


@pytest.mark.real
def test_a_glibc_that_is_older_than_the_hosts_libraries_need(tmp_path: Path) -> None:
    asked = subprocess.run(["cc", "-print-file-name=libc.so.6"], capture_output=True, check=True)
    glibc = program("/usr/lib/libc.so.6", Path(asked.stdout.decode().strip()).read_bytes())

    fits = found(tmp_path, glibc, host=Host(libraries={"libmpi.so.12": "2.17"}))
    (finding,) = found(tmp_path / "2", glibc, host=Host(libraries={"libmpi.so.12": "2.99"}))

    assert fits == ()
    assert (finding.rule, finding.where) == ("SH14", "libc.so.6")
    assert "libmpi.so.12 needs 2.99" in finding.what
    assert "'suite'" in finding.fix
