"""The environment policy: every variable that a stack sets is in a typed table.

The table (``systems/policy/environment.yaml``) says for each variable which values are legal,
for which versions of which component, why one sets it, and where that is documented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version
from pydantic import AfterValidator, field_validator, model_validator

from stackwright.errors import StackwrightError
from stackwright.inputs.fields import Line, Model, Name, Text, Url, Value, VariableName
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.yamlfile import Document, load_document, many_errors

Kind = Literal["bool", "int", "enum", "pattern", "path", "string"]
Specifier = Annotated[str, Text(r"[<>=!~0-9.,* ]+", "a range of versions such as '>=2.23'")]


HARMLESS: Mapping[str, str] = {
    "PYTHONNOUSERSITE": "leaves packages out, those of the user",
    "PYTHONUNBUFFERED": "decides when output is written",
    "PYTHONHASHSEED": "makes the order of sets the same in each run",
    "PYTHONFAULTHANDLER": "prints a stack at a crash",
    "PYTHONDONTWRITEBYTECODE": "writes less",
    "PYTHONUTF8": "is about the encoding of text",
    "PYTHONIOENCODING": "is about the encoding of text",
    "PYTHONMALLOC": "chooses among Python's own allocators",
}
"""Variables that a pattern of RESERVED takes in, and why they may be set all the same."""

OF_RUN_TIMES = (
    *("APPTAINER*", "SINGULARITY*", "SHIFTER*", "SLURM_SPANK_*", "CH_*"),
    *("CONTAINERS_*", "CONTAINER_HOST", "CONTAINER_CONNECTION", "BUILDAH_*", "PODMANHPC_*"),
)
"""Variables, by pattern, by which a run time would mount, set or run something else."""

RESERVED: Mapping[str, tuple[str, ...]] = {
    "module and image put the prefix's programs first in it": ("PATH",),
    "Python would load other files than the prefix's, which are what is certified": (
        *("PYTHON*", "_PYTHON_*"),
    ),
    "pip would install other files, or elsewhere": ("PIP_*",),
    "IPython and Jupyter run configuration from it": ("IPYTHONDIR", "JUPYTER_*"),
    "every Perl program would load what it names": ("PERL5*", "PERLLIB"),
    "programs of another language would load what it names": (
        *("NODE_OPTIONS", "RUBYOPT", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"),
    ),
    "other programs would run what it names": ("GIT_*", "PAGER", "LESSOPEN"),
    "it is the user's own": ("HOME", "USER", "LOGNAME", "SHELL", "PWD"),
    "every shell would run what it names": (
        *("BASH_ENV", "ENV", "PROMPT_COMMAND", "PS[0-9]", "ZDOTDIR", "FPATH"),
        *("BASH_LOADABLES_PATH", "INPUTRC"),
    ),
    "shells would run with other options": ("SHELLOPTS", "BASHOPTS"),
    "shells would split commands at other places": ("IFS",),
    "Lmod finds modules by it": ("MODULEPATH",),
    "Lmod takes defaults and hidden modules from it": ("MODULERCFILE",),
    "it is Lmod's own": ("LMOD_*", "__LMOD_*", "_ModuleTable*", "LOADEDMODULES", "_LMFILES_"),
    "Lmod, a Lua program, would run what it names": (
        *("LUA_INIT", "LUA_INIT_5_*", "LUA_PATH*", "LUA_CPATH*"),
    ),
    "containers would start otherwise": (*OF_RUN_TIMES, "DOCKER_*", "PODMAN*", "XDG_*"),
    "Slurm's commands would start jobs otherwise": ("SRUN_*", "SBATCH_*", "SALLOC_*", "SPANK_*"),
    "the launcher tells each rank its own": (
        *("RANK", "*_RANK", "*WORLD_SIZE", "LOCAL_SIZE", "MASTER_*", "TORCHELASTIC_*"),
        *("PMI_*", "PMIX_*", "PALS_*", "FLUX_*", "HYDRA_*", "MPI_LOCAL*", "MV2_COMM_*"),
        *("OMPI_COMM_*", "OMPI_UNIVERSE_SIZE", "SLURM_*", "PBS_*", "LSB_*", "JSM_*"),
    ),
    "the launcher gives each rank its devices": (
        *("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"),
        "GPU_DEVICE_ORDINAL",
    ),
    "Stackwright sets it itself": ("STACKWRIGHT_*",),
}
"""Why neither a stack nor the table may set a variable, and those that it is about, by pattern.

