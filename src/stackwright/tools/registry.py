"""Container registries, by skopeo: which of them are trusted, and with what password, it knows."""

from __future__ import annotations

import re
from pathlib import Path

from stackwright.errors import ExitCode, StackwrightError
from stackwright.tools.process import Runner

REFERENCE = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")
"""A registry and a name in it, without a tag, by the OCI distribution specification."""


def push(layout: Path, reference: str, digest: str, runner: Runner) -> None:
    """Copy an OCI layout's image, byte for byte, and see that the registry has it by its digest.

    Args:
        reference: such as ``registry.example.org/stacks/pytorch:2.13.0-cpu``.
        digest: the manifest's, which must be the same there.

    Raises:
        ToolError: skopeo or the registry refused.
        StackwrightError: the registry has another digest.
    """
    there = f"docker://{reference}"
    copy = ["skopeo", "copy", "--preserve-digests", f"oci:{layout}:image", there]
    runner.run(copy, hint=f"skopeo login {reference.partition('/')[0]}")
    found = runner.run(["skopeo", "inspect", "--format", "{{.Digest}}", there]).split()
    if digest not in found:
        raise StackwrightError(
            f"the registry has {' '.join(found)[:200]} as {reference}, not {digest}",
            hint="somebody else may push to this name: choose another",
            code=ExitCode.INVALID,
        )
