"""Recipes: the same bytes from the same plan, wherever the site is, and honest keys of steps."""

from __future__ import annotations

import json
import os
import py_compile
import re
import shutil
import stat
import subprocess
from dataclasses import replace
from importlib.util import cache_from_source
from pathlib import Path
from string import Template

import pytest
from build_samples import HERE, LABEL, fixed_lock, make_site, rendered

from stackwright.building.build import tree_hash_of
from stackwright.building.providers import wheel
from stackwright.building.providers.steps import COMMON, Recipe, Step, step_keys
from stackwright.building.recipe import render, render_modules, write_recipe
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import plan_hash, resolve

GOLDEN = HERE / "golden"
# Copied from the site as they are, or the plan and the lock themselves: not worth a golden file.
_COPIED = re.compile(
    r"steps/|overlay/|(common|engine|layers|root-image|rootfs)\.sh$|.*\.py$|base\.Containerfile$|(plan|lock)\.json$"
)
_ASSIGNED = re.compile(r"^\s*(?:for )?([A-Za-z_]\w*)(?:=| in )", re.MULTILINE)


def test_rendered_files_are_as_reviewed(site: Site) -> None:
    """Golden files; `UPDATE_GOLDEN=1 pytest tests/build` rewrites them for review."""
    recipe = rendered(site)
    hash_ = plan_hash(resolve(site, parse(LABEL)))
    texts = {
        name: content.decode().replace(hash_, "@PLAN_HASH@").replace(hash_[7:23], "@PLAN_16@")
        for name, content in recipe.files.items()
        if not _COPIED.match(name)
    }
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.rmtree(GOLDEN, ignore_errors=True)
        for name, text in texts.items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / name).write_text(text)

    golden = {p.relative_to(GOLDEN).as_posix(): p for p in GOLDEN.rglob("*") if p.is_file()}

    assert texts.keys() == golden.keys()
    for name, text in texts.items():
        assert text == golden[name].read_text(), name


def test_equal_sites_render_equal_bytes_anywhere(site: Site, tmp_path: Path) -> None:
    elsewhere = Site(make_site(tmp_path / "else where" / "copy"))

    assert rendered(site) == rendered(site) == rendered(elsewhere)


def test_no_path_of_this_machine_is_rendered(site: Site) -> None:
    for name, content in rendered(site).files.items():
        assert str(site.root).encode() not in content, name


def test_programs_are_executable_and_nothing_else(site: Site, tmp_path: Path) -> None:
    write_recipe(rendered(site), tmp_path / "recipe")

    executable = {
        path.relative_to(tmp_path / "recipe").as_posix()
        for path in (tmp_path / "recipe").rglob("*")
        if path.is_file() and path.stat().st_mode & stat.S_IXUSR
    }

    assert {"build.sh", "overlay/bin/mini-where", "steps/image.sh"} <= executable
    assert not executable & {"settings.sh", "plan.json", "Containerfile", "common.sh"}


def test_a_recipe_replaces_a_recipe_and_keeps_what_was_built_beside_it(
    site: Site, tmp_path: Path
) -> None:
    folder = tmp_path / "recipe"
    write_recipe(rendered(site), folder)
    (folder / "build").mkdir()
    (folder / "settings.sh").write_text("edited")

    write_recipe(rendered(site), folder)

    assert (folder / "settings.sh").read_bytes() == rendered(site).files["settings.sh"]
    assert (folder / "build").is_dir()


def test_a_recipe_never_replaces_other_files(site: Site, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")

    with pytest.raises(StackwrightError, match="not empty and holds no recipe"):
        write_recipe(rendered(site), tmp_path / "thesis")

    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]


def test_a_template_that_uses_an_unknown_name_is_an_error_with_its_line(site: Site) -> None:
    template = site.root / "images" / "Containerfile.j2"
    template.write_text("FROM scratch\nLABEL x={{ labell }}\n")

    with pytest.raises(StackwrightError, match=r"Containerfile\.j2:2: 'labell' is undefined"):
        rendered(site)


def test_a_template_with_a_syntax_error_is_an_error_with_its_line(site: Site) -> None:
    (site.root / "modules" / "kernel.json.j2").write_text("{\n{% if %}\n")

    with pytest.raises(StackwrightError, match=r"kernel\.json\.j2:2: "):
        rendered(site)