Python's are from https://docs.python.org/3/using/cmdline.html#environment-variables, the shells'
from https://www.gnu.org/software/bash/manual/html_node/Bash-Variables.html and
https://zsh.sourceforge.io/Doc/Release/Parameters.html, Perl's from
https://perldoc.perl.org/perlrun#ENVIRONMENT, Lua's from https://www.lua.org/manual/5.4/manual.html,
Lmod's from https://lmod.readthedocs.io/en/latest/093_modulerc.html, the ranks' from
https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables.
"""

TABLE_ONLY = (
    # the dynamic linker, https://man7.org/linux/man-pages/man8/ld.so.8.html, and the C library
    *("LD_*", "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH"),
    # plug-ins and tools that a library loads
    *("*_PLUGIN", "*_PLUGIN_PATH", "*_PROVIDER_PATH", "HDF5_PLUGIN_PRELOAD", "OMP_TOOL_LIBRARIES"),
    *("CUDA_INJECTION64_PATH", "NVTX_INJECTION64_PATH", "HSA_TOOLS_LIB", "ROCP_TOOL_LIB"),
    *("NUMBA_CUDA_DRIVER", "PJRT_NAMES_AND_LIBRARY_PATHS", "TPU_LIBRARY_PATH"),
    *("SASL_PATH", "GIO_EXTRA_MODULES", "GTK_MODULES"),
    # components and agents of MPI
    *("OMPI_MCA_*", "PRTE_MCA_*", "OPAL_*", "UCX_MODULE_DIR"),
    # files of settings and of trust, https://docs.openssl.org/master/man7/openssl-env/
    *("OPENSSL_*", "SSL_CERT_FILE", "KRB5_CONFIG", "NCCL_CONF_FILE", "XLA_FLAGS"),
    # compiled code and models that are kept in it, and run
    *("TRITON_*", "NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TORCH_EXTENSIONS_DIR"),
    *("CUDA_CACHE_PATH", "TORCH_HOME", "MIOPEN_*_DB_PATH"),
    *("ROCBLAS_TENSILE_LIBPATH", "HIPBLASLT_TENSILE_LIBPATH"),
    # compilers, and what they take in
    *("CC", "CXX", "PYTORCH_NVCC", "CUDA_HOME", "GCC_EXEC_PREFIX", "COMPILER_PATH"),
    *("LIBRARY_PATH", "CPATH"),
)
"""Variables, by pattern, that decide what programs load: for a row of the table, never own."""


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, like) for like in patterns)


def _settable(name: str) -> str:
    why = next((why for why, patterns in RESERVED.items() if _is_one_of(name, patterns)), None)
    if why and name not in HARMLESS:
        raise ValueError(f"'{name}' is reserved: {why}")
    return name


SettableName = Annotated[VariableName, AfterValidator(_settable)]


class Setting(Model):
    """A variable that a stack sets; ``own`` says that it is the stack's own, not in the table."""

    name: SettableName
    value: Value
    why: Line | None = None
    own: bool = False

    @model_validator(mode="after")
    def _own_is_harmless_and_says_why(self) -> Setting:
        if self.own and self.why is None:
            raise ValueError(f"'{self.name}' is the stack's own variable: say why it is set")
        if self.own and _is_one_of(self.name, TABLE_ONLY):
            raise ValueError(
                f"'{self.name}' decides what programs load: it can't be a stack's own,"
                " but a row of systems/policy/environment.yaml"
            )
        return self


class When(Model):
    """The versions of a component (NCCL, PyTorch, ...) that a rule is about."""

    component: Name
    versions: Specifier

    @field_validator("versions")
    @classmethod
    def _readable(cls, value: str) -> str:
        try:
            SpecifierSet(value)
        except InvalidSpecifier as error:
            raise ValueError(f"{value!r} is not a range of versions such as '>=2.23'") from error
        return value

    def holds(self, components: Mapping[str, str]) -> bool | None:
        """Whether the rule is about these versions; None when the version isn't known."""
        version = components.get(self.component)
        return None if version is None else Version(version) in SpecifierSet(self.versions)


class Caution(Model):
    """A legal value that is unwise, always or with some versions."""

    value: Value
    when: When | None = None
    say: Line


