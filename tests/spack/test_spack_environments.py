"""Environments of Spack: rendered the same everywhere, for both series, without any Spack."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from spack_samples import LABEL, SOURCE, check_reviewed, make_spack_site, plan_of, wheels_of

from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.inputs.spacksite import Compiler, External, SpackSite
from stackwright.spack.dialect import DIALECTS, Dialect, dialect_of
from stackwright.spack.environment import render_environment
from stackwright.spack.wheelrepo import acyclic, class_name, spack_name, spack_version

BOTH = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.series)


def of_wheels(site: Site, dialect: Dialect) -> dict[str, bytes]:
    return render_environment(plan_of(site), wheels_of(site), dialect, site)


def from_source(site: Site, dialect: Dialect) -> dict[str, bytes]:
    return render_environment(plan_of(site, SOURCE), None, dialect, site)


@BOTH
@pytest.mark.parametrize("render", [of_wheels, from_source])
def test_rendered_environments_are_as_reviewed(render, site: Site, dialect: Dialect) -> None:
    check_reviewed(f"{render.__name__}-{dialect.series}", render(site, dialect))


@BOTH
def test_equal_sites_render_equal_bytes_anywhere(
    site: Site, dialect: Dialect, tmp_path: Path
) -> None:
    elsewhere = make_spack_site(tmp_path / "else where" / "copy")

    assert of_wheels(site, dialect) == of_wheels(elsewhere, dialect)
    assert from_source(site, dialect) == from_source(elsewhere, dialect)


@BOTH
def test_every_file_can_be_parsed(site: Site, dialect: Dialect) -> None:
    for name, content in {**of_wheels(site, dialect), **from_source(site, dialect)}.items():
        if name.endswith(".yaml"):
            assert isinstance(yaml.safe_load(content), dict), name
        else:
            ast.parse(content, name)


@BOTH
def test_everything_that_is_included_is_there(site: Site, dialect: Dialect) -> None:
    for files in (of_wheels(site, dialect), from_source(site, dialect)):
        included = yaml.safe_load(files["spack.yaml"])["spack"]["include"]

        assert {*included} <= files.keys()


def test_a_wheel_that_is_needed_is_a_dependency(site: Site) -> None:
    files = of_wheels(site, dialect_of("1.1.0"))
    recipe = files["repo/spack_repo/stackwright/packages/py_mpi4py/package.py"].decode()

    assert 'depends_on("py-mpich@=5.0.2", type="run")' in recipe


def test_a_centre_has_a_system_rendered_its_own_way(site: Site) -> None:
    own = site.root / "recipes" / "systems" / "bench" / "modules.yaml.j2"
    own.parent.mkdir(parents=True)
    own.write_text(
        '{% extends "modules.yaml.j2" %}\n'
        "{% block modules %}\n  default:\n    enable: [lmod]\n{% endblock %}\n"
    )

    rendered = of_wheels(site, dialect_of("1.1.0"))["modules.yaml"]

    assert yaml.safe_load(rendered) == {"modules": {"default": {"enable": ["lmod"]}}}


OWN = "recipes/systems/bench"
EXTENDS = '{% extends "modules.yaml.j2" %}\n'
LOOP = "{% for name in 'ab' %}\n  {{ name }}: 1\n{% endfor %}\n"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "module.yaml.j2",
            EXTENDS,
            "module.yaml.j2: it stands in the place of no template"
            " (did you mean 'modules.yaml.j2'?)",
        ),
        (
            "spack_repo/whel.py.j2",
            "",
            "spack_repo/whel.py.j2: it stands in the place of no template"
            " (did you mean 'spack_repo/wheel.py.j2'?)",
        ),
        (  # a part of packages.yaml.j2, which alone is rendered by its name
            "blocks/compilers-1.yaml.j2",
            "",
            "blocks/compilers-1.yaml.j2: it stands in the place of no template",
        ),
        (
            "modules.yaml.j2",
            EXTENDS + "{% block moduels %}\n{% endblock %}\n",
            "modules.yaml.j2:2:10: 'modules.yaml.j2' has no block 'moduels'"
            " (did you mean 'modules'?)",
        ),
        (
            "packages.yaml.j2",
            '{% extends "packages.yaml.j2" %}\n\n  {% block pakages %}{% endblock %}\n',
            "packages.yaml.j2:3:12: 'packages.yaml.j2' has no block 'pakages'"
            " (it has: all, compilers, externals, providers, requires)",
        ),
        (
            "modules.yaml.j2",
            '{% extends "module.yaml.j2" %}\n',
            "modules.yaml.j2:1: there is no template 'module.yaml.j2'"
            " (did you mean 'modules.yaml.j2'?)",
        ),
        (
            "modules.yaml.j2",
            '{% extends "systems/bench/modules.yaml.j2" %}\n{% block modules %}{% endblock %}\n',
            "modules.yaml.j2: it extends or includes itself",
        ),
        (
            "modules.yaml.j2",
            "# Ours.\n" + EXTENDS + "\n# As on all of our systems.\n  default:\n",
            "modules.yaml.j2:5: outside of a block this has no effect: 'default:'",
        ),
        (  # the line of the template, whatever the loop before it renders
            "modules.yaml.j2",
            EXTENDS + "{% block modules %}\n" + LOOP + "   enable: [lmod]\n{% endblock %}\n",
            "modules.yaml.j2:6: what is rendered is not valid YAML: mapping values are not allowed"
            " in this context: 'enable: [lmod]'",
        ),
        (
            "modules.yaml.j2",
            EXTENDS + "{% block modules %}\n  default: [\n{% endblock %}\n",
            "modules.yaml.j2:3: what is rendered is not valid YAML: did not find expected node"
            " content: 'default: ['",
        ),
    ],
)
def test_what_a_centre_wrote_in_vain_is_refused(
    site: Site, file: str, text: str, said: str
) -> None:
    own = site.root / OWN / file
    own.parent.mkdir(parents=True)
    own.write_text(text)

    with pytest.raises(StackwrightError) as caught:
        from_source(site, dialect_of("1.1.0"))
    assert str(caught.value).startswith(f"{site.root}/{OWN}/{said}")


def test_templates_for_a_system_that_is_none_are_refused(site: Site) -> None:
    (site.root / "recipes" / "systems" / "bnech").mkdir(parents=True)

    with pytest.raises(StackwrightError, match=r"no system 'bnech' \(did you mean 'bench'\?\)"):
        from_source(site, dialect_of("1.1.0"))


def test_a_centres_template_may_have_parts_and_blocks_of_its_own(site: Site) -> None:
    own = site.root / OWN
    own.mkdir(parents=True)
    (own / "enabled.j2").write_text("{% block enabled %}\n    enable: [lmod]\n{% endblock %}\n")
    (own / "modules.yaml.j2").write_text(
        EXTENDS + "{% block modules %}\n{% block default %}\n  default:\n{% endblock %}\n"
        "{% include 'systems/bench/enabled.j2' %}\n{% endblock %}\n"
    )

    rendered = of_wheels(site, dialect_of("1.1.0"))["modules.yaml"]

    assert yaml.safe_load(rendered) == {"modules": {"default": {"enable": ["lmod"]}}}


def test_a_shared_template_that_renders_no_yaml_is_named_where_it_is_included(site: Site) -> None:
    part = site.root / "recipes" / "blocks" / "compilers-1.yaml.j2"
    part.write_text(part.read_text().replace("    buildable: false", "   - buildable: false"))

    with pytest.raises(StackwrightError, match=r"blocks/compilers-1\.yaml\.j2:4: .*'externals:'"):
        from_source(site, dialect_of("1.1.0"))


def test_gpus_are_asked_of_every_package_that_is_built_for_them(site: Site) -> None:
    packages = yaml.safe_load(from_source(site, dialect_of("1.1.0"))["packages.yaml"])["packages"]

    assert {"spec": "cuda_arch=80", "when": "+cuda"} in packages["all"]["require"]


def test_what_is_there_is_never_built(site: Site) -> None:
    for dialect in DIALECTS:
        packages = yaml.safe_load(from_source(site, dialect)["packages.yaml"])["packages"]

        assert packages["cuda"] == {
            "buildable": False,
            "externals": [{"spec": "cuda@12.4.1", "prefix": "/opt/cuda"}],
        }
        assert packages["mpich"]["externals"] == [{"spec": "mpich@4.2", "modules": ["mpich/4.2"]}]
        assert packages["mpi"] == {"require": ["mpich"]}


# Any valid system

WORDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,8}", fullmatch=True)
PATHS = st.from_regex(r"/[A-Za-z0-9._/+@%=-]{0,20}", fullmatch=True)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
COMPILERS = st.builds(
    Compiler,
    name=st.sampled_from(["gcc", "llvm", "nvhpc"]),
    version=WORDS,
    prefix=PATHS,
    programs=st.dictionaries(st.sampled_from(["c", "cxx", "fortran"]), PATHS, min_size=1).map(
        lambda programs: {"c": "/usr/bin/cc", "cxx": "/usr/bin/c++", **programs}
    ),
)
EXTERNALS = st.builds(
    External,
    spec=st.tuples(
        NAMES.map("own-{}".format), st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,3}){0,2}", fullmatch=True)
    ).map("@".join),
    prefix=PATHS,
    modules=st.lists(WORDS, max_size=2).map(tuple),
)
SITES = st.builds(
    SpackSite,
    version=st.sampled_from(["0.23.1", "1.1.0", None]),
    compilers=st.lists(COMPILERS, min_size=1, max_size=1).map(tuple),
    externals=st.lists(EXTERNALS, max_size=4).map(tuple),
    requires=st.lists(NAMES.map("need-{}@1".format), max_size=2, unique=True).map(tuple),
    providers=st.dictionaries(NAMES.map("part-{}".format), NAMES, max_size=2),
    cuda_arch=st.sampled_from(["80", "90a", None]),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_spack_site(tmp_path_factory.mktemp("shared") / "site")


@given(found=SITES)
@settings(max_examples=30)
def test_any_system_renders_yaml_that_says_what_it_says(shared: Site, found: SpackSite) -> None:
    plan = plan_of(shared, SOURCE)
    assert plan.spack is not None
    plan = plan.model_copy(update={"spack": plan.spack.model_copy(update={"site": found})})

    for dialect in DIALECTS:
        files = render_environment(plan, None, dialect, shared)
        packages = yaml.safe_load(files["packages.yaml"])["packages"]

        said = {
            (external["spec"], external.get("prefix"))
            for entry in packages.values()
            for external in entry.get("externals", [])
        }
        assert {(external.spec, external.prefix) for external in found.externals} <= said
        for spec in found.requires:
            assert packages[spec.partition("@")[0]] == {"require": [spec]}


# Names and versions


@pytest.mark.parametrize(
    ("said", "series"),
    [("1.1.0 (2e907202bc)", "1"), ("1.0.2", "1"), ("0.23.1\n", "0.23"), ("0.23.1.dev0", "0.23")],
)
def test_a_version_speaks_the_dialect_of_its_series(said: str, series: str) -> None:
    assert dialect_of(said).series == series


@pytest.mark.parametrize("said", ["0.22.0", "2.0.0", "10.0", "", "develop"])
def test_a_version_that_was_never_tried_is_refused(said: str) -> None:
    with pytest.raises(StackwrightError, match="none that Stackwright knows"):
        dialect_of(said)


def test_a_wheel_gets_a_name_and_a_version_that_spack_can_read() -> None:
    assert spack_name("ipython_pygments-lexers") == "py-ipython-pygments-lexers"
    assert class_name("py-ipython-pygments-lexers") == "PyIpythonPygmentsLexers"
    assert spack_version("2.13.0+cpu") == "2.13.0-cpu"


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))))
def test_needs_have_no_circle_and_lose_nothing_else(needs: dict[str, set[str]]) -> None:
    """Python's packages may need each other, Spack's may not."""
    kept = acyclic(needs)

    def reachable(name: str, graph: dict[str, tuple[str, ...]] | dict[str, set[str]]) -> set[str]:
        found: set[str] = set()
        waiting = [*graph.get(name, ())]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += graph.get(one, ())
        return found

    for name, wanted in needs.items():
        assert name not in reachable(name, kept)
        for need in wanted & needs.keys():
            assert need in kept[name] or name in reachable(need, needs)


def test_the_label_is_in_the_environment(site: Site) -> None:
    assert LABEL.encode() in of_wheels(site, DIALECTS[0])["spack.yaml"]
