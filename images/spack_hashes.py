"""Compare the hash of each package of Spack's lock with what the lock says of it, and its recipe.

Run by `spack python` in the environment. `spack install` takes the hashes as they stand there: a
lock that somebody edited would be installed, and go into build caches, under the honest hash.
"""

import sys

import spack.environment
import spack.hash_types

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
if wrong:
    sys.exit("\n".join(["==> Error: what Spack's lock has is not certain:", *wrong]))
