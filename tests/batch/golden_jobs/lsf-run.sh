#!/bin/bash
# pytorch@far: python train.py --name 'it'"'"'s a test'   (8 ranks of 16 cores on 2 nodes)
#BSUB -J pytorch
#BSUB -nnodes 2
#BSUB -W 1:30
#BSUB -q gpu
#BSUB -rn
#BSUB -alloc_flags gpumps
# Write the value of -P and take --FILL-IN out; until then this is refused:
#BSUB --FILL-IN -P

# Rank 0 is on the first node; a job's ranks meet there, at a port of its own.
export FIRST=$(grep -v -e batch -e login "$LSB_DJOB_HOSTFILE" | head -n 1)
export WORLD_SIZE=8 LOCAL_WORLD_SIZE=4 MASTER_PORT=$((20000 + ${LSB_JOBID%%[!0-9]*} % 10000))
export OMP_NUM_THREADS=16 MKL_NUM_THREADS=16 TF_NUM_INTRAOP_THREADS=16 TF_NUM_INTEROP_THREADS=16 NPROC=16

jsrun --nrs=2 --rs_per_host=1 --tasks_per_rs=4 --cpu_per_rs=64 --gpu_per_rs=4 --bind=packed:16 \
  bash -c 'export RANK=$JSM_NAMESPACE_RANK LOCAL_RANK=$JSM_NAMESPACE_LOCAL_RANK MASTER_ADDR=$FIRST; exec "$@"' rank \
  stackwright --site '/a site' run pytorch@far --runtime=bubblewrap --env=RANK --env=LOCAL_RANK --env=WORLD_SIZE --env=LOCAL_WORLD_SIZE --env=MASTER_ADDR --env=MASTER_PORT --env=OMP_NUM_THREADS --env=MKL_NUM_THREADS --env=TF_NUM_INTRAOP_THREADS --env=TF_NUM_INTEROP_THREADS --env=NPROC -- python train.py --name 'it'"'"'s a test'
