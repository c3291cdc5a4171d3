"""Say which commits of git the sources of Spack's lock are made from; or put them into a mirror.

Run by `spack python` in the environment. Without an argument it prints, as JSON,
`[{"url", "commit", "submodules", "without"}]`. Submodules are true for all, with theirs, false for
none, or the paths of those that are taken, without theirs.

With a mirror's folder it has Spack clone each from its URL. `spack mirror create` would first take
an archive from Spack's own server, with nothing to compare it with; and 0.23 tries again where git
failed, and then takes what that left for the source.

A source of which neither hash nor commit is known is refused: what a branch holds on the day of the
build, or a folder, is in no hash of Spack's. `spack_pins.json` has the commits to take in place of
branches that recipes name.
"""

import json
import re
import sys
from pathlib import Path

import spack.environment

COMMIT = re.compile("[0-9a-f]{40}")
PINS = {
    (pin["url"], pin["branch"]): pin["commit"]
    for pin in json.loads(Path(__file__).with_name("spack_pins.json").read_text(encoding="utf-8"))
}


def stages(spec):
    """Where Spack unpacks the sources of a package, of its resources and of its patches."""
    for stage in spec.package.stage if spec.package.has_code else ():
        source = getattr(stage, "default_fetcher", None)
        if source is None:
            continue
        pin = PINS.get((getattr(source, "url", None), getattr(source, "branch", None)))
        if pin and not source.commit:
            source.commit, source.branch = pin, None
        yield stage


def uncertain(spec):
    """What is not certain about the sources of a package."""
    if "dev_path" in spec.variants:
        yield "its source is a folder, which no hash is of"
        return
    for stage in stages(spec):
        source = stage.default_fetcher
        if not (getattr(source, "digest", None) or COMMIT.fullmatch(commit_of(source))):
            yield f"its recipe has neither hash nor commit of its source {source}"
    if "commit" in spec.variants:  # Spack 1 writes it into a lock, and takes it from there
        said = spec.variants["commit"].value
        recipes = spec.package.versions.get(spec.version, {}).get("commit")
        if said not in (recipes, getattr(spec.version, "ref", None)):
            yield f"its lock has the commit {said}, and not that of its recipe"


def commit_of(source):
    """The commit that git is to check out, or nothing."""
    return getattr(source, "commit", None) or ""


def submodules(source):
    """Which submodules Spack checks out of a source."""
    wanted = source.submodules
    if not callable(wanted):
        return bool(wanted)
    named = wanted(source.package) or []
    return [named] if isinstance(named, str) else list(named)


def told(source):
    """What is to be cloned for a source."""
    without = list(source.submodules_delete or [])
    return {
        "url": source.url,
        "commit": source.commit,
        "submodules": submodules(source),
        "without": without,
    }


def store(stage, target):
    """Clone a source and put it where a mirror has it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stage.default_fetcher_only = True
    with stage:
        stage.fetch()
        stage.fetcher.archive(str(target))


made = [spec for spec in spack.environment.active_environment().all_specs() if not spec.external]
wrong = [f"{spec.name}/{spec.dag_hash()}: {what}" for spec in made for what in uncertain(spec)]
found = {}
for stage in [stage for spec in made for stage in stages(spec) if commit_of(stage.default_fetcher)]:
    path = stage.mirror_layout.path
    if told(found.setdefault(path, stage).default_fetcher) != told(stage.default_fetcher):
        wrong.append(f"{path}: two packages take other submodules of it")
if wrong:
    sys.exit("\n".join(["==> Error: what Spack's lock has is not certain:", *wrong]))
if len(sys.argv) == 1:
    print(json.dumps([told(stage.default_fetcher) for stage in found.values()]))
else:
    for path, stage in found.items():
        store(stage, Path(sys.argv[1]) / path)
