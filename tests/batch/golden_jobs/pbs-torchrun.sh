#!/bin/bash
# pytorch@far: torchrun train.py 'a b'   (8 ranks of 16 cores on 2 nodes)
#PBS -N pytorch
#PBS -l select=2:ncpus=64:mpiprocs=4:ompthreads=16
#PBS -l place=scatter:excl
#PBS -l walltime=01:30:00
#PBS -q gpu
#PBS -j oe
#PBS -r n
#PBS -l filesystems=home
# Write the value of -A and take --FILL-IN out; until then this is refused:
#PBS --FILL-IN -A

# The stack may bring an mpiexec of its own: that of PALS is looked up before.
PALS=$(command -v mpiexec) || { echo "there is no mpiexec of PALS in PATH" >&2; exit 1; }
type module >/dev/null 2>&1 || source /lmod/init/bash
module use /s/live/modules && module load pytorch/2.13.0-cpu || exit 1

# The first node's torchrun is the master; a job has a port of its own.
cd "$PBS_O_WORKDIR" || exit 1
export FIRST=$(head -n 1 "$PBS_NODEFILE")
export MASTER_PORT=$((20000 + ${PBS_JOBID%%[!0-9]*} % 10000))
export OMP_NUM_THREADS=16 MKL_NUM_THREADS=16 TF_NUM_INTRAOP_THREADS=16 TF_NUM_INTEROP_THREADS=16 NPROC=16

"$PALS" -n 2 --ppn 1 --depth 64 --cpu-bind depth \
  bash -c 'export PET_NODE_RANK=$PALS_RANKID PET_MASTER_ADDR=$FIRST PET_MASTER_PORT=$MASTER_PORT; exec "$@"' rank \
  torchrun --nnodes=2 --nproc-per-node=4 train.py 'a b'
