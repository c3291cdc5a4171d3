"""`make demo`, `demo-spack`, `demo-all`: the main job from nothing, as a maintainer types it.

Each command is printed before it runs; what was done before is not done again.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

STACKWRIGHT = str(Path(sys.executable).with_name("stackwright"))
MOVED_ON = 5
VERDICTS = (1, 3, 4)  # docs/cli.md: what `validate` ends with if it has judged and not passed
EXAMPLES = Path(__file__).parents[1] / "examples"
KERNEL_CHECK = Path(__file__).with_name("kernel_check.py")
STARTED = time.monotonic()

TORCH = (
    "import torch; print(torch.__version__, torch.randn(2, 3) @ torch.randn(3, 2))",
    "train.py",
)
# By the stack's name: what shows that its framework computes, and a training of two ranks, if any.
USES: dict[str, tuple[str, str | None]] = {
    "pytorch": TORCH,
    "pytorch-openmpi": TORCH,
    "tensorflow": (
        "import tensorflow as tf;"
        " print(tf.__version__, tf.random.normal((2, 3)) @ tf.random.normal((3, 2)))",
        "train_tensorflow.py",
    ),
    "jax": (
        "import jax; print(jax.__version__, jax.numpy.ones((2, 3)) @ jax.numpy.ones((3, 2)))",
        "train_jax.py",
    ),
    "horovod": (
        "import horovod.torch, horovod.tensorflow;"
        " print(horovod.__version__, horovod.torch.mpi_built(), horovod.tensorflow.mpi_built())",
        "train_horovod.py",
    ),
    "tools": ('import os; os.execlp("ninja", "ninja", "--version")', None),
    "fftw": (
        "import ctypes, sys;"
        ' fftw = ctypes.CDLL(sys.prefix + "/lib/libfftw3.so.3");'
        ' print(ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(fftw, "fftw_version"))))',
        None,
    ),
}


def stage(title: str) -> None:
    """Say what comes next, and how long it has taken so far."""
    elapsed = int(time.monotonic() - STARTED)
    print(f"\n== {title}   [{elapsed // 60}:{elapsed % 60:02d}]", flush=True)


def run(*argv: str, may_fail: bool = False, quiet: bool = False) -> int:
    """Show a command and run it; unless it may fail, a failure ends the demo with its code.

    Quiet, it says only why it failed.
    """
    print(f"$ {shlex.join(argv)}", flush=True)
    command = [STACKWRIGHT, *argv[1:]] if argv[0] == "stackwright" else list(argv)
    stream = subprocess.DEVNULL if quiet else None
    code = subprocess.run(command, check=False, stdout=stream).returncode
    if code and not may_fail:
        sys.exit(code)
    return code


def lock(label: str) -> None:
    """Ask Spack for the lock that is committed: it decides the same, or the files will differ."""
    stage("lock: the real Spack decides, offline")
    run("stackwright", "lock", label, "--upgrade")


def build(label: str) -> None:
    """Build; where Debian has replaced a locked package since, lock the base again first."""
    if (code := run("stackwright", "build", label, may_fail=True)) == 0:
        return
    if code != MOVED_ON:
        sys.exit(code)
    print("Debian has newer packages than the lock: taking those, in stacks/locks/")
    run("stackwright", "lock", label, "--base-only")
    run("stackwright", "build", label)


def report_on_failure(label: str) -> None:
    """Leave the report of a validation that didn't pass, and say how to come back to it."""
    stage("report: not released, and why")
    run("stackwright", "report", label, may_fail=True)
    again = [STACKWRIGHT, "--store", os.environ["STACKWRIGHT_STORE"], "report", label]
    print(f"to write it again: {shlex.join(again)}", flush=True)


def certify(label: str) -> bool:
    """Validate and certify; False if there is a certificate that still holds for these bytes."""
    stage("validate: distributed training and microbenchmarks, in the image and by the module")
    if run("stackwright", "verify", label, may_fail=True, quiet=True) == 0:
        print("certified already, and the certificate holds for these very bytes")
        return False
    if code := run("stackwright", "validate", label, may_fail=True):
        if code in VERDICTS:
            report_on_failure(label)
        sys.exit(code)
    stage("certify: sign what was found out")
    if not (Path(os.environ["STACKWRIGHT_STORE"]) / "keys" / "release.key").exists():
        run("stackwright", "keys", "create", "release")
    run("stackwright", "certify", label)
    return True


def use(label: str) -> None:
    """Release, then load and run what was released as a user would."""
    stage("release: image, module and kernel move together")
    run("stackwright", "release", label)
    found = json.loads(
        subprocess.run(
            [STACKWRIGHT, "release", label, "--json"], check=True, capture_output=True, text=True
        ).stdout
    )
    program, example = USES[label.partition("/")[0]]
    stage("use it: the module, and the image")
    lmod = "/usr/share/lmod/lmod/init/bash"
    module = label.partition("@")[0]
    load = f"source {lmod}; module use {found['modules']}; module load {module}"
    clean = ("env", "-i", f"HOME={Path.home()}", f"JUPYTER_PATH={found['jupyter']}")
    train = f" && mpiexec -n 2 python {EXAMPLES / example}" if example else ""
    run(*clean, "bash", "--norc", "-c", f"{load}; python -c '{program}'{train}")
    if found["tag"]:
        env = [f"{name}={value}" for name, value in found["engine_env"].items()]
        container = [found["engine"], "run", "--rm", "--network=host", found["tag"]]
        run("env", *env, *container, "python", "-c", program)
    run(
        "env",
        "USER=demo",
        "ch-run",
        "--unset-env=*",
        "--env-no-expand",
        f"--set-env={found['environment']}",
        found["squashfs"],
        "--",
        "python",
        "-c",
        program,
    )
    if found["kernel"]:
        stage("use it: the Jupyter kernel")
        check = f"python {KERNEL_CHECK} {found['kernel']} '{program}'"
        run(*clean, "bash", "--norc", "-c", f"{load}; {check}")
    stage("report")
    run("stackwright", "report", label)


def demo(label: str, lock_first: bool) -> None:
    """Run every stage for a label."""
    stage(f"{label}: look at this machine")
    run("stackwright", "doctor", "--system", label.partition("@")[2])
    if lock_first:
        lock(label)
    stage(f"{label}: build: base, wheels, layers, prefix, image, squashfs")
    build(label)
    new = certify(label)
    use(label)
    stage(f"done: {label} is released{'' if new else ', as it was: nothing had to be made'}")


def main() -> None:
    """Run the demo for the labels on the command line, one after the other."""
    labels = [word for word in sys.argv[1:] if word != "--lock"]
    for label in labels:
        demo(label, "--lock" in sys.argv)
    if len(labels) > 1:
        run("stackwright", "list")


if __name__ == "__main__":
    main()
