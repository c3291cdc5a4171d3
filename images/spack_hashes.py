"""Compare the hash of each package of Spack's lock with what the lock says of it, and its recipe.

Run by `spack python` in the environment. `spack install` takes the hashes as they stand there: a
lock that somebody edited would be installed, and go into build caches, under the honest hash. So
would what a branch holds on the day of the build, or a folder: Spack's hash says nothing of them.
"""

import sys

import spack.environment
import spack.fetch_strategy
import spack.hash_types


def loose(spec):
    """What is wrong with the source of a package, if its recipe has no hash or commit of it."""
    if "dev_path" in spec.variants:
        return "its source is a folder, which no hash is of"
    if not spec.package.has_code:
        return None
    source = spack.fetch_strategy.for_package_version(spec.package)
    if getattr(source, "digest", None) or getattr(source, "commit", None):
        return None
    return f"its recipe has neither hash nor commit of {spec.version}, as of a branch"


environment = spack.environment.active_environment()
wrong = []
for spec in environment.all_specs():
    if spec.external:  # what its hash is of isn't all in the lock; it is there and not made
        continue
    said = spec.dag_hash()
    if spec.spec_hash(spack.hash_types.dag_hash) != said:
        wrong.append(f"{spec.name}/{said}: its hash is of something else")
    elif spec.package.content_hash() != spec._package_hash:
        wrong.append(f"{spec.name}/{said}: its recipe is another one")
    elif found := loose(spec):
        wrong.append(f"{spec.name}/{said}: {found}")
if wrong:
    sys.exit("\n".join(["==> Error: what Spack's lock has is not certain:", *wrong]))
