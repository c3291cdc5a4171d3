#!/bin/bash
# pytorch@far: torchrun train.py 'a b'   (8 ranks of 16 cores on 2 nodes)
#SBATCH --job-name=pytorch
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --threads-per-core=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=01:30:00
#SBATCH --partition=gpu
#SBATCH --no-requeue
#SBATCH --constraint=gpu
# Write the value of --account and take --FILL-IN out; until then this is refused:
#SBATCH --FILL-IN --account=

type module >/dev/null 2>&1 || source /lmod/init/bash
module use /s/live/modules && module load pytorch/2.13.0-cpu || exit 1

# The first node's torchrun is the master; a job has a port of its own.
export MASTER_PORT=$((20000 + ${SLURM_JOB_ID%%[!0-9]*} % 10000))
export OMP_NUM_THREADS=16 MKL_NUM_THREADS=16 TF_NUM_INTRAOP_THREADS=16 TF_NUM_INTEROP_THREADS=16 NPROC=16

srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=64 --threads-per-core=1 --cpu-bind=cores --kill-on-bad-exit=1 \
  bash -c 'export PET_NODE_RANK=$SLURM_PROCID PET_MASTER_ADDR=$SLURM_LAUNCH_NODE_IPADDR PET_MASTER_PORT=$MASTER_PORT; exec "$@"' rank \
  torchrun --nnodes=2 --nproc-per-node=4 train.py 'a b'
