"""What a site brings into containers, as part of what is asked of a run time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stackwright.inputs.injections import Injection
from stackwright.runtimes.request import CommandLine, Mount, Request, Runtime

DRIVER = "libcuda.so.1"
"""Who injects it brings the GPUs' driver; their devices every run time without a daemon shows."""

PLACES = "STACKWRIGHT_INJECTED"
"""Tells cases from where the site's libraries may come, and its MPI must."""


@dataclass(frozen=True)
class Injecting:
    """A run time, and what the site brings into each of its containers.

    Args:
        runtime: what runs the image.
        injections: in the system's order, with sources that are on this host.
        image_env: the environment that the image's configuration sets.
        places: where in the container it brings them.
    """

    runtime: Runtime
    injections: tuple[Injection, ...]
    image_env: Mapping[str, str]
    places: tuple[str, ...] = ()

    @property
    def mounts_below(self) -> str:
        """The run time's own."""
        return self.runtime.mounts_below

    def command_line(self, request: Request) -> CommandLine:
        """Build the run time's command line for the request with the injections.

        Raises:
            ValueError: the run time cannot do what is asked; the text says why.
        """
        asked = injected(request, self.injections, self.image_env)
        env = {**asked.env, PLACES: ":".join(self.places)}
        return self.runtime.command_line(replace(asked, env=env))


def injected(
    request: Request, injections: Sequence[Injection], image_env: Mapping[str, str]
) -> Request:
    """A request with the injections' files and variables; what a site sets, nobody else sets.

    Of folders that several put first in a variable, the first injection's is searched first.
    """
    env = {**request.env}
    for one in reversed(injections):
        for name, folder in one.prepend.items():
            rest = env.get(name, image_env.get(name, ""))
            env[name] = f"{folder}:{rest}" if rest else folder
    for one in injections:
        env.update(one.env)
    carried = [each for one in injections for each in (*one.bind, *one.copied)]
    mounts = tuple(Mount(each.source, str(each.inside)) for each in carried)
    driver = any(
        library.soname == DRIVER
        for one in injections
        if one.bind or one.copied
        for library in one.libraries
    )
    return replace(
        request,
        env=env,
        mounts=(*mounts, *request.mounts),
        gpus=request.gpus and not driver,
    )
