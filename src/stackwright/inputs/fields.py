"""The base of every input model, and the kinds of text that inputs may hold.

Inputs end up in shell scripts, Lua, Containerfiles and paths. Each renderer quotes for its own
language; these types are the first line: no name can hold a blank, a quote or a newline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from stackwright.inputs import labels


class Model(BaseModel):
    """Frozen, and strict about keys it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


@dataclass(frozen=True)
class Text:
    """A constraint on a string: the whole of it matches a regular expression.

    ``what`` completes the sentence "'...' is not ..." of the error.
    """

    pattern: str
    what: str

    def check(self, value: str) -> str:
        """Return the value when it matches; raise ValueError when it doesn't."""
        if re.fullmatch(self.pattern, value) is None:
            raise ValueError(f"{value!r} is not {self.what}")
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check after pydantic's own check of the type."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Give editors the same rule."""
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}


Name = Annotated[
    str, Text(labels.NAME, "a name: lower-case letters, digits, and single '-' or '_' between them")
]
PART = "part of "
"""Begins what a job that has only some cases of a suite calls its own: no Name, so no suite's."""
VariantName = Annotated[
    str, Text(labels.VARIANT, "a variant name: a lower-case letter, then letters, digits or '_'")
]
VersionName = Annotated[
    str, Text(labels.VERSION, "a version: a digit first, then letters, digits, '.', '_' or '-'")
]
VariableName = Annotated[
    str, Text(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")
]
DebianPackage = Annotated[
    str, Text(r"[a-z0-9][a-z0-9.+-]+", "the name of a Debian package, such as 'ca-certificates'")
]
ImageByDigest = Annotated[
    str,
    Text(
        r"[a-z0-9][a-z0-9.-]*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+@sha256:[0-9a-f]{64}",
        "an image by its digest, such as 'registry.example.org/os/debian@sha256:...'",
    ),
]
Library = Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9._+-]*", "the file name of a library")]
Word = Annotated[
    str, Text(r"[A-Za-z0-9][A-Za-z0-9._+-]*", "one word: letters, digits, '.', '_', '+' or '-'")
]
Line = Annotated[str, Text(r"\S(?:[^\x00-\x1f\x7f]*\S)?", "one line of text")]
Prose = Annotated[str, Text(r"[^\x00-\x08\x0b-\x1f\x7f]*\S[^\x00-\x08\x0b-\x1f\x7f]*", "text")]
Value = Annotated[str, Text(r"[^\x00-\x1f\x7f]*", "a value: one line without control characters")]
Url = Annotated[str, Text(r"https?://[^\s\"'<>\\^`{|}]+", "a web address")]
Folder = Annotated[
    str,
    Text(
        r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)*",
        "a relative folder inside the site, such as 'stacks/overlays/pytorch'",
    ),
]
Option = Annotated[
    str, Text(r"-{1,2}[A-Za-z][A-Za-z0-9,.:=_+-]*", "an option such as '--constraint=gpu'")
]
HostPattern = Annotated[
    str, Text(r"[A-Za-z0-9.*?\[\]!_-]+", "a pattern of host names, such as 'login[0-9]*'")
]
AbsolutePath = Annotated[
    str, Text(r"(?!.*/\.\.(/|$))/[A-Za-z0-9._/+@%=-]*", "an absolute path without '..'")
]
