#!/bin/bash
# pytorch@far: torchrun train.py 'a b'   (8 ranks of 16 cores on 2 nodes)
#BSUB -J pytorch
#BSUB -nnodes 2
#BSUB -W 1:30
#BSUB -q gpu
#BSUB -rn
#BSUB -alloc_flags gpumps
# Write the value of -P and take --FILL-IN out; until then this is refused:
#BSUB --FILL-IN -P

type module >/dev/null 2>&1 || source /lmod/init/bash
module use /s/live/modules && module load pytorch/2.13.0-cpu || exit 1

# The first node's torchrun is the master; a job has a port of its own.
export FIRST=$(grep -v -e batch -e login "$LSB_DJOB_HOSTFILE" | head -n 1)
export MASTER_PORT=$((20000 + ${LSB_JOBID%%[!0-9]*} % 10000))
export OMP_NUM_THREADS=16 MKL_NUM_THREADS=16 TF_NUM_INTRAOP_THREADS=16 TF_NUM_INTEROP_THREADS=16 NPROC=16

jsrun --nrs=2 --rs_per_host=1 --tasks_per_rs=1 --cpu_per_rs=64 --gpu_per_rs=4 --bind=packed:64 \
  bash -c 'export PET_NODE_RANK=$JSM_NAMESPACE_RANK PET_MASTER_ADDR=$FIRST PET_MASTER_PORT=$MASTER_PORT; exec "$@"' rank \
  torchrun --nnodes=2 --nproc-per-node=4 train.py 'a b'
