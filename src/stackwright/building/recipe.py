"""Render a plan and its lock into a recipe: plain files that build, run by us or by hand.

A pure function of its arguments: the same bytes each time, on any machine.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from stackwright.building.providers import layers_of, steps_of
from stackwright.building.providers.scripts import write_files
from stackwright.building.providers.steps import Recipe
from stackwright.building.providers.wheel import below_sources
from stackwright.building.templates import Templates
from stackwright.canonical import canonical_json
from stackwright.errors import StackwrightError
from stackwright.inputs.requirements import read_pep508
from stackwright.inputs.site import Site
from stackwright.inputs.stacks import Mpi
from stackwright.locking.lockinputs import machine_of
from stackwright.locking.locks import Lock, requirements_txt
from stackwright.locking.wheelset import platform_tags
from stackwright.plans.plan import Plan, plan_hash
from stackwright.spack.locked import recipe_files, spack_locked

IMAGE_PREFIX = "/opt/stackwright"
"""Where the prefix is in every image: one path, so that stacks can share layers."""

PREFIX_PLACEHOLDER = "@PREFIX@"
"""Stands for the prefix in a modulefile and a kernel until they are installed."""

_IMAGES = (
    "common.sh",
    "engine.sh",
    "layer.py",
    "layers.sh",
    "manifest.py",
    "oci_layers.py",
    "root-image.sh",
    "rootfs.sh",
    "base.Containerfile",
)
_OF_SOURCES = ("sdist_backend.py", "source.py")
_OF_SPACK = {
    "source": (
        "git_tree.py",
        "spack-build.sh",
        "registry_access.py",
        "registry_holds.py",
        "spack_commits.py",
        "spack_git.py",
        "spack_hashes.py",
        "spack_pins.json",
        "spack_sources.py",
        "spack_tree.py",
    ),
    "wheels": ("git_tree.py", "spack-install.sh", "spack_hashes.py"),
}
_GCC = "12.2"
"""The oldest GCC that a base may bring; archspec has the flags of newer ones, too."""
_TREE_HASH = "validation/cases/tree_hash.py"


def render(plan: Plan, lock: Lock, site: Site) -> Recipe:
    """The recipe of a plan.

    Raises:
        StackwrightError: a template or a file that it needs is missing or wrong.
    """
    images = Templates(site.root / "images")
    steps = steps_of(plan)
    of_wheels = None if plan.from_source else lock
    spack = spack_locked(plan, of_wheels, site) if plan.spack else None
    context = {**_context(plan, lock), "spack": spack}
    settings_sh = images.render("settings.sh.j2", context)
    files = {
        "plan.json": canonical_json(plan.to_json()) + b"\n",
        "lock.json": lock.to_json(),
        "settings.sh": settings_sh,
        "build.sh": images.render("build.sh.j2", {**context, "steps": steps}),
        "README.md": images.render("README.md.j2", {**context, "steps": steps}),
        "Containerfile": images.render("Containerfile.j2", context),
        "tree_hash.py": _read(site.root / _TREE_HASH),
        **{name: _read(site.root / "images" / name) for name in _IMAGES},
        **_folder(site.root / "images" / "steps", "steps"),
        **render_modules(plan, site, PREFIX_PLACEHOLDER),
    }
    groups = {"tools": lock.wheels.tools, **{each.name: each.wheels for each in lock.wheels.layers}}
    if plan.sources:
        groups["build"] = lock.sources.build if lock.sources else ()
        files |= _sources(plan, lock, site)
    for group, wheels in groups.items():
        files[f"requirements/{group}.txt"] = requirements_txt(wheels).encode()
    if spack is not None:
        files |= recipe_files(plan, spack, of_wheels, site)
        kind = "source" if plan.from_source else "wheels"
        for name in _OF_SPACK[kind]:
            files[name] = _read(site.root / "images" / name)
    if plan.overlay is not None:
        files |= _folder(site.root / plan.overlay.folder, "overlay")
    return Recipe(files=dict(sorted(files.items())), settings=_settings(settings_sh), steps=steps)


def _sources(plan: Plan, lock: Lock, site: Site) -> dict[str, bytes]:
    """What builds from sources: patches, variables, and which file is meant."""
    found = {name: _read(site.root / "images" / name) for name in _OF_SOURCES}
    pinned = {sdist.name: sdist for sdist in lock.sources.sdists} if lock.sources else {}
    for source in plan.sources:
        sdist = pinned.get(read_pep508(source.requirement).name)
        said = {"environment": dict(source.environment), "needs": list(source.needs)}
        folder = f"sources/{source.name}"
        found |= {
            f"{folder}/requirement.txt": requirements_txt([sdist] if sdist else []).encode(),
            f"{folder}/build.json": canonical_json(said) + b"\n",
            **{
                f"{folder}/patches/{name}": patch
                for name, patch in site.patches(site.source(source.name)).items()
            },
        }
    return found


def installed_modules(prefix: Path) -> dict[str, bytes]:
    """The modulefile of a prefix, and its kernel if any, as they were built and certified with it.

    Raises:
        StackwrightError: the prefix was built without them.
    """
    own = prefix / "share" / "stackwright"
    return {
        name: _read(own / name).replace(PREFIX_PLACEHOLDER.encode(), str(prefix).encode())
        for name in ("module.lua", "kernel.json")
        if (own / name).is_file()
    }


def installed_mpi(prefix: Path) -> Mpi:
    """The MPI that a prefix was built with.

    Raises:
        StackwrightError: the prefix doesn't hold its plan.
    """
    mpi: Mpi = json.loads(_read(prefix / "share" / "stackwright" / "plan.json"))["mpi"]
    return mpi


def render_modules(plan: Plan, site: Site, prefix: str) -> dict[str, bytes]:
    """For a prefix its modulefile, ``module.lua``, and its kernel if any, ``kernel.json``."""
    modules = Templates(site.root / "modules")
    release = plan.label.release
    env = {variable.name: variable.value for variable in plan.environment}
    env["STACKWRIGHT_LABEL"] = str(plan.label)
    context: dict[str, Any] = {
        "label": str(plan.label),
        "stack": plan.stack,
        "release": release,
        "summary": plan.summary,
        "homepage": plan.homepage,
        "help": plan.module.help,
        "whatis": plan.module.whatis,
        "family": plan.module.family,
        "conflicts": plan.module.conflicts,
        "environment": plan.environment,
        "libraries": plan.from_source,
        "prefix": prefix,
        "display_name": f"{plan.kernel.display_name} {release}" if plan.kernel else "",
        "env": {name: _as_template(value) for name, value in env.items()},
    }
    files = {"module.lua": modules.render("modulefile.lua.j2", context)}
    if plan.kernel:
        files["kernel.json"] = modules.render("kernel.json.j2", context)
    return files


def _as_template(value: str) -> str:
    """A value of a kernel's env, in which Jupyter fills in variables as ``string.Template`` does.

    https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs
    """
    return value.replace("$", "$$")


def write_recipe(recipe: Recipe, folder: Path) -> None:
    """Write a recipe's files; the folder appears whole.

    Raises:
        StackwrightError: there is something else in the folder.
    """
    if folder.exists() and not (folder / "build.sh").is_file() and any(folder.iterdir()):
        raise StackwrightError(
            f"{folder} is not empty and holds no recipe", hint="name a new folder with -o"
        )
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    write_files(recipe.files, draft)
    if folder.exists():
        for name in [*recipe.files]:  # what was built beside a recipe stays
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (draft / name).replace(target)
        shutil.rmtree(draft)
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(folder)


def _context(plan: Plan, lock: Lock) -> dict[str, Any]:
    label = str(plan.label)
    return {
        "label": label,
        "stack": plan.stack,
        "version": plan.version,
        "summary": plan.summary,
        "homepage": plan.homepage,
        "plan_hash": plan_hash(plan),
        "python": plan.python,
        "environment": plan.environment,
        "platform_tags": platform_tags(machine_of(plan), plan.machine.os.glibc),
        "base_source": plan.base.source,
        "base_packages": plan.base.packages,
        "base_digest": short(lock.base.digest),
        "toolchain_packages": sorted({*plan.base.packages, *plan.toolchain}),
        "toolchain_digest": short(lock.sources.toolchain.digest) if lock.sources else "",
        "march": march(plan.machine.target) if plan.sources else "",
        "layers": layers_of(plan),
        "source_layers": below_sources(plan),
        "prefix": IMAGE_PREFIX,
        "image_tag": f"localhost/stackwright/{plan.stack}:{plan_hash(plan)[7:23]}",
    }


def short(digest: str) -> str:
    """What a digest is called in the engine's storage."""
    return digest.removeprefix("sha256:")[:16]


def march(target: str) -> str:
    """How GCC is told a CPU target; whatever machine builds, the bytes are the same."""
    import archspec.cpu  # reads a large JSON file

    flags: str = archspec.cpu.TARGETS[target].optimization_flags("gcc", _GCC)
    return flags


def _settings(text: bytes) -> dict[str, str]:
    """The rendered settings as the steps see them, for the keys of the steps."""
    lines = [line for line in text.decode().splitlines() if "=" in line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def _folder(root: Path, name: str) -> dict[str, bytes]:
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        f"{name}/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in found
        if "__pycache__" not in path.parts
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StackwrightError(
            f"the site lacks {path}: {error.strerror}",
            hint="`stackwright init DIR` makes a complete site",
        ) from error