def test_a_site_without_a_script_says_which(site: Site) -> None:
    (site.root / "images" / "engine.sh").unlink()

    with pytest.raises(StackwrightError, match=r"the site lacks .*engine\.sh") as caught:
        rendered(site)
    assert caught.value.hint == "`stackwright init DIR` makes a complete site"


def test_the_prefix_of_a_modulefile_is_the_one_that_is_given(site: Site) -> None:
    files = render_modules(resolve(site, parse(LABEL)), site, "/apps/it's here")

    assert b'local prefix = "/apps/it\'s here"' in files["module.lua"]
    assert json.loads(files["kernel.json"])["argv"][0] == "/apps/it's here/bin/python3"


def test_a_kernel_finds_the_programs_of_its_prefix_first_and_jupyter_alters_no_value(
    site: Site,
) -> None:
    """Jupyter fills in ``${NAME}`` in a kernel's env, by string.Template."""
    files = render_modules(resolve(site, parse(LABEL)), site, "/apps/mini")
    env = json.loads(files["kernel.json"])["env"]

    given = {name: Template(text).substitute(PATH="/usr/bin") for name, text in env.items()}

    assert given["PATH"] == "/apps/mini/bin:/usr/bin"
    assert given["MINI_QUOTES"] == r"""it's "quoted" $HOME `id` \ and -- done"""


# The keys of steps


def steps(recipe: Recipe) -> list[Step]:
    return [*recipe.steps, wheel.BASES["image"]]


def read_names(recipe: Recipe, step: Step) -> tuple[set[str], set[str]]:
    """The files that a script names with $RECIPE, and every variable that it reads."""
    files, variables, waiting = set[str](), set[str](), [f"steps/{step.script}"]
    assigned: set[str] = set()
    while waiting:
        name = waiting.pop()
        files.add(name)
        text = re.sub(r"(?m)^\s*#.*$", "", recipe.files[name].decode())
        found = {f.rstrip("/.") for f in re.findall(r"\$RECIPE/([\w./-]+)", text)}
        sourced = {f for f in found if re.search(rf'\. "\$RECIPE/{re.escape(f)}"', text)}
        waiting += sourced - files - {"settings.sh"}
        files |= found
        variables |= set(re.findall(r"\$\{?#?([A-Za-z_]\w*)", text))
        assigned |= set(_ASSIGNED.findall(text)) | set(re.findall(r"\b([a-z]\w*)=", text))
        assigned |= set(re.findall(r"\bread -r (\w+)", text))
    return files, variables - assigned


def undeclared(recipe: Recipe, step: Step) -> set[str]:
    """The files and variables that a script reads and its step doesn't declare."""
    files, variables = read_names(recipe, step)
    own = {COMMON, "settings.sh", f"steps/{step.script}"}
    by_argument = {"requirements"} if step.argument else set()
    inputs = {f"IN_{name.upper()}" for name in step.inputs}
    known = {"RECIPE", "OUT", "ENGINE", "HOST_PYTHON", "IN_WHEELS"}
    return files - own - by_argument - {
        name.rstrip("/") for name in step.files
    } | variables - known - inputs - {*step.settings}


def test_what_a_script_reads_is_declared(site: Site) -> None:
    recipe = rendered(site)

    assert {step.name: found for step in steps(recipe) if (found := undeclared(recipe, step))} == {}


def test_no_declaration_is_left_over(site: Site) -> None:
    recipe = rendered(site)
    for step in steps(recipe):
        for name in step.settings:
            _, variables = read_names(recipe, step)
            # Exported for mmdebstrap and buildah; and what the output of the base must hash to.
            indirect = {"SOURCE_DATE_EPOCH"} | ({"BASE_DIGEST"} if step.name == "base" else set())
            assert name in variables | indirect, (step.name, name)


def dependents(recipe: Recipe, names: set[str]) -> set[str]:
    found = set(names)
    for step in recipe.steps:
        if found & set(step.inputs.values()):
            found.add(step.name)
    return found


def changed(recipe: Recipe, other: Recipe) -> set[str]:
    before, after = step_keys(recipe, "podman"), step_keys(other, "podman")
    return {name for name in before if before[name] != after[name]}


def declares(step: Step, name: str) -> bool:
    return name in (COMMON, f"steps/{step.script}") or any(
        name == f or (f.endswith("/") and name.startswith(f)) for f in step.files
    )


