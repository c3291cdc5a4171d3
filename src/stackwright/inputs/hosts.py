"""Which systems a machine may belong to, by its name and its environment."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from pydantic import model_validator

from stackwright.inputs.fields import HostPattern, Model, Value, VariableName


class Hosts(Model):
    """How a system's machines are told from others: shell patterns, all kinds of which must match.

    Args:
        names: of host names; one of them matches the whole name, or its part before the first dot.
        environment: of the values of variables that the site sets on its machines.
    """

    names: tuple[HostPattern, ...] = ()
    environment: Mapping[VariableName, Value] = {}

    @model_validator(mode="after")
    def _says_something(self) -> Hosts:
        if not self.names and not self.environment:
            raise ValueError("neither 'names' nor 'environment': every machine would be one of it")
        return self

    def match(self, host: str, environ: Mapping[str, str]) -> bool:
        """Say whether a machine is one of these."""
        known_as = {host, host.partition(".")[0]}
        named = any(fnmatchcase(name, like) for like in self.names for name in known_as)
        set_so = (
            fnmatchcase(environ.get(name, ""), like) and name in environ
            for name, like in self.environment.items()
        )
        return (named or not self.names) and all(set_so)


def systems_of(
    hosts: Mapping[str, Hosts | None], host: str, environ: Mapping[str, str]
) -> tuple[str, ...]:
    """The systems that a machine may belong to, sorted.

    They are those whose hosts it matches; where there are none, the generic ones.

    Args:
        hosts: of each system by its name; None for a generic one, which any machine may be.
        host: the machine's name.
        environ: its environment.
    """
    mine = [name for name, its in hosts.items() if its and its.match(host, environ)]
    return tuple(sorted(mine or (name for name, its in hosts.items() if its is None)))
