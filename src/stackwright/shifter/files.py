"""Rules about files: which ones Shifter drops, replaces, hides, or can't let users read."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from stackwright.shifter.contents import Entry, Image
from stackwright.shifter.flaws import ASSEMBLED, Flaw, Host, assembled_name, several

_NAME = re.compile(r"[A-Za-z0-9_:.+-]+")
"""The characters that userInputPathFilter keeps (src/utility.c)."""
_COPIED_BELOW = 5 * 1024 * 1024
"""FILE_SIZE_LIMIT of src/shifter_core.h: files of /etc are copied only below it."""
_ETC_ENTRIES = 200
_ETC_BYTES = 50_000_000
"""Each entry of /etc takes 2 ms at every start, each 100 MB 0.3 s and as much memory (measured)."""
_PEOPLE = 1000
_NOBODY = 65534
"""User IDs from which on they are people's, and that of nobody (/etc/login.defs, Debian policy)."""
_LOCAL_NAME = re.compile(r"localhost(\.localdomain)?|ip6-.*|[a-z0-9-]*\.local")
_LOST = (
    *("/etc/ssh", "/etc/udiImage", "/opt/udiImage"),
    *("/var/run", "/var/spool", "/var/tmp", "/var/empty"),  # noqa: S108 - none is written to
    *("/tmp", "/proc", "/sys", "/dev"),  # noqa: S108
)
"""What Shifter makes itself before it looks at the image (prepareSiteModifications)."""
_ROOTS_OWN = re.compile(
    r"/root/\.[^/]+|/etc/g?shadow-?|/etc/(passwd|group|sub[ug]id)-"
    r"|/var/(cache|lib)/(apt|debconf|dpkg|ldconfig)/.*|/var/log/.*"
)
"""What only root has a use for, in the base images of distributions; nobody is root."""
_ENTER = 0o005
_MODES = {"get to": "a+rX", "read": "a+r", "execute": "a+x"}
_LIBRARY = re.compile(r"(.*/lib(?:64)?/python3(?:\.\d+)?)/")
_COMPILED = 0.9
"""The share of a Python library's modules that bytecode is expected of: some are templates."""


def names(image: Image, _: Host) -> Iterator[Flaw]:
    """SH01: names that are dropped."""
    for folder in ASSEMBLED:
        for entry in image.directly_in(folder):
            if not _NAME.fullmatch(entry.name):
                where = "the image" if folder == "/" else folder
                yield Flaw(
                    entry.path,
                    f"its name has other characters than A-Z a-z 0-9 _ : . + -, so that {where}"
                    " is without it",
                    "rename it, or move it a folder deeper",
                )


def kinds(image: Image, _: Host) -> Iterator[Flaw]:
    """SH02: large files of /etc, and what is neither file, folder nor link."""
    for entry in image.directly_in("/etc"):
        if entry.size >= _COPIED_BELOW:
            what = f"files of 5 MiB and more directly in /etc are dropped; it has {entry.size} B"
            fix = "move it below /usr/share or the prefix, with a link in /etc if one is needed"
            yield Flaw(entry.path, what, fix)
    for folder in ASSEMBLED:
        for entry in image.directly_in(folder):
            if entry.kind in ("device", "fifo"):
                fix = "leave it out of the image; programs make it below /tmp when they run"
                yield Flaw(entry.path, f"a {entry.kind} here is dropped", fix)


def outward_links(image: Image, _: Host) -> Iterator[Flaw]:
    """SH03: /opt, /var or /etc as links that the host would follow."""
    for folder in ASSEMBLED[1:]:
        entry = image.entries.get(folder)
        if entry is not None and entry.kind == "link" and _leads_out(entry.target):
            what = f"it is a link to {entry.target}, which is followed on the host"
            yield Flaw(folder, what, "make it a folder, or a relative link inside the image")


def _leads_out(target: str) -> bool:
    return target.startswith("/") or posixpath.normpath(target).split("/")[0] == ".."


def replaced(image: Image, _: Host) -> Iterator[Flaw]:
    """SH04: users, groups and host names that only files know that Shifter replaces."""
    for path, noun in (("/etc/passwd", "user"), ("/etc/group", "group")):
        for name in _people(_text(image, path)):
            yield Flaw(
                path,
                f"{path} is replaced by the site's, so that the {noun} {name} disappears",
                f"make no {noun}s in the image; its files belong to root and all may read them",
            )
    for name in _hosts(_text(image, "/etc/hosts")):
        yield Flaw(
            "/etc/hosts",
            f"it is replaced by the host's, so that {name} has no address",
            "take the line out, and let programs be told the address when they run",
        )


def _text(image: Image, path: str) -> str:
    entry = image.entries.get(path)
    if entry is None or entry.kind != "file":
        return ""
    return image.head(path, _COPIED_BELOW).decode(errors="replace")


def _people(text: str) -> Iterator[str]:
    for line in text.splitlines():
        name, *fields = line.split(":")
        if len(fields) > 1 and fields[1].isdecimal() and _PEOPLE <= int(fields[1]) != _NOBODY:
            yield name