def test_a_changed_file_changes_its_steps_and_what_is_built_on_them(site: Site) -> None:
    recipe = rendered(site)
    for name in recipe.files:
        other = replace(recipe, files={**recipe.files, name: b"changed"})
        mine = {step.name for step in recipe.steps if declares(step, name)}
        assert changed(recipe, other) == dependents(recipe, mine), name


def test_a_changed_setting_changes_its_steps_and_what_is_built_on_them(site: Site) -> None:
    recipe = rendered(site)
    for name in recipe.settings:
        other = replace(recipe, settings={**recipe.settings, name: "changed"})
        mine = {step.name for step in recipe.steps if name in step.settings}
        assert changed(recipe, other) == dependents(recipe, mine), name


def test_every_rendered_file_that_matters_is_in_some_key(site: Site) -> None:
    """The others are for people and for what comes after the build."""
    recipe = rendered(site)
    unhashed = {f for f in recipe.files if not any(declares(step, f) for step in recipe.steps)}

    assert unhashed == {
        "README.md",
        "build.sh",
        "settings.sh",  # each of its variables is hashed where it is used
        "steps/base-pull.sh",  # of the other kind of base
        *("steps/sdist.sh", "steps/source.sh", "steps/toolchain.sh"),  # of stacks with sources
        *(f"steps/{name}.sh" for name in ("spack", "spack-install", "spack-layer")),
        *(f"steps/spack-{name}.sh" for name in ("packages", "sources", "build", "tree")),
    }


def test_the_environment_changes_the_image_only(site: Site) -> None:
    """Wheels and layers are shared between stacks that differ in what they set."""
    recipe = rendered(site)
    stack = site.root / "stacks" / "mini.yaml"
    stack.write_text(stack.read_text().replace("-- done", "-- more"))

    other = rendered(Site(site.root))

    assert changed(recipe, other) == {"prefix", "image", "squashfs"}


def test_only_the_image_depends_on_the_engine(site: Site) -> None:
    recipe = rendered(site)
    podman, docker = step_keys(recipe, "podman"), step_keys(recipe, "docker")

    assert {n for n in podman if podman[n] != docker[n]} == {"image", "squashfs"}


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs: apt-get install shellcheck")
def test_shellcheck_finds_nothing(site: Site, tmp_path: Path) -> None:
    write_recipe(rendered(site), tmp_path / "recipe")
    scripts = sorted((tmp_path / "recipe").rglob("*.sh"))

    done = subprocess.run(
        [
            "shellcheck",
            "--shell=sh",
            "--external-sources",
            "--exclude=SC1090,SC1091,SC2034,SC2154",
            *scripts,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "recipe",
    )

    assert done.stdout == ""


@pytest.mark.parametrize("script", ["build.sh", "common.sh", "engine.sh", "settings.sh"])
def test_scripts_are_posix_shell(site: Site, script: str, tmp_path: Path) -> None:
    write_recipe(rendered(site), tmp_path / "recipe")
    for path in [tmp_path / "recipe" / script, *(tmp_path / "recipe" / "steps").iterdir()]:
        subprocess.run(["dash", "-n", path], check=True)


def test_a_base_image_is_pulled_instead_of_made(site: Site) -> None:
    system = site.root / "systems" / "bench.yaml"
    image = f"registry.example.org/os/debian@sha256:{'a' * 64}"
    text = system.read_text()
    system.write_text(text[: text.index("base:")] + f"base: {{image: '{image}'}}\n")

    plan = resolve(Site(site.root), parse(LABEL))
    recipe = render(plan, fixed_lock(plan), Site(site.root))

    assert recipe.steps[0].script == "base-pull.sh"
    assert recipe.settings["BASE_SOURCE"] == image
    assert "step base base-pull.sh" in recipe.files["build.sh"].decode()


def test_bytecode_in_the_site_does_not_decide_the_tree_hash(site: Site, tmp_path: Path) -> None:
    """git ignores it and no digest covers it, but an import would prefer it."""
    folder = tmp_path / "tree"
    folder.mkdir()
    honest = tree_hash_of(site)(folder)
    lie = tmp_path / "tree_hash.py"
    lie.write_text("def tree_hash(root):\n    return 'sha256:whatever'\n")
    cases = site.root / "validation" / "cases"
    py_compile.compile(
        str(lie),
        cfile=str(Path(cache_from_source(str(cases / "tree_hash.py")))),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )

    assert tree_hash_of(site)(folder) == honest
