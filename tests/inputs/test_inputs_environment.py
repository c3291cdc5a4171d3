"""The environment policy that ships: typed, sourced, and strict about typos."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.errors import ManyErrors
from stackwright.inputs.environment import HARMLESS, Setting, Table, cautions, load_table, problem


@pytest.fixture(scope="module")
def table() -> Table:
    return load_table(Path(__file__).parents[2] / "systems" / "policy" / "environment.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "NCCL_NET_GDR_LEVEL=PHB",
        "OMP_NUM_THREADS=8",
        "OMP_PROC_BIND=false",
        "KMP_BLOCKTIME=infinite",
        "MALLOC_CONF=thp:always,dirty_decay_ms:-1",
        "FI_CXI_DISABLE_HOST_REGISTER=1",
        "NCCL_SOCKET_IFNAME=^docker0,lo",
    ],
)
def test_legal_settings(table: Table, text: str) -> None:
    name, value = text.split("=", 1)

    assert problem(Setting(name=name, value=value), table) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NCCL_NET_GDR_LEVEL=PBH", "(did you mean 'PHB'?)"),
        ("OMP_NUM_THREADS=0", "a whole number from 1"),
        ("OMP_NUM_THREADS=four", "a whole number from 1"),
        ("OMP_WAIT_POLICY=pasive", "(did you mean 'passive'?)"),
        ("OMP_NUM_TREADS=4", "(did you mean 'OMP_NUM_THREADS'?)"),
        ("PYTHONNOUSERSITE=0", "one of 1"),
        ("FI_CXI_DISABLE_HOST_REGISTER=yes", "0 or 1"),
        ("MALLOC_CONF=thp=always", "text like"),
        ("HDF5_USE_FILE_LOCKING=false", "(did you mean 'FALSE'?)"),
    ],
)
def test_illegal_settings_say_what_is_legal(table: Table, text: str, expected: str) -> None:
    name, value = text.split("=", 1)

    assert expected in str(problem(Setting(name=name, value=value), table))


def test_a_stack_may_declare_a_variable_of_its_own_but_not_redefine_one(table: Table) -> None:
    own = Setting(name="DEMO_CACHE", value="off", own=True, why="It is shared.")
    redefined = Setting(name="OMP_NUM_THREADS", value="many", own=True, why="I want to.")

    assert problem(own, table) is None
    assert "remove 'own'" in str(problem(redefined, table))


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONPATH",
        "PYTHONPYCACHEPREFIX",
        "PYTHONWARNINGS",
        "PERL5LIB",
        "PROMPT_COMMAND",
        "MODULERCFILE",
        "__LMOD_REF_COUNT_PATH",
        "_ModuleTable001_",
        "RANK",
        "LOCAL_RANK",
        "WORLD_SIZE",
        "MASTER_ADDR",
        "PMI_RANK",
        "PMIX_NAMESPACE",
        "OMPI_COMM_WORLD_RANK",
        "SLURM_PROCID",
        "PBS_NODEFILE",
        "LSB_HOSTS",
        "JSM_NAMESPACE_SIZE",
        "HYDRA_LAUNCHER_EXEC",
        "MPI_LOCALRANKID",
        "MV2_COMM_WORLD_LOCAL_SIZE",
        "OMPI_UNIVERSE_SIZE",
        "LOCAL_SIZE",
        "CUDA_VISIBLE_DEVICES",
        "ROCR_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "GPU_DEVICE_ORDINAL",
        "LUA_INIT",
        "LUA_INIT_5_3",
        "LUA_PATH",
        "LUA_CPATH_5_4",
        "ZDOTDIR",
        "FPATH",
        "PS0",
        "PS1",
        "PS4",
        "BASH_LOADABLES_PATH",
        "INPUTRC",
        "IPYTHONDIR",
        "JUPYTER_CONFIG_PATH",
        "APPTAINERENV_LD_PRELOAD",
        "SINGULARITY_BIND",
        "CONTAINERS_CONF",
        "CONTAINER_HOST",
        "DOCKER_HOST",
        "SHIFTER_IMAGEREQUEST",
        "XDG_CONFIG_HOME",
        "SRUN_EXPORT_ENV",
        "SBATCH_EXPORT",
        "NODE_OPTIONS",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
        "GIT_SSH_COMMAND",
        "PAGER",
        "LESSOPEN",
        "PIP_INDEX_URL",
        "_PYTHON_SYSCONFIGDATA_NAME",
    ],
)
def test_what_would_run_other_code_or_another_rank_is_no_stacks_to_set(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is reserved: "):
        Setting(name=name, value="x", own=True, why="mine")


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_pythons_harmless_variables_may_be_set(name: str) -> None:
    assert Setting(name=name, value="1", own=True, why="mine").name == name


@pytest.mark.parametrize(
    "name",
    [
        "LD_AUDIT",
        "GCONV_PATH",
        "OPENSSL_CONF",
        "OPENSSL_MODULES",
        "NCCL_NET_PLUGIN",
        "HDF5_PLUGIN_PATH",
        "FI_PROVIDER_PATH",
        "OMP_TOOL_LIBRARIES",
        "GLIBC_TUNABLES",
        "LOCPATH",
        "TRITON_CACHE_DIR",
        "NUMBA_CACHE_DIR",
        "OMPI_MCA_plm_rsh_agent",
        "PRTE_MCA_plm_ssh_agent",
        "OPAL_PREFIX",
        "UCX_MODULE_DIR",
        "CUDA_INJECTION64_PATH",
        "NVTX_INJECTION64_PATH",
        "HSA_TOOLS_LIB",
        "ROCP_TOOL_LIB",
        "NUMBA_CUDA_DRIVER",
        "PJRT_NAMES_AND_LIBRARY_PATHS",
        "TPU_LIBRARY_PATH",
        "TRITON_PTXAS_PATH",
        "TORCH_HOME",
        "CC",
        "CXX",
        "PYTORCH_NVCC",
        "CUDA_HOME",
        "XLA_FLAGS",
        "NCCL_CONF_FILE",
        "HDF5_PLUGIN_PRELOAD",
        "ROCBLAS_TENSILE_LIBPATH",
        "HIPBLASLT_TENSILE_LIBPATH",
        "MIOPEN_SYSTEM_DB_PATH",
        "GCC_EXEC_PREFIX",
        "COMPILER_PATH",
        "LIBRARY_PATH",
        "CPATH",
        "KRB5_CONFIG",
        "SASL_PATH",
        "GIO_EXTRA_MODULES",
        "GTK_MODULES",
        "SSL_CERT_FILE",
    ],
)
def test_what_decides_what_is_loaded_needs_a_row_of_the_table(name: str) -> None:
    with pytest.raises(ValueError, match="decides what programs load"):
        Setting(name=name, value="/x", own=True, why="mine")

    row = {"type": "path", "why": "a reason", "source": "https://example.org/x"}
    table = Table.model_validate({"variables": {name: row}})
    assert problem(Setting(name=name, value="/x"), table) is None
    assert "an absolute path" in str(problem(Setting(name=name, value="x"), table))


def test_no_shipped_row_loads_what_no_certificate_is_about(table: Table) -> None:
    """A preloaded library lies outside the prefix, whatever its path."""
    assert "unknown variable" in str(problem(Setting(name="LD_PRELOAD", value="/x.so"), table))


def test_the_table_cannot_set_a_reserved_variable_either(tmp_path: Path) -> None:
    path = tmp_path / "environment.yaml"
    row = "{type: path, why: mine, source: 'https://example.org'}"
    path.write_text(f"variables:\n  LD_AUDIT: {row}\n  PATH: {row}\n")

    with pytest.raises(ManyErrors) as caught:
        load_table(path)

    assert [str(error) for error in caught.value.errors] == [
        f"{path}:3:3: 'PATH' is reserved: module and image put the prefix's programs first in it"
    ]


@pytest.mark.parametrize(("version", "flagged"), [("2.22.3", 0), ("2.23.4", 1), ("2.27.3", 1)])
def test_nccl_cross_nic_is_flagged_since_2_23(table: Table, version: str, flagged: int) -> None:
    components = table.versions({"nvidia-nccl-cu12": version})

    found = [*cautions([Setting(name="NCCL_CROSS_NIC", value="1")], table, components)]

    assert len(found) == flagged


COMPONENTS = """\
components:
  torch: [torch]
  nccl: [nvidia-nccl-cu12]
