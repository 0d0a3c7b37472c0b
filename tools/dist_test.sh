#!/usr/bin/env bash
# Evaluate in several processes on this machine, one for each GPU (nccl), or on the CPU (gloo):
#
#   tools/dist_test.sh CONFIG [CHECKPOINT] PROCESSES [options of tools/test.py]
#
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -eu

usage='usage: tools/dist_test.sh CONFIG [CHECKPOINT] PROCESSES [options of tools/test.py]'
model=("${1:?$usage}")
shift
if [[ ! "${1:?$usage}" =~ ^[0-9]+$ ]]; then
    model+=("$1")
    shift
fi
processes=${1:?$usage}
shift

tools=$(dirname "$0")
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"  # a checkout that is not installed
exec "${PYTHON:-python}" -m mmseg_clipsurgery.cli.launch \
    --nnodes "${NNODES:-1}" \
    --node_rank "${NODE_RANK:-0}" \
    --master_addr "${MASTER_ADDR:-127.0.0.1}" \
    --master_port "${PORT:-29500}" \
    --nproc_per_node "$processes" \
    "$tools/test.py" "${model[@]}" --launcher pytorch "$@"
