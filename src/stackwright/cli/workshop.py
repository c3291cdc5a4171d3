"""What the commands that work on one label have in common: its plan, its store, its tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stackwright.build import tree_hash_of
from stackwright.certify.artefact import Artefact
from stackwright.certify.keys import TrustedKeys
from stackwright.cli.context import Context
from stackwright.errors import StackwrightError
from stackwright.labels import Label
from stackwright.plan import Plan, plan_hash, resolve
from stackwright.release.measure import Measure, measurer
from stackwright.site import Site
from stackwright.store import Store
from stackwright.tools.process import Runner


@dataclass(frozen=True)
class Workshop:
    """One label of a site, with the store of its system."""

    site: Site
    label: Label
    store: Store

    @classmethod
    def of(cls, context: Context, pattern: str) -> Workshop:
        """The workshop of the label that the user means."""
        label = context.pick(pattern)
        return cls(context.site, label, Store(context.store(label.system)))

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
            StackwrightError: it wasn't built as the files say now.
        """
        artefact = self.store.read_artefact(self.plan_hash)
        if artefact is None:
            raise StackwrightError(
                f"{self.label} is not built as its files say now",
                hint=f"stackwright build '{self.label}'",
            )
        return artefact

    @property
    def measure(self) -> Measure:
        """Hashes the bytes of an artefact in the store."""
        return measurer(self.store, tree_hash_of(self.site))

    def runner(self, on_line: Callable[[str], None] = lambda _line: None) -> Runner:
        """Runs external programs and logs them in the store."""
        return Runner(self.store.log, on_line)

    @property
    def keys(self) -> Path:
        """Where this store's keys are."""
        return self.store.root / "keys"

    def trusted(self, extra: tuple[Path, ...] = ()) -> TrustedKeys:
        """The public keys that certificates are verified with: the store's, or those given."""
        from stackwright.certify.keys import load_public

        known = TrustedKeys.load(self.keys)
        if not extra:
            return known
        return TrustedKeys(release=tuple(load_public(p) for p in extra), builder=known.builder)


def latest_run(store: Store, plan: str, suite: str | None = None) -> Path | None:
    """The newest run folder of a plan that was judged, for a suite if one is named."""
    import json

    found = []
    for path in (store.root / "runs").glob("*/judgement.json"):
        value = json.loads(path.read_bytes())
        if value["arms"]["candidate"]["plan_hash"] == plan and suite in (
            None,
            value["suite"]["name"],
        ):
            found.append(path.parent)
    return max(found, key=lambda folder: folder.name, default=None)
