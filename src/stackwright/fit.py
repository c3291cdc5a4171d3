"""Whether a stack fits a system: what can be told from the site's files before anything is made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from packaging.utils import canonicalize_name

from stackwright.errors import Location, ManyErrors, StackwrightError
from stackwright.inputs.labels import Label
from stackwright.inputs.requirements import PROVIDERS
from stackwright.inputs.site import Site
from stackwright.inputs.stacks import Stack, release_of
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.systems import GPU
from stackwright.locking.base import other_python, pythons
from stackwright.locking.lockinputs import versions
from stackwright.plans.plan import resolve
from stackwright.validation.suites import lacking_cases, load_suite, placed_needs

FRAMEWORKS = (
    *("*tensorflow*", "tf-nightly*", "*tf-keras*", "*keras*", "*torch*", "jax", "jax-*", "jaxlib*"),
    *("horovod*", "*mxnet*", "*paddlepaddle*", "paddle", "paddle-*", "caffe", "caffe[-0-9]*"),
    *("pycaffe*", "mindspore*", "*oneflow*", "tinygrad*", "deepspeed*", "*onnxruntime*"),
    *("ort-nightly*", "tensorrt*", "openvino*", "chainer*", "theano*", "cntk*", "mlx", "mlx-*"),
    *("jittor*", "megengine*", "flax", "byteps*", "lbann*", "singa", "dynet*", "nnabla*"),
)
"""Families of packages that no stack of tools has, as patterns of their normalised names.

Names are never complete: the suite ``tools`` looks for the same in the prefix
(validation/cases/no_framework.py).
"""


def check_fit(site: Site, labels: Iterable[Label]) -> None:
    """Check that labels can go all the way to a release.

    Raises:
        ManyErrors: everything that :func:`misfits` finds, once.
    """
    if errors := {str(error): error for label in labels for error in misfits(site, label)}:
        raise ManyErrors([*errors.values()])


def misfits(site: Site, label: Label) -> list[StackwrightError]:
    """What keeps a label from a release: its suite, or its system's base."""
    found = [*_python(site, label), *_toolchain(site, label)]
    try:
        required_suite(site, label)
    except ManyErrors as many:
        found += many.errors
    return found


def doubts(site: Site, label: Label) -> list[str]:
    """What may keep a label without a lock from a release: a Debian base that names no Python.

    A package of another name may bring one, which only making the base tells.
    """
    plan = resolve(site, label)
    if plan.base.kind != "debian" or any("python" in name for name in plan.base.packages):
        return []
    where = site.place_in_system(label.system, "base", "packages")
    return [
        f"{where}: the base names no Python: name python{plan.python} among its packages, unless"
        " one of them brings it"
    ]


def unmet(site: Site, label: Label) -> list[str]:
    """What the cases of a label's suite need and its system lacks, or that none needs a GPU.

    It blocks a release. A system's file with mistakes counts for nothing here: they are told where
    it is read.
    """
    system = site.system(label.system)
    known = {*system.can, *_capabilities_elsewhere(site)}
    found = []
    for where, case, need in placed_needs(_suite_file(site, label)):
        if need not in system.can:
            guess = "" if need in known else did_you_mean(need, known) or "; no system has it"
            why = f"{case} needs {need}, which {system.name} lacks: UNAVAILABLE{guess}"
            found.append(f"{where}: {why}")
    return [*found, *map(str, _untried(site, label))]


def _capabilities_elsewhere(site: Site) -> Iterator[str]:
    for name in site.system_names:
        with suppress(ManyErrors):
            yield from site.system(name).can


def release_suite(site: Site, label: Label) -> str:
    """The suite that a release of a label has to pass, if it can let one through.

    Raises:
        ManyErrors: as :func:`required_suite`; or none of its cases uses what the label is made for.
    """
    name = required_suite(site, label)
    if errors := [*_untried(site, label)]:
        raise ManyErrors(errors)
    return name


def required_suite(site: Site, label: Label) -> str:
    """The suite that a release of a label has to pass: its variant's, else its stack's own.

    Raises:
        ManyErrors: it, or the system's least one, has mistakes; or it asks less than that; or the
            stack says that it has no framework, and has one.
    """
    system, stack = site.system(label.system), site.stack(label.stack)
    name = stack.suite_of(label.variant)
    suite = load_suite(site.suite_file(name))
    minimum, whom = system.minimum_suite, "every stack"
    if stack.kind == "tools":
        _check_is_of_tools(site, label)
    if stack.kind == "tools" and system.minimum_suite_of_tools is not None:
        minimum, whom = system.minimum_suite_of_tools, "every stack of tools"
    if minimum is None:
        return name
    least = load_suite(site.suite_file(minimum))
    if lacking := lacking_cases(suite, least):
        error = StackwrightError(
            f"suite '{suite.name}' asks less than '{least.name}', which {system.name} asks of"
            f" {whom}: it lacks or alters {', '.join(lacking)}",
            where=_place_of_suite(site, label),
            hint=f"write 'includes: [{least.name}]' in it in place of these, or name another suite",
        )
        raise ManyErrors([error])
    return name


