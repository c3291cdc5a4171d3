"""What the stages that work on one label have in common: its plan, its store, its tools."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stackwright.certify.artefact import Artefact, Digests
from stackwright.certify.keys import TrustedKeys, named_keys, trusted_keys
from stackwright.errors import ExitCode, Location, StackwrightError
from stackwright.fit import release_suite
from stackwright.inputs.labels import Label
from stackwright.inputs.site import Site
from stackwright.plans.plan import Plan, plan_hash, resolve
from stackwright.release.measure import Measure, OnPart, measurer, untold
from stackwright.store import Store
from stackwright.tools.process import Runner

Stage = Callable[[str], AbstractContextManager[OnPart]]
"""Is told what begins; what comes of it is told how far that is, and when it ends."""


def measuring(
    site: Site, store: Store, stage: Stage, role: Callable[[Artefact], str] = lambda _artefact: ""
) -> Measure:
    """Hash the bytes of artefacts in a store, and tell how far that is.

    Args:
        role: what an artefact is, to be said before its label.
    """
    from stackwright.building.build import tree_hash_of

    tree_hash = tree_hash_of(site)

    def measure(artefact: Artefact) -> Digests:
        what = f"hashing image, squashfs and prefix of {role(artefact)}{artefact.label}"
        with stage(what) as on_part:
            return measurer(store, tree_hash, on_part)(artefact)

    return measure


@dataclass(frozen=True)
class Workshop:
    """One label of a site, with the store of its system.

    Args:
        stage: is entered for what takes more than a moment, by its name.
    """

    site: Site
    label: Label
    store: Store
    stage: Stage = lambda _what: nullcontext(untold)

    @cached_property
    def plan(self) -> Plan:
        """The label, resolved."""
        return resolve(self.site, self.label)

    @cached_property
    def plan_hash(self) -> str:
        """The hash of the plan."""
        return plan_hash(self.plan)

    @cached_property
    def artefact(self) -> Artefact:
        """What the plan was built into.

        Raises:
            StackwrightError: it wasn't built as its files say now, or its record is another's.
        """
        artefact = self.store.read_artefact(self.plan_hash)
        if artefact is None:
            raise StackwrightError(
                f"{self.label} is not built as its files say now",
                hint=f"stackwright build '{self.label}'",
            )
        if (artefact.label, artefact.plan_hash) != (str(self.label), self.plan_hash):
            raise StackwrightError(
                f"the record of {self.label} is one of {artefact.label}",
                where=Location(self.store.artefact_path(self.plan_hash)),
                hint=f"remove it, then: stackwright build '{self.label}'",
                code=ExitCode.INVALID,
            )
        return artefact

    @property
    def measure(self) -> Measure:
        """Hashes the bytes of an artefact in the store."""
        return measuring(self.site, self.store, self.stage)

    @property
    def measure_arms(self) -> Measure:
        """As `measure`, and says which arm of a validation an artefact is."""
        return measuring(
            self.site,
            self.store,
            self.stage,
            lambda artefact: "candidate " if artefact.plan_hash == self.plan_hash else "baseline ",
        )

    @cached_property
    def suite(self) -> str:
        """The suite that a release of the label has to pass: the variant's, else the stack's own.

        Raises:
            ManyErrors: it has mistakes, asks less than the system asks of every stack, or never
                uses the GPUs that the label is made for.
        """
        return release_suite(self.site, self.label)

    def runner(self, on_line: Callable[[str], None] = lambda _line: None) -> Runner:
        """Runs external programs and logs them in the store."""
        return Runner(self.store.log, on_line)

    @property
    def keys(self) -> Path:
        """Where this store's keys are."""
        return self.store.root / "keys"

    def trusted(self, release_keys: tuple[Path, ...] = ()) -> TrustedKeys:
        """The keys to verify with; ``release_keys`` replace those that certificates are held to.

        Raises:
            StackwrightError: the site has revoked one of these.
        """
        known = trusted_keys(self.site.root / "keys", self.keys)
        if not release_keys:
            return known
        named = named_keys(release_keys, self.site.root / "keys")
        return TrustedKeys(release=named, builder=known.builder)
