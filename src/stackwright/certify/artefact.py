"""What a plan was built into: `artefacts/<plan-hash>.json` of docs/formats.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from stackwright.inputs.labels import NAME, VARIANT, VERSION

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
LabelText = Annotated[str, StringConstraints(pattern=f"^{NAME}/{VERSION}-{VARIANT}@{NAME}$")]
# No part of a path starts with a dot, so none can leave the store.
_PART = r"[A-Za-z0-9_+:-][A-Za-z0-9_+:.-]*"
StorePath = Annotated[str, StringConstraints(pattern=f"^{_PART}(/{_PART})*$")]


class Frozen(BaseModel):
    """A value from a file: known keys only, no coercion, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True)
class Digests:
    """The bytes that users get: OCI manifest digest, squashfs sha256, tree hash of the prefix."""

    image: str
    squashfs: str
    prefix: str


class Built(Protocol):
    """Anything that names one build: what it is called, its plan, and its bytes."""

    @property
    def label(self) -> str:
        """The label, ``stack/version-variant@system``."""

    @property
    def plan_hash(self) -> str:
        """The hash of the plan."""

    @property
    def digests(self) -> Digests:
        """The digests of the bytes."""


class Image(Frozen):
    """An OCI layout in the store; ``bytes`` counts all its blobs."""

    digest: Digest
    config: Digest
    oci: StorePath
    bytes: int = Field(ge=0)


class Part(Frozen):
    """The squashfs file or the install prefix in the store."""

    digest: Digest
    path: StorePath
    bytes: int = Field(ge=0)


class Artefact(Frozen):
    """One built label; all paths are relative to the store."""

    schema_: Literal["stackwright/artefact/1"] = Field(alias="schema")
    label: LabelText
    plan_hash: Digest
    image: Image
    squashfs: Part
    prefix: Part

    @property
    def digests(self) -> Digests:
        """What the record claims about the bytes."""
        return Digests(self.image.digest, self.squashfs.digest, self.prefix.digest)
