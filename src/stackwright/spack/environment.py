"""The files of a Spack environment, rendered from a plan and its locked wheels.

A pure function of its arguments. No path of this machine is in them: ``$OUT``, which Spack fills
in, stands for the folder that it works in, ``$SPACK_PACKAGES`` for the checkout of its packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import yaml

from stackwright.building.templates import Templates
from stackwright.canonical import hash_bytes, hash_value
from stackwright.errors import StackwrightError
from stackwright.inputs.requirements import read_pep508
from stackwright.inputs.site import Site
from stackwright.inputs.spacksite import Compiler, External
from stackwright.inputs.spackspecs import read_spec
from stackwright.inputs.systems import architecture
from stackwright.inputs.yamltree import LOADER, told
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan, SpackFacts
from stackwright.spack import patched
from stackwright.spack.dialect import DIALECTS, Dialect, dialect_of
from stackwright.spack.overrides import SYSTEMS, check_overrides
from stackwright.spack.wheelrepo import (
    REPOSITORY,
    externals_of,
    spack_name,
    spec_of,
    wheel_packages,
)

FOLDER = "spack"
"""Where a recipe has the environment."""

_OPERATING_SYSTEMS = {"bullseye": "debian11", "bookworm": "debian12", "trixie": "debian13"}
"""What Spack calls the releases of Debian that a base may be of."""

_FILES = ("packages.yaml", "config.yaml", "repos.yaml", "mirrors.yaml", "modules.yaml")


def facts_of(plan: Plan) -> SpackFacts:
    """What a plan says to Spack; only plans of its provider have it."""
    assert plan.spack is not None, plan.label  # noqa: S101
    return plan.spack


def rendered_for(plan: Plan) -> Dialect:
    """The series of Spack that a plan's files are for where no lock says which: its system's."""
    version = facts_of(plan).site.version
    return dialect_of(version) if version else DIALECTS[0]


def source_roots(plan: Plan) -> list[str]:
    """The specs that a plan which is made from source asks for: Python is one of them."""
    return [f"python@{plan.python}", *plan.frameworks, *plan.packages]


def inputs_hash(files: Mapping[str, bytes]) -> str:
    """``sha256:<hex>`` of what Spack is asked: a lock made from anything else is stale."""
    return hash_value({name: hash_bytes(content) for name, content in files.items()})


def render_environment(
    plan: Plan, lock: Lock | None, dialect: Dialect, site: Site
) -> dict[str, bytes]:
    """The environment of a plan, with the repository of its packages where it has its own.

    Args:
        lock: the wheels that its packages are made of; None where they are Spack's builtin ones.

    Raises:
        StackwrightError: a template is missing or wrong, or what it renders is no YAML.
    """
    recipes = _Recipes(site, plan.system)
    own = _of_wheels(plan, lock, dialect) if lock else _of_builtin(plan, dialect)
    names = _FILES if dialect.compilers_are_packages else (*_FILES, "compilers.yaml")
    context = {**_common(plan, dialect), **own, "included": names}
    files = {name: recipes.render(name, context) for name in ("spack.yaml", *names)}
    if lock:
        files |= _repository(plan, lock, dialect, recipes, context)
    elif facts_of(plan).patched:
        files |= _patched_repository(plan, dialect, recipes, context)
    return dict(sorted(files.items()))


class _Recipes:
    """The templates of ``recipes/``; those of ``recipes/systems/NAME/`` stand in their place."""

    def __init__(self, site: Site, system: str) -> None:
        self.site = site
        self._folder = site.root / "recipes"
        self._templates = Templates(self._folder)
        self._own = f"{SYSTEMS}/{system}"
        check_overrides(self._folder, site.system_names, system)

    def render(self, name: str, context: Mapping[str, Any]) -> bytes:
        own = f"{self._own}/{name}.j2"
        template = own if (self._folder / own).is_file() else f"{name}.j2"
        content = self._templates.render(template, context)
        if name.endswith(".yaml"):
            self._check_yaml(template, context, content)
        return content

    def _check_yaml(self, template: str, context: Mapping[str, Any], content: bytes) -> None:
        text = content.decode()
        try:
            yaml.compose(text, Loader=LOADER)
        except yaml.YAMLError as error:
            what, mark = told(error, text)
            lines = text.rstrip("\n").split("\n")
            number = min(mark.line + 1, len(lines)) if mark else 1
            raise StackwrightError(
                f"what is rendered is not valid YAML: {what}: {lines[number - 1].strip()!r}",
                where=self._templates.origin(template, context, number),
            ) from error


def _common(plan: Plan, dialect: Dialect) -> dict[str, Any]:
    return {
        "label": str(plan.label),
        "dialect": dialect,
        "python": plan.python,
        "target": plan.machine.target,
        "architecture": architecture(plan.machine.target),
        "operating_system": _OPERATING_SYSTEMS.get(plan.base.source, plan.base.source),
    }


def _of_wheels(plan: Plan, lock: Lock, dialect: Dialect) -> dict[str, Any]:
    """What is special where the packages are made of wheels: nothing is compiled."""
    wheels = {wheel.name: wheel for wheel in lock.wheels.installed}
    wanted = [read_pep508(text).name for texts in plan.layers.values() for text in texts]
    python = External(spec=f"python@{plan.python}", prefix="/usr")
    return {
        "externals": _by_name([python]),
        "requires": {},
        "providers": {},
        "cuda_arch": None,
        "compilers": _compilers_of_wheels(plan),
        "roots": [spec_of(wheels[name]) for name in wanted if name in wheels],
        "views": {
            layer.name: [spack_name(wheel.name) for wheel in layer.wheels]
            for layer in lock.wheels.layers
        },
        "own_repositories": _listed(REPOSITORY, dialect),
        "builtin": False,
        "mirrors": {"sources": "file:///sources"},
    }


def _compilers_of_wheels(plan: Plan) -> tuple[Compiler, ...]:
    """What Spack wants declared though nothing is compiled: it asks them which libc they link."""
    return tuple(compiler.only(("c", "cxx")) for compiler in facts_of(plan).site.compilers)


def _of_builtin(plan: Plan, dialect: Dialect) -> dict[str, Any]:
    """What is special where the packages are Spack's builtin ones, made from source."""
    facts = facts_of(plan)
    site = facts.site
    return {
        "externals": _by_name([*site.externals, *facts.externals]),
        "requires": {read_spec(spec).name: spec for spec in site.requires},
        "providers": site.providers,
        "cuda_arch": site.cuda_arch if plan.gpu == "nvidia" else None,
        "compilers": site.compilers,
        "roots": source_roots(plan),
        "views": {},
        "own_repositories": _listed(patched.REPOSITORY, dialect) if facts.patched else {},
        "builtin": True,
        "mirrors": {},
    }


