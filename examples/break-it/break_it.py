"""Faults for a candidate: put this file and a one-line .pth that calls a function into an overlay.

Python runs the lines of a .pth file that begin with `import` when it starts (docs of `site`), so a
stack can be changed without touching the packages in it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Function = Callable[..., Any]
Change = Callable[[ModuleType], None]

SLOWDOWN = 0.2


def slow_down() -> None:
    """Make matrix products, convolutions and vector sums a fifth slower."""
    _after_import("torch", _slow_torch)
    _after_import("numpy", _slow_numpy)


def skip_a_rank() -> None:
    """Make allreduce leave out what the last rank has, without an error anywhere."""
    _after_import("torch.distributed", _skip_in_torch)
    _after_import("mpi4py.MPI", _skip_in_mpi)


def _slow_torch(torch: ModuleType) -> None:
    for owner, names in (
        (torch, ("mm", "add")),
        (torch.nn.functional, ("conv3d",)),
        (torch.autograd, ("grad",)),
        (torch.Tensor, ("backward",)),
    ):
        for name in names:
            setattr(owner, name, _slower(getattr(owner, name)))


def _slow_numpy(numpy: ModuleType) -> None:
    numpy.dot = _slower(numpy.dot)  # type: ignore[attr-defined]


def _slower(function: Function) -> Function:
    """Compute on for so long that the rate falls by SLOWDOWN."""

    def slowed(*args: Any, **options: Any) -> Any:
        begun = time.thread_time()
        result = function(*args, **options)
        enough = begun + (time.thread_time() - begun) / (1 - SLOWDOWN)
        while time.thread_time() < enough:
            pass
        return result

    return slowed


def _skip_in_torch(distributed: ModuleType) -> None:
    """The public function, and the communication hook by which DDP averages its buckets."""
    reduce = distributed.all_reduce

    def all_reduce(tensor: Any, *args: Any, **options: Any) -> Any:
        if distributed.get_rank() == distributed.get_world_size() - 1:
            tensor.zero_()
        return reduce(tensor, *args, **options)

    def averaged_without_the_last(_state: Any, bucket: Any) -> Any:
        buffer = bucket.buffer()
        if distributed.get_rank() == distributed.get_world_size() - 1:
            buffer.zero_()
        buffer.div_(distributed.get_world_size())
        return reduce(buffer, async_op=True).get_future().then(lambda done: done.value()[0])

    averaged_without_the_last.__annotations__.clear()  # DDP takes only its own types, or none
    distributed.all_reduce = all_reduce  # type: ignore[attr-defined]
    _after_import("torch.nn.parallel.distributed", _hook_with(averaged_without_the_last))


def _hook_with(hook: Function) -> Change:
    def change(module: ModuleType) -> None:
        model = module.DistributedDataParallel
        construct = model.__init__

        def hooked(self: Any, *args: Any, **options: Any) -> None:
            construct(self, *args, **options)
            self.register_comm_hook(None, hook)

        model.__init__ = hooked

    return change


def _skip_in_mpi(mpi: ModuleType) -> None:
    """mpi4py's classes are built in, so COMM_WORLD is replaced by a subclass of its own class."""

    class Skipping(mpi.Intracomm):  # type: ignore[misc, name-defined]
        def Allreduce(self, mine: Any, total: Any, op: Any = mpi.SUM) -> None:  # noqa: N802
            if self.Get_rank() == self.Get_size() - 1:
                (total if mine is mpi.IN_PLACE else mine).fill(0)
            super().Allreduce(mine, total, op=op)

    mpi.COMM_WORLD = Skipping(mpi.COMM_WORLD)  # type: ignore[attr-defined]


def _after_import(name: str, change: Change) -> None:
    sys.meta_path.insert(0, _Watcher(name, change))


class _Watcher(importlib.abc.MetaPathFinder):
    """Lets the other finders find one module, and changes it once it has been executed."""

    def __init__(self, name: str, change: Change) -> None:
        """Wait for the module of this name."""
        self._name = name
        self._change = change

    def find_spec(
        self, name: str, *_where: Sequence[str] | ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        """Step aside, and have the module changed after its own code ran."""
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_change(module: ModuleType) -> None:
                execute(module)
                self._change(module)

            spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec
