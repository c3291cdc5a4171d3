"""JAX, as `frameworks.Framework` has it; with 64-bit types, which it rounds unless it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
from collectives import Backend
from collectives_jax import Meshed
from emit import Emitter
from frameworks import named_threads
from jax.sharding import Mesh
from world_jax import clustered

jax.config.update("jax_enable_x64", True)

MODULES = ("jax", "jaxlib", "optax")
OPENMP_RUNTIMES = 0
POOL = "tf_XLAEigen"
_meshes: list[Mesh] = []


def optimised() -> tuple[bool, str]:
    """See Framework. XLA brings its own compiler and kernels: its client has to be there.

    Where JAX has a plugin for GPUs, that is meant, and the CPU would be a fallback.
    """
    wanted = "gpu" if find_spec("jax_plugins") else "cpu"
    platform = jax.devices()[0].client.platform_version
    return jax.default_backend() == wanted, f"back end {jax.default_backend()}: {platform}"


def threads() -> int:
    """See Framework: those of XLA's pool, which are there once something was computed."""
    multiply()
    return named_threads(POOL)


def multiply() -> None:
    """See Framework."""
    _product(jnp.ones((768, 768), jnp.float32)).block_until_ready()


@jax.jit
def _product(matrix: jax.Array) -> Any:
    return matrix @ matrix


@contextmanager
def together(out: Emitter) -> Iterator[int]:
    """See Framework."""
    with clustered(out) as mesh:
        _meshes[:] = [mesh]
        yield jax.process_count()


def collectives() -> list[Backend]:
    """See Framework."""
    return [Meshed(_meshes[0])]
