"""Print the packages of Spack's lock that a registry holds, with all that they link and run.

Run by `spack python`, with a mirror called "registry". No command of Spack's tells a registry that
is empty from one that can't be reached: `spack install` takes both for a reason to compile.

usage: registry_holds.py SPACK.LOCK
"""

import functools
import json
import sys
from pathlib import Path
from urllib.error import HTTPError

NOT_FOUND = 404
SUFFIX = ".spack"


def held() -> set[str]:
    """The hashes that end its tags; none where nothing was pushed as yet."""
    from spack.cmd.common.arguments import mirror_name
    from spack.oci.oci import image_from_mirror, list_tags

    try:
        tags = list_tags(image_from_mirror(mirror_name("registry")))
    except (OSError, ValueError) as error:
        if isinstance(error, HTTPError) and error.code == NOT_FOUND:
            return set()
        sys.exit(f"{type(error).__name__}: {error}")
    return {tag[: -len(SUFFIX)].rpartition("-")[2] for tag in tags if tag.endswith(SUFFIX)}


def whole(specs: dict[str, dict], there: set[str]) -> list[str]:
    """Those that can be installed without compiling: what they need then is there, too."""

    @functools.cache
    def fits(key: str) -> bool:
        spec = specs[key]
        needed = (
            each["hash"]
            for each in spec.get("dependencies", ())
            if {"link", "run"} & {*each["parameters"]["deptypes"]}
        )
        return "external" in spec or (key in there and all(map(fits, needed)))

    return [key for key, spec in specs.items() if "external" not in spec and fits(key)]


if __name__ == "__main__":
    lock = json.loads(Path(sys.argv[1]).read_bytes())
    for key in whole(lock["concrete_specs"], held()):
        print(f"/{key}")
