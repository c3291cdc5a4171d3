"""Say which commits of git the sources of Spack's lock are made from; or put them into a mirror.

Run by `spack python` in the environment. Without an argument it prints, as JSON,
`[{"url", "commit", "submodules", "without"}]`. Submodules are true for all, with theirs, false for
none, or the paths of those that are taken, without theirs.

With a mirror's folder it has Spack clone each from its URL. `spack mirror create` would first take
an archive from Spack's own server, with nothing to compare it with; and 0.23 tries again where git
failed, and then takes what that left for the source. What a mirror has it leaves as it is.
"""

import json
import sys
from pathlib import Path

import spack.environment


def stages():
    """Where Spack unpacks the sources of packages, their resources and patches."""
    for spec in spack.environment.active_environment().all_specs():
        if not spec.external and spec.package.has_code:
            yield from spec.package.stage


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


def store(stage, mirror):
    """Clone a source and put it where a mirror has it."""
    target = mirror / stage.mirror_layout.path
    target.parent.mkdir(parents=True, exist_ok=True)
    stage.default_fetcher_only = True
    with stage:
        stage.fetch()
        stage.fetcher.archive(str(target))


found = [stage for stage in stages() if getattr(stage, "default_fetcher", None)]
found = [stage for stage in found if getattr(stage.default_fetcher, "commit", None)]
if len(sys.argv) == 1:
    print(json.dumps([told(stage.default_fetcher) for stage in found]))
else:
    for stage in found:
        store(stage, Path(sys.argv[1]))
