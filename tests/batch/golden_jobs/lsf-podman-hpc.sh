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

case "$PWD" in
  //* | / | /bin | /dev | /etc | /lib | /lib64 | /opt | /opt/stackwright | /proc | /sbin | /stackwright | /sys | /usr | /usr/bin | /usr/lib | /usr/lib64 | /usr/local | /usr/sbin | /usr/share | /var | /opt/stackwright/* | /stackwright/* | /bin/* | /sbin/* | /lib/* | /lib64/* | /usr/bin/* | /usr/sbin/* | /usr/lib/* | /usr/lib64/* | /usr/share/* | /etc/* | /dev/* | /proc/* | /sys/*)
    echo "$PWD would lie over the image's own: submit from a folder of your own" >&2
    exit 1 ;;
esac

# Rank 0 is on the first node; a job's ranks meet there, at a port of its own.
export FIRST=$(grep -v -e batch -e login "$LSB_DJOB_HOSTFILE" | head -n 1)
export WORLD_SIZE=8 LOCAL_WORLD_SIZE=4 MASTER_PORT=$((20000 + ${LSB_JOBID%%[!0-9]*} % 10000))
export OMP_NUM_THREADS=16 MKL_NUM_THREADS=16 TF_NUM_INTRAOP_THREADS=16 TF_NUM_INTEROP_THREADS=16 NPROC=16

jsrun --nrs=2 --rs_per_host=1 --tasks_per_rs=4 --cpu_per_rs=64 --gpu_per_rs=4 --bind=packed:16 \
  bash -c 'export RANK=$JSM_NAMESPACE_RANK LOCAL_RANK=$JSM_NAMESPACE_LOCAL_RANK MASTER_ADDR=$FIRST; exec "$@"' rank \
  podman-hpc shared-run --network=host --mpi --gpu --volume="$PWD:$PWD" --workdir="$PWD" --env=RANK --env=LOCAL_RANK --env=WORLD_SIZE --env=LOCAL_WORLD_SIZE --env=MASTER_ADDR --env=MASTER_PORT --env=OMP_NUM_THREADS --env=MKL_NUM_THREADS --env=TF_NUM_INTRAOP_THREADS --env=TF_NUM_INTEROP_THREADS --env=NPROC cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc python train.py --name 'it'"'"'s a test'