class Variable(Model):
    """One row of the table. ``values`` are the legal ones of an enum, or beside a number."""

    type: Kind
    values: tuple[Value, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    pattern: Line | None = None
    applies: When | None = None
    why: Line
    source: Url
    cautions: tuple[Caution, ...] = ()

    @field_validator("pattern")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        return value


class Table(Model):
    """The whole policy; ``components`` says which packages carry a component's version."""

    components: Mapping[Name, tuple[Name, ...]] = {}
    variables: Mapping[SettableName, Variable]

    def versions(self, pins: Mapping[str, str]) -> dict[str, str]:
        """The components whose version follows from the exact pins of packages."""
        return {
            component: pins[package]
            for component, packages in self.components.items()
            for package in packages
            if package in pins
        }


def load_table(path: Path) -> Table:
    """Read the table of a site.

    Raises:
        ManyErrors: every mistake in it; also a component that `components` doesn't have.
    """
    document = load_document(path, Table)
    if errors := [*_component_errors(document)]:
        raise many_errors(errors)
    return document.value


def _component_errors(document: Document[Table]) -> Iterator[StackwrightError]:
    """A rule about a component that no package tells the version of would never hold."""
    known = document.value.components
    for place, when in _placed_rules(document.value):
        if when.component not in known:
            what = f"unknown component '{when.component}'{did_you_mean(when.component, known)}"
            hint = "say under 'components' which packages tell its version"
            yield document.error(what, *place, "component", hint=hint)


def _placed_rules(table: Table) -> Iterator[tuple[tuple[str | int, ...], When]]:
    """Each rule about versions, and where the table has it."""
    for name, variable in table.variables.items():
        if variable.applies:
            yield ("variables", name, "applies"), variable.applies
        for index, caution in enumerate(variable.cautions):
            if caution.when:
                yield ("variables", name, "cautions", index, "when"), caution.when


def problem(setting: Setting, table: Table) -> str | None:
    """Why a setting breaks the policy, in one line; None when it keeps to it."""
    variable = table.variables.get(setting.name)
    if setting.own:
        known = f"'{setting.name}' is in the table: remove 'own' and keep to its legal values"
        return known if variable else None
    if variable is None:
        guess = did_you_mean(setting.name, table.variables)
        return f"unknown variable '{setting.name}'{guess}; say 'own: true' and 'why' to declare it"
    if setting.value in variable.values or _LEGAL[variable.type](variable, setting.value):
        return None
    guess = did_you_mean(setting.value, variable.values)
    return f"{setting.name}={setting.value} is not legal: {_rule(variable)}{guess}"


def cautions(
    settings: Iterable[Setting], table: Table, components: Mapping[str, str]
) -> Iterator[str]:
    """What is legal but unwise or without effect, given the components' versions.

    A rule about a component whose version isn't known stays silent.
    """
    for setting in settings:
        variable = table.variables.get(setting.name)
        if variable is None:
            continue
        if variable.applies and variable.applies.holds(components) is False:
            component, needs = variable.applies.component, variable.applies.versions
            yield (
                f"{setting.name} has no effect with {component} {components[component]}"
                f" (it needs {needs})"
            )
        for caution in variable.cautions:
            unwise = caution.when is None or caution.when.holds(components)
            if unwise and fnmatchcase(setting.value, caution.value):
                yield f"{setting.name}={setting.value}: {caution.say}"


def _in_range(variable: Variable, value: str) -> bool:
    if re.fullmatch(r"-?[0-9]{1,18}", value) is None:
        return False
    low = variable.minimum if variable.minimum is not None else int(value)
    high = variable.maximum if variable.maximum is not None else int(value)
    return low <= int(value) <= high


_LEGAL: Mapping[Kind, Callable[[Variable, str], bool]] = {
    "bool": lambda variable, value: not variable.values and value in ("0", "1"),
    "int": _in_range,
    "enum": lambda variable, value: value in variable.values,
    "pattern": lambda variable, value: bool(re.fullmatch(variable.pattern or "", value)),
    "path": lambda _, value: value.startswith("/"),
    "string": lambda _, value: bool(value),
}


def _rule(variable: Variable) -> str:
    """The legal values in words."""
    listed = f"one of {', '.join(variable.values)}" if variable.values else ""
    described = {
        "bool": "" if listed else "0 or 1",
        "int": f"a whole number{_range(variable)}",
        "enum": "",
        "pattern": f"text like {variable.pattern}",
        "path": "an absolute path",
        "string": "text that isn't empty",
    }[variable.type]
    return " or ".join(part for part in (described, listed) if part)


def _range(variable: Variable) -> str:
    low = f" from {variable.minimum}" if variable.minimum is not None else ""
    high = f" to {variable.maximum}" if variable.maximum is not None else ""
    return low + high
