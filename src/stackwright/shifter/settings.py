"""Rules about an image's configuration: what Shifter doesn't read, or reads as something else."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from stackwright.runtimes.shifter import refuses_volume
from stackwright.shifter.contents import Image
from stackwright.shifter.flaws import Flaw, Host
from stackwright.shifter.layout import line_losses, word_losses

_SHELLS = frozenset({"sh", "bash", "dash"})
_INITS = frozenset({"init", "systemd"})
_SWITCHERS = frozenset({"sudo", "su", "doas", "runuser", "gosu", "su-exec", "setpriv"})
_ROOT = frozenset({"", "0", "root", "0:0", "root:root"})
_WRITABLE = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - those of the host
"""Where no volume may be: all paths that begin so, `/variables` as well, and the exception
(src/VolumeMap.c, validateVolumeMap_userRequest)."""
_WRITTEN = frozenset(
    (
        *("HOME", "TMPDIR", "TMP", "TEMP", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
        *("XDG_RUNTIME_DIR", "PYTHONPYCACHEPREFIX", "PIP_CACHE_DIR", "MPLCONFIGDIR", "IPYTHONDIR"),
        *("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "NUMBA_CACHE_DIR", "TRITON_CACHE_DIR"),
        *("TORCHINDUCTOR_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "TORCH_HOME", "HF_HOME"),
        *("HF_DATASETS_CACHE", "TRANSFORMERS_CACHE", "KERAS_HOME", "TFDS_DATA_DIR"),
        *("CUDA_CACHE_PATH", "APPTAINER_CACHEDIR", "CONDA_PKGS_DIRS", "WANDB_DIR"),
    )
)
"""Variables that name a folder in which programs write."""


def privileged_commands(image: Image, _: Host) -> Iterator[Flaw]:
    """SH06: commands that change the user, and a user that isn't taken."""
    for setting, words in _commands(image):
        if posixpath.basename(words[0]) in _SWITCHERS:
            what = f"{words[0]} can't change the user: there are no privileges"
            yield Flaw(setting, what, "start the program itself; it runs as the user who called it")
    if image.config.user not in _ROOT:
        what = f"USER {image.config.user} isn't taken: commands run as the user who calls them"
        yield Flaw("USER", what, "take it out, and keep nothing for that user alone", harmless=True)


def read_only_caches(image: Image, host: Host) -> Iterator[Flaw]:
    """SH07: variables that lead programs to write into the image; a cache with content is baked."""
    writable = (*_WRITABLE, *host.mounts)
    for name in sorted(_WRITTEN & image.config.variables.keys()):
        value = image.config.variables[name]
        free = any(value == place or value.startswith(f"{place}/") for place in writable)
        baked = name != "HOME" and any(each.kind == "file" for each in image.below(value))
        if value.startswith("/") and not free and not baked:
            what = f"{value} is read-only in the image"
            fix = f"leave {name} to the user, or point it below /tmp"
            yield Flaw(f"ENV {name}", what, fix)


def namespaces(image: Image, _: Host) -> Iterator[Flaw]:
    """SH09: ports and processes that are taken to be the image's own, and are the host's."""
    for port in image.config.ports:
        what = f"EXPOSE {port}: the port is the host's, which one process of the node has"
        fix = "take EXPOSE out; let the program choose a free port, or be told one"
        yield Flaw("EXPOSE", what, fix)
    for setting, words in _commands(image):
        if posixpath.basename(words[0]) in _INITS:
            what = f"{words[0]} has to be process 1, and the processes are the host's"
            yield Flaw(setting, what, "start the program itself, without an init system")


def commands(image: Image, _: Host) -> Iterator[Flaw]:
    """SH10: what users get without naming a command."""
    config = image.config
    if image.find("/bin/sh") is None:
        what = "users who name no command get /bin/sh, which the image lacks"
        yield Flaw("/bin/sh", what, "add a shell, such as Debian's dash, to the base's packages")
    if config.entrypoint:
        what = "ENTRYPOINT runs only for users who say --entrypoint"
        fix = "set by ENV what it sets up, and take it out; users name their command"
        yield Flaw("ENTRYPOINT", what, fix)
    for setting, words in _commands(image):
        program = words[0]
        if "/" in program and not program.startswith("/"):
            what = f"{program} is looked for in the user's folder: WORKDIR isn't taken"
            yield Flaw(setting, what, "give its whole path")
        elif not _is_there(image, program):
            what = f"the image has no {program}: it would end with 127"
            yield Flaw(setting, what, "install it, or name another program")
    if config.cmd and posixpath.basename(config.cmd[0]) not in _SHELLS:
        what = f"without --entrypoint users get a shell, not {config.cmd[0]}"
        yield Flaw("CMD", what, "say in the module's help which command to name", harmless=True)
    if config.workdir not in ("", "/"):
        what = f"commands start in the user's folder, not in {config.workdir}"
        yield Flaw("WORKDIR", what, "take it out: nothing may depend on it", harmless=True)


