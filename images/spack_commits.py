"""Say which commits of git the sources of Spack's lock are made from, as JSON.

Run by `spack python` in the environment: `[{"url", "commit", "submodules", "without"}]`. Submodules
are true for all, with theirs, false for none, or the paths of those that are taken, without theirs.
"""

import json

import spack.environment


def submodules(source):
    """Which submodules Spack checks out of a source."""
    wanted = source.submodules
    if not callable(wanted):
        return bool(wanted)
    named = wanted(source.package) or []
    return [named] if isinstance(named, str) else list(named)


found = []
for spec in spack.environment.active_environment().all_specs():
    if spec.external or not spec.package.has_code:
        continue
    for stage in spec.package.stage:  # its own, those of its resources and of its patches
        source = getattr(stage, "default_fetcher", None)
        if commit := getattr(source, "commit", None):
            without = list(source.submodules_delete or [])
            want = {"commit": commit, "submodules": submodules(source), "without": without}
            found.append({"url": source.url, **want})
print(json.dumps(found))
