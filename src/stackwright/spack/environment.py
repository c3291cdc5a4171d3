"""The files of a Spack environment, rendered from a plan and its locked wheels.

A pure function of its arguments. No path of a machine is in them: ``$OUT``, which Spack fills in,
stands for the folder that it works in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackwright.building.templates import Templates
from stackwright.canonical import hash_bytes, hash_value
from stackwright.inputs.requirements import read_pep508
from stackwright.inputs.site import Site
from stackwright.inputs.spacksite import Compiler
from stackwright.inputs.systems import architecture
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan, SpackFacts
from stackwright.spack.dialect import DIALECTS, Dialect, dialect_of
from stackwright.spack.wheelrepo import (
    REPOSITORY,
    ExternalPackage,
    class_name,
    spack_name,
    spec_of,
    wheel_packages,
)

FOLDER = "spack"
"""Where a recipe has the environment."""

_OPERATING_SYSTEMS = {"bullseye": "debian11", "bookworm": "debian12", "trixie": "debian13"}
"""What Spack calls the releases of Debian that a base may be of."""

_ATTRIBUTES = {"c": "cc", "cxx": "cxx", "fortran": "fortran"}
"""Where Spack looks for a compiler's program for a language, in the compiler's package."""


def rendered_for(plan: Plan) -> Dialect:
    """The series of Spack that a plan's files are for where no lock says which: its system's."""
    facts = facts_of(plan)
    return dialect_of(facts.site.version) if facts.site.version else DIALECTS[0]


def facts_of(plan: Plan) -> SpackFacts:
    """What a plan says to Spack; only plans of its provider have it."""
    assert plan.spack is not None, plan.label  # noqa: S101
    return plan.spack


def inputs_hash(files: Mapping[str, bytes]) -> str:
    """``sha256:<hex>`` of what Spack is asked: a lock made from anything else is stale."""
    return hash_value({name: hash_bytes(content) for name, content in files.items()})


def render_environment(plan: Plan, lock: Lock, dialect: Dialect, site: Site) -> dict[str, bytes]:
    """The environment that installs a plan's wheels, with the repository of their packages.

    Raises:
        StackwrightError: a template is missing or wrong.
    """
    recipes = _Recipes(site, plan.system)
    context = _context(plan, lock, dialect)
    names = ["packages.yaml", "config.yaml", "repos.yaml", "mirrors.yaml", "modules.yaml"]
    if not dialect.compilers_are_packages:
        names.append("compilers.yaml")
    files = {"spack.yaml": recipes.render("spack.yaml", {**context, "included": names})}
    files |= {name: recipes.render(name, context) for name in names}
    return dict(sorted((files | _repository(plan, lock, dialect, recipes, context)).items()))


class _Recipes:
    """The templates of ``recipes/``; those of ``recipes/systems/NAME/`` stand in their place."""

    def __init__(self, site: Site, system: str) -> None:
        self.site = site
        self._templates = Templates(site.root / "recipes")
        self._own = f"systems/{system}"

    def render(self, name: str, context: Mapping[str, Any]) -> bytes:
        own = f"{self._own}/{name}.j2"
        there = (self.site.root / "recipes" / own).is_file()
        return self._templates.render(own if there else f"{name}.j2", context)


def _context(plan: Plan, lock: Lock, dialect: Dialect) -> dict[str, Any]:
    facts = facts_of(plan)
    wheels = {wheel.name: wheel for wheel in (*lock.wheels.frameworks, *lock.wheels.packages)}
    wanted = [read_pep508(text).name for text in (*plan.frameworks, *plan.packages)]
    return {
        "label": str(plan.label),
        "dialect": dialect,
        "python": plan.python,
        "target": plan.machine.target,
        "architecture": architecture(plan.machine.target),
        "operating_system": _OPERATING_SYSTEMS.get(plan.base.source, plan.base.source),
        "compilers": facts.site.compilers,
        "externals": {"python": {"spec": f"python@{plan.python}", "prefix": "/usr"}},
        "roots": [spec_of(wheels[name]) for name in wanted if name in wheels],
        "views": {
            group: [spack_name(wheel.name) for wheel in getattr(lock.wheels, group)]
            for group in ("frameworks", "packages")
        },
        "repository": {
            "name": REPOSITORY,
            "path": f"./repo/{dialect.repository.format(name=REPOSITORY)}",
        },
        "own_repository_only": True,
        "mirrors": {"sources": "file:///sources"},
    }


def _repository(
    plan: Plan, lock: Lock, dialect: Dialect, recipes: _Recipes, context: Mapping[str, Any]
) -> dict[str, bytes]:
    root = f"repo/{dialect.repository.format(name=REPOSITORY)}"

    def package(name: str, kind: str, value: object) -> tuple[str, bytes]:
        content = recipes.render(f"spack_repo/{kind}.py", {**context, "package": value})
        return f"{root}/packages/{dialect.folder(name)}/package.py", content

    layer = recipes.site.own("images/layer.py").read_bytes()
    return {
        f"{root}/repo.yaml": recipes.render("spack_repo/repo.yaml", context),
        f"{root}/packages/{dialect.folder(spack_name('installer'))}/layer.py": layer,
        **dict(package(found.name, "external", found) for found in _externals(plan, dialect)),
        **dict(package(wheel.name, "wheel", wheel) for wheel in wheel_packages(lock)),
    }


def _externals(plan: Plan, dialect: Dialect) -> list[ExternalPackage]:
    python = ExternalPackage(
        name="python",
        class_name="Python",
        version=plan.python,
        homepage="https://www.python.org",
    )
    libc = ExternalPackage(
        name="glibc",
        class_name="Glibc",
        version=plan.machine.os.glibc,
        homepage="https://www.gnu.org/software/libc",
        tag="runtime",
        provides=("libc",),
    )
    if not dialect.compilers_are_packages:
        return [python, libc]
    return [python, libc, _WRAPPER, *map(_compiler, facts_of(plan).site.compilers)]


_WRAPPER = ExternalPackage(
    name="compiler-wrapper",
    class_name="CompilerWrapper",
    version="1.0",
    homepage="https://spack.io",
)
"""What Spack 1 would put before a compiler; no wheel is compiled."""


def _compiler(compiler: Compiler) -> ExternalPackage:
    return ExternalPackage(
        name=compiler.name,
        class_name=class_name(compiler.name),
        version=compiler.version,
        homepage="https://spack.io",
        tag="compiler",
        provides=tuple(sorted(compiler.programs)),
        programs={
            _ATTRIBUTES[language]: program for language, program in compiler.programs.items()
        },
    )
