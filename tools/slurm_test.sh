#!/usr/bin/env bash
# Evaluate in a Slurm job:
#
#   tools/slurm_test.sh PARTITION JOB_NAME CONFIG [CHECKPOINT] [options of tools/test.py]
#
# GPUS (8), GPUS_PER_NODE (8 or fewer), CPUS_PER_TASK (5) and SRUN_ARGS may be set; GPUS_PER_NODE=0 runs GPUS processes
# without a GPU.
set -eu

usage='usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG [CHECKPOINT] [options of tools/test.py]'
partition=${1:?$usage}
job_name=${2:?$usage}
: "${3:?$usage}"
shift 2
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
resources=(--ntasks "$gpus")
if [ "$per_node" -gt 0 ]; then
    resources+=(--gres "gpu:$per_node" --ntasks-per-node "$per_node")
fi

# SRUN_ARGS is several words.
# shellcheck disable=SC2086
exec srun --partition "$partition" --job-name "$job_name" "${resources[@]}" \
    --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$(dirname "$0")/test.py" "$@" --launcher slurm
