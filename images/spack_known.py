"""Say which of these specs name a package, a version or a variant that no recipe has, as JSON.

Run by `spack python` in an environment, before Spack concretizes it: its solver needs a quarter of
an hour to find out that there is no such version, and then gives the reasons of other packages.
"""

import difflib
import json
import sys

import spack.config
import spack.environment
import spack.repo
import spack.spec


def lacking(text):
    """What is lacking first: its kind, how the spec names it, and what there is instead.

    Only for a package that isn't there must Spack know all packages, which takes minutes at first.
    """
    spec = spack.spec.Spec(text)
    exists = spack.repo.PATH.exists(spec.name)
    recipe = spack.repo.PATH.get_pkg_class(spec.name) if exists else None
    if not recipe.versions if exists else spack.repo.PATH.is_virtual(spec.name):
        providers = {package.name for package in spack.repo.PATH.providers_for(spec.name)}
        return ("virtual", spec.name, sorted(providers)) if spec.name in roots else None
    if not exists:
        near = difflib.get_close_matches(spec.name, spack.repo.PATH.all_package_names())
        return "package", spec.name, near
    there = spack.config.get("packages").get(spec.name, {}).get("externals", [])
    # What a branch has is another thing each day.
    released = [version for version in recipe.versions if str(version)[0].isdigit()]
    known = [*released, *(spack.spec.Spec(each["spec"]).versions for each in there)]
    # Of a commit, `git.COMMIT=5.10`, the number is asked.
    asked = [getattr(version, "ref_version", version) for version in spec.versions]
    if not any(version.intersects(each) for version in asked for each in known):
        return "version", str(spec.versions), sorted(released, reverse=True)
    # What Spack gives to each package isn't in its recipe's list of them.
    variants = {*recipe.variant_names(), "patches"}
    for name in sorted({*spec.variants} - variants):
        return "variant", name, recipe.variant_names()
    return None


# A system may say what provides a virtual package; a stack asks for the package itself.
roots = {spec.name for spec in spack.environment.active_environment().user_specs}
found = [
    {"spec": text, "kind": kind, "named": named, "offers": [str(offer) for offer in offers]}
    for text in sys.argv[1:]
    for kind, named, offers in filter(None, [lacking(text)])
]
print(json.dumps(found))