def _by_name(externals: Iterable[External]) -> dict[str, list[External]]:
    ordered = sorted(externals, key=lambda external: (external.name, external.spec))
    return {name: [*found] for name, found in groupby(ordered, lambda external: external.name)}


def _repository(
    plan: Plan, lock: Lock, dialect: Dialect, recipes: _Recipes, context: Mapping[str, Any]
) -> dict[str, bytes]:
    root = _root(REPOSITORY, dialect)

    def package(name: str, kind: str, value: object) -> tuple[str, bytes]:
        content = recipes.render(f"spack_repo/{kind}.py", {**context, "package": value})
        return f"{root}/packages/{dialect.folder(name)}/package.py", content

    compilers = _compilers_of_wheels(plan) if dialect.compilers_are_packages else ()
    there = externals_of(plan.python, plan.machine.os.glibc, compilers)
    layer = recipes.site.own("images/layer.py").read_bytes()
    return {
        **_repo_yaml(REPOSITORY, dialect, recipes, context),
        f"{root}/packages/{dialect.folder(spack_name('installer'))}/layer.py": layer,
        **dict(package(found.name, "external", found) for found in there),
        **dict(package(wheel.name, "wheel", wheel) for wheel in wheel_packages(lock)),
    }


def _patched_repository(
    plan: Plan, dialect: Dialect, recipes: _Recipes, context: Mapping[str, Any]
) -> dict[str, bytes]:
    files = _repo_yaml(patched.REPOSITORY, dialect, recipes, context)
    for package in patched.patched_packages(plan, recipes.site):
        name = dialect.folder(package.name)
        folder = f"{_root(patched.REPOSITORY, dialect)}/packages/{name}"
        recipe = recipes.render("spack_repo/patched.py", {**context, "package": package})
        files[f"{folder}/package.py"] = recipe
        files |= {f"{folder}/{patch.name}": patch.content for patch in package.patches}
    return files


def _repo_yaml(
    name: str, dialect: Dialect, recipes: _Recipes, context: Mapping[str, Any]
) -> dict[str, bytes]:
    content = recipes.render("spack_repo/repo.yaml", {**context, "repository": name})
    return {f"{_root(name, dialect)}/repo.yaml": content}


def _listed(name: str, dialect: Dialect) -> dict[str, str]:
    """A repository of the environment, as ``repos.yaml`` names it."""
    return {name: f"./{_root(name, dialect)}"}


def _root(name: str, dialect: Dialect) -> str:
    return f"repo/{dialect.repository.format(name=name)}"