variables:
  NCCL_CROSS_NIC:
    type: bool
    applies: {component: nccl, versions: ">=2.2"}
    cautions: [{value: "1", when: {component: torch, versions: ">=2"}, say: slower}]
    why: Rings may use several network cards.
    source: https://example.org/nccl
"""


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("nt: nccl", "nt: ncl", "7:26: unknown component 'ncl' (did you mean 'nccl'?)"),
        ("nt: torch", "nt: jax", "8:47: unknown component 'jax'"),
    ],
)
def test_a_rule_about_a_component_that_nothing_tells_is_refused(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    path = tmp_path / "environment.yaml"
    path.write_text(COMPONENTS)
    assert load_table(path).components

    path.write_text(COMPONENTS.replace(right, wrong))
    with pytest.raises(ManyErrors) as caught:
        load_table(path)

    [error] = caught.value.errors
    assert str(error) == f"{path}:{said}"
    assert error.hint == "say under 'components' which packages tell its version"


def test_a_variable_without_effect_is_flagged(table: Table) -> None:
    setting = Setting(name="TORCH_NCCL_ASYNC_ERROR_HANDLING", value="1")

    assert [*cautions([setting], table, {"torch": "2.1.0"})] == [
        "TORCH_NCCL_ASYNC_ERROR_HANDLING has no effect with torch 2.1.0 (it needs >=2.2)"
    ]
    assert [*cautions([setting], table, {})] == []


def test_every_variable_can_be_set_to_something_legal(table: Table) -> None:
    """An enum without values or a pattern without text would refuse everything."""
    for name, variable in table.variables.items():
        assert variable.type != "enum" or variable.values, name
        assert (variable.type == "pattern") == (variable.pattern is not None), name
        assert variable.source.startswith("https://"), name
