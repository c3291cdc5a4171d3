# py-horovod as Spack has it, with patches: recipes/sources/horovod.yaml
from spack.package import *

# All of it, since Spack looks here for a builder that a package has of its own.
from spack_repo.builtin.packages.py_horovod.package import *
from spack_repo.builtin.packages.py_horovod.package import PyHorovod as Builtin


class PyHorovod(Builtin):
    __doc__ = Builtin.__doc__

    # With Horovod's own -O3 -g the compiler needs nearly twice as long (389 instead of 209 seconds of CPU
    # time for PyTorch alone), and the wheel is 20 times as large (20 instead of 1 MB).
    patch("0002-without-debug-information.patch", when="@=0.28.1")

    # TensorFlow 2.16 changed the interface of XLA's custom calls, which these operations register with.
    # Without them Horovod's operations run outside of clusters that XLA compiles, as they do by default.
    patch("0003-no-xla-operations.patch", when="@=0.28.1 ^py-tensorflow@2.16:")

    # Keras 3 updates weights through Optimizer.apply, which Horovod 0.28.1 (of before Keras 3) doesn't
    # know: every rank trained on its own gradients, without an error, and the models went apart. Here
    # apply reduces first. Variables of Keras 3 hold TensorFlow's, and `variables` is a property there, a
    # method in Keras 2. Gradients accumulated by Horovod itself would pass by apply: that is refused.
    patch("0005-keras-3-optimizers.patch", when="@=0.28.1 ^py-keras@3:")

    # The callbacks see variables of Keras 3: TensorFlow's are taken out of them; seeds, which are uint32
    # and which no collective takes, are left alone; and as Keras 3's backend has no `constant`,
    # TensorFlow's makes the tensor of a metric.
    patch("0006-keras-3-callbacks.patch", when="@=0.28.1 ^py-keras@3:")

    # `keras` is always Keras 3, while tensorflow.keras is the one that was asked for: Keras 2, in the
    # package tf_keras, with TF_USE_LEGACY_KERAS=1. The backend has to be that of the Keras in use.
    patch("0007-backend-of-the-keras-in-use.patch", when="@=0.28.1 ^py-keras@3:")

    # horovodrun asks `mpirun --version` which MPI it is. MPICH's mpirun calls itself HYDRA there, and names
    # MPICH only where a path of its build does.
    patch("0008-mpich-by-the-name-of-its-launcher.patch", when="@=0.28.1 ^mpich")

    # gloo's reduce-scatter moves this rank's part to the front of the buffer that it still sends from: a
    # rank whose peer reads slowly sends it numbers of another part, without an error. JAX, which calls
    # the same code, was seen to sum wrongly so (https://github.com/jax-ml/jax/issues/40830). Here all
    # that is sent has left before anything is written over.
    patch("0009-gloo-reduce-scatter-waits.patch", when="@=0.28.1 controllers=gloo")
    patch("0009-gloo-reduce-scatter-waits.patch", when="@=0.28.1 tensor_ops=gloo")