def _hosts(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from (
            name for name in line.partition("#")[0].split()[1:] if not _LOCAL_NAME.fullmatch(name)
        )


def hidden(image: Image, host: Host) -> Iterator[Flaw]:
    """SH05: files where Shifter puts something else."""
    sites = {assembled_name(mount): f"the site hides by {mount}" for mount in host.mounts[::-1]}
    for place, how in {**sites, **dict.fromkeys(_LOST, "Shifter replaces")}.items():
        if found := _files_at(image, place):
            what = f"{several(len(found), 'file')} of {place}, which {how}"
            yield Flaw(found[0].path, what, "keep them elsewhere: below the prefix or /usr/share")


def _files_at(image: Image, path: str) -> Sequence[Entry]:
    here = image.entries.get(path)
    if here is not None and here.kind == "file":
        return [here]
    return [entry for entry in image.below(path) if entry.kind == "file"]


def privileges(image: Image, _: Host) -> Iterator[Flaw]:
    """SH06: programs that are to run as somebody else, or with capabilities."""
    for entry in image.files:
        if entry.mode & 0o6000:
            what = "it is setuid or setgid, which Shifter's mounts and its no_new_privs take away"
            yield Flaw(entry.path, what, f"chmod a-s {entry.path}, or leave its package out")
        if entry.capabilities:
            what = "it has file capabilities, which the squashfs and no_new_privs take away"
            yield Flaw(entry.path, what, f"setcap -r {entry.path}, or leave its package out")


def unreadable(image: Image, _: Host) -> Iterator[Flaw]:
    """SH08: what all users but root are kept from; files without content keep nothing from them."""
    closed = _closed(image)
    kept: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in image.files:
        if entry.size and not _ROOTS_OWN.fullmatch(entry.path):
            outer = next((each for each in closed if entry.path.startswith(f"{each}/")), None)
            if outer is not None:
                kept[outer, "get to"].append(entry)
            elif not entry.mode & 0o004:
                kept[entry.parent, "read"].append(entry)
            elif entry.mode & 0o100 and not entry.mode & 0o001:
                kept[entry.parent, "execute"].append(entry)
    for (folder, verb), found in sorted(kept.items()):
        alone = len(found) == 1 and verb != "get to"
        where = found[0].path if alone else folder
        what = f"nobody but its owner can {verb} {several(len(found), 'file')}"
        fix = f"chmod -R {_MODES[verb]} {where} in the step or package that makes it"
        yield Flaw(where, what if alone else f"{what} in it", fix)


def _closed(image: Image) -> Sequence[str]:
    """The folders that others can't list or enter; of nested ones the outermost."""
    found: list[str] = []
    for path in sorted(image.entries):
        entry = image.entries[path]
        closed = entry.kind == "folder" and entry.mode & _ENTER != _ENTER
        if closed and not any(path.startswith(f"{outer}/") for outer in found):
            found.append(path)
    return found


def not_compiled(image: Image, _: Host) -> Iterator[Flaw]:
    """SH07: Python libraries whose bytecode would be made anew, and lost, at each start."""
    compiled = {
        posixpath.join(posixpath.dirname(entry.parent), entry.name.partition(".")[0])
        for entry in image.files
        if entry.name.endswith(".pyc")
    }
    modules: dict[str, list[Entry]] = defaultdict(list)
    for entry in image.files:
        if entry.name.endswith(".py") and (library := _LIBRARY.match(entry.path)):
            modules[library[1]].append(entry)
    for folder, found in sorted(modules.items()):
        bare = [entry for entry in found if entry.path.removesuffix(".py") not in compiled]
        if len(bare) > (1 - _COMPILED) * len(found):
            yield Flaw(
                folder,
                f"{len(bare)} of its {len(found)} modules have no bytecode, and none can be kept",
                f"python -m compileall {folder} in the step that makes it",
            )


def not_cached(image: Image, _: Host) -> Iterator[Flaw]:
    """SH07: libraries that the dynamic loader finds after ldconfig only."""
    if image.directly_in("/etc/ld.so.conf.d") and "/etc/ld.so.cache" not in image.entries:
        what = "there is no /etc/ld.so.cache, and nobody can make one when the image runs"
        yield Flaw("/etc/ld.so.conf.d", what, "run ldconfig in the step that makes the image")


def crowded_etc(image: Image, _: Host) -> Iterator[Flaw]:
    """SH17: what is copied to memory at each start."""
    direct = image.directly_in("/etc")
    if len(direct) > _ETC_ENTRIES:
        what = f"its {len(direct)} entries take {2 * len(direct)} ms at each start"
        yield Flaw("/etc", what, f"keep to {_ETC_ENTRIES}: put what is yours into one folder of it")
    if (total := sum(entry.size for entry in image.below("/etc"))) > _ETC_BYTES:
        what = f"its {total / 1e6:.0f} MB are copied to memory at each start"
        yield Flaw("/etc", what, "keep data below the prefix or /usr/share")