def _is_there(image: Image, program: str) -> bool:
    folders = (
        ("",) if program.startswith("/") else image.config.variables.get("PATH", "").split(":")
    )
    return any(image.find(f"{folder}/{program}") is not None for folder in folders)


def host_environment(image: Image, _: Host) -> Iterator[Flaw]:
    """SH11: what the host's environment would decide."""
    variables = image.config.variables
    if not variables.get("PATH"):
        what = "the image sets no PATH, so that the host's holds in it"
        yield Flaw("ENV PATH", what, "set PATH in the image: ENV PATH=/PREFIX/bin:/usr/bin:/bin")
    if not variables.get("PYTHONNOUSERSITE") and _has_python(image):
        what = "packages of the user's ~/.local take the place of the image's"
        fix = 'add {name: PYTHONNOUSERSITE, value: "1"} to the stack\'s environment'
        yield Flaw("ENV PYTHONNOUSERSITE", what, fix)


def _has_python(image: Image) -> bool:
    return any(
        entry.name.startswith("python3") and entry.parent.endswith("/bin")
        for entry in image.entries.values()
        if entry.kind in ("file", "link")
    )


def unlike_lines(image: Image, _: Host) -> Iterator[Flaw]:
    """SH12: values that a line of a `.meta` doesn't carry."""
    fix = "set it to one line with something in it, without spaces or a backslash at its end"
    for setting, what in line_losses(image.config):
        yield Flaw(setting, what, fix)


def unlike_words(image: Image, _: Host) -> Iterator[Flaw]:
    """SH13: words that a list of a `.meta` doesn't carry."""
    fix = "put the command into a script of the image, and name the script"
    for setting, what in word_losses(image.config):
        yield Flaw(setting, what, fix)


def own_volumes(image: Image, _: Host) -> Iterator[Flaw]:
    """SH15: volumes that are taken for granted, and that nobody makes."""
    for path in sorted(image.config.volumes):
        if _refusal(image, path) is None:
            found = image.find(path)
            file = found is not None and found.kind != "folder"
            what = "a volume has to be a folder" if file else "no volume is made: it is read-only"
            fix = "take VOLUME out; users mount a folder that they see: --volume=SOURCE:TARGET"
            yield Flaw(f"VOLUME {path}", what, fix)


def refused_targets(image: Image, host: Host) -> Iterator[Flaw]:
    """SH16: volumes and mounts where nothing can be mounted."""
    fix = "mount directly below / or /opt, or make a folder for it in the image"
    for path in sorted(image.config.volumes):
        if (why := _refusal(image, path)) is not None:
            yield Flaw(f"VOLUME {path}", why, fix)
    for path in sorted(host.mounts):
        if (link := _link_on(image, path)) is not None:
            what = f"it is a link, and the site mounts {path}: mounts don't follow links"
            yield Flaw(link, what, "take the link out of the image, or make it a folder")


def _refusal(image: Image, path: str) -> str | None:
    """Why no volume of a user can be at a path; None if one can."""
    at = path.rstrip("/")
    if refuses_volume(at):
        return "Shifter refuses to mount there"
    if _link_on(image, path) is not None:
        return "it leads through a link, on which nothing is mounted"
    if image.find(at) is None and posixpath.dirname(at) not in ("/", "/opt"):
        return "the image has no such folder, and Shifter makes none there"
    return None


def _link_on(image: Image, path: str) -> str | None:
    """The first link on the way to a path, itself included."""
    steps = path.strip("/").split("/")
    for count in range(1, len(steps) + 1):
        entry = image.entries.get(f"/{'/'.join(steps[:count])}")
        if entry is not None and entry.kind == "link":
            return entry.path
    return None


def _commands(image: Image) -> Iterator[tuple[str, tuple[str, ...]]]:
    for setting, words in (("ENTRYPOINT", image.config.entrypoint), ("CMD", image.config.cmd)):
        if words and not (setting == "CMD" and image.config.entrypoint):
            yield setting, words
