"""Values of stack files reach the shell, Lua and the image as they were written."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stackwright.building.templates import Templates, quote_dockerfile, quote_lua

# Everything that a YAML value of a stack file may hold (fields.Value), and then some.
lines = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=60)
HOSTILE = "'; rm -rf ~ #\"$(id)`id`\\ ${HOME} ]] --[[ %s * ~ \\n"


def output(*argv: str) -> bytes:
    return subprocess.run(argv, capture_output=True, check=True).stdout


@settings(max_examples=40, deadline=None)
@given(st.lists(texts, min_size=1, max_size=20))
@example([HOSTILE, "", "-n", "\n", "é\u2028"])
def test_a_real_shell_reads_back_what_was_quoted(values: list[str]) -> None:
    words = " ".join(map(shlex.quote, values))

    printed = output("sh", "-c", f"printf '%s\\0' {words}")

    assert printed.decode().split("\0")[:-1] == values


@pytest.mark.skipif(not shutil.which("lua"), reason="needs: apt-get install lua5.3 (Lmod has it)")
@settings(max_examples=40, deadline=None)
@given(st.lists(texts, min_size=1, max_size=20))
@example([HOSTILE, "", "]]", "\r\n\t\x01\x7f1", "é\u2028"])
def test_a_real_lua_reads_back_what_was_quoted(values: list[str]) -> None:
    script = "".join(f"io.write({quote_lua(value)}, '\\0')\n" for value in values)

    printed = output("lua", "-e", script)

    assert printed.decode().split("\0")[:-1] == values


@given(lines)
@example(HOSTILE)
def test_a_containerfile_value_has_nothing_left_to_expand(value: str) -> None:
    """Dockerfile reference: in a double-quoted word \\", \\\\ and \\$ are literal."""
    quoted = quote_dockerfile(value)
    read, rest = "", quoted[1:-1]
    while rest:
        if rest[0] == "\\":
            assert rest[1] in '"\\$'
            read, rest = read + rest[1], rest[2:]
        else:
            assert rest[0] not in '"$'
            read, rest = read + rest[0], rest[1:]

    assert (quoted[0], quoted[-1], read) == ('"', '"', value)


@pytest.mark.parametrize("character", ["\n", "\0", "\r", "\x1b"])
def test_a_containerfile_value_cannot_start_an_instruction(character: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        quote_dockerfile(f"x{character}RUN id")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=texts)
@example(value=HOSTILE)
def test_json_reads_back_what_was_quoted(tmp_path: Path, value: str) -> None:
    (tmp_path / "value.j2").write_text("{{ value | tojson }}")

    assert json.loads(Templates(tmp_path).render("value.j2", {"value": value})) == value