def _check_is_of_tools(site: Site, label: Label) -> None:
    """Else ``kind: tools`` would be the way past what a framework has to show."""
    plan = resolve(site, label)
    read = PROVIDERS[plan.provider].read
    names = {read(text).name for text in (*plan.frameworks, *plan.packages)}
    names |= {source.name for source in plan.sources}
    with suppress(StackwrightError):  # without a lock nothing is released either
        names |= {each.partition("=")[0] for each in versions(plan, site).split(",")}
    others = _frameworks_of(site)
    if found := sorted(name for name in names if is_framework(name, others)):
        error = StackwrightError(
            f"{label} holds {', '.join(found)}: its stack is not of the kind 'tools'",
            where=site.place_in_stack(label.stack, "kind"),
            hint="leave out 'kind: tools', and name the suite that its frameworks have to pass",
        )
        raise ManyErrors([error])


def is_framework(name: str, others: Collection[str]) -> bool:
    """Whether a package is of a known family, or one of others in their normal form."""
    name = _normal(name)
    return name in others or any(fnmatchcase(name, family) for family in FRAMEWORKS)


def _frameworks_of(site: Site) -> set[str]:
    """What the site's stacks that are not of tools have as their frameworks.

    Files with mistakes count for nothing here: they are told where they are read.
    """
    found = set()
    for name in site.stack_names:
        with suppress(ManyErrors):
            stack = site.stack(name)
            if stack.kind != "tools":
                found |= {_normal(each) for each in _names_of_frameworks(stack)}
    return found


def _names_of_frameworks(stack: Stack) -> Iterator[str]:
    for version, variant in stack.releases():
        yield from (need.name for need in release_of(stack, version, variant).frameworks)


def _normal(name: str) -> str:
    """A package's name as an index would have it; Spack's begin with ``py-``."""
    return canonicalize_name(name).removeprefix("py-")


def _untried(site: Site, label: Label) -> Iterator[StackwrightError]:
    """A variant for GPUs whose suite never needs one: it would be certified without having run."""
    vendor = site.stack(label.stack).machines_of(label.variant).gpu
    needs = {need for _, _, need in placed_needs(_suite_file(site, label))}
    if vendor is not None and GPU not in needs:
        yield StackwrightError(
            f"no case of suite '{site.stack(label.stack).suite_of(label.variant)}' needs a GPU, and"
            f" {label} is made for them",
            where=_place_of_suite(site, label),
            hint=f"name a 'suite' in the variant, a case of which has 'needs: [{GPU}]'",
        )


def _suite_file(site: Site, label: Label) -> Path:
    return site.suite_file(site.stack(label.stack).suite_of(label.variant))


def _place_of_suite(site: Site, label: Label) -> Location:
    own = site.stack(label.stack).variants[label.variant].suite
    place = ("variants", label.variant, "suite") if own else ("suite",)
    return site.place_in_stack(label.stack, *place)


def _toolchain(site: Site, label: Label) -> Iterator[StackwrightError]:
    """What compiles comes from Debian, beside a base that does."""
    plan = resolve(site, label)
    if plan.toolchain and plan.base.kind != "debian":
        names = ", ".join(source.name for source in plan.sources) or "its packages"
        key = "sources" if plan.sources else "provider"
        yield StackwrightError(
            f"{label} builds {names} from sources, which needs a base of Debian packages, not an"
            " image",
            where=site.place_in_stack(label.stack, "variants", label.variant, key),
        )


def _python(site: Site, label: Label) -> Iterator[StackwrightError]:
    """The Python that the base names, if it names one; else only the lock tells."""
    plan = resolve(site, label)
    if pythons(plan.base.packages) and (error := other_python(plan, plan.base.packages)):
        own = site.stack(label.stack).versions[label.version].python
        path = ("versions", label.version, "python") if own else ("python",)
        where = site.place_in_stack(label.stack, *path)
        yield StackwrightError(error.what, where=where, hint=error.hint)
