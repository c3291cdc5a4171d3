#!/bin/bash
# pytorch@far: python train.py --name 'it'"'"'s a test'   (8 ranks of 16 cores on 2 nodes)
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

# Rank 0 is on the first node; a job's ranks meet there, at a port of its own.
export WORLD_SIZE=8 LOCAL_WORLD_SIZE=4 MASTER_PORT=$((20000 + ${SLURM_JOB_ID%%[!0-9]*} % 10000))
export OMP_NUM_THREADS=16 MKL_NUM_THREADS=16 TF_NUM_INTRAOP_THREADS=16 TF_NUM_INTEROP_THREADS=16 NPROC=16

srun --nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=16 --threads-per-core=1 --cpu-bind=cores --kill-on-bad-exit=1 \
  bash -c 'export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID MASTER_ADDR=$SLURM_LAUNCH_NODE_IPADDR; exec "$@"' rank \
  stackwright --site '/a site' run pytorch@far --runtime=bubblewrap --env=RANK --env=LOCAL_RANK --env=WORLD_SIZE --env=LOCAL_WORLD_SIZE --env=MASTER_ADDR --env=MASTER_PORT --env=OMP_NUM_THREADS --env=MKL_NUM_THREADS --env=TF_NUM_INTRAOP_THREADS --env=TF_NUM_INTEROP_THREADS --env=NPROC -- python train.py --name 'it'"'"'s a test'
