"""Who starts the processes of a run, and the variables in which a process finds its place.

| launcher | processes are found in |
|---|---|
| pytorch (torchrun) | RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT |
| slurm | SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_NODELIST |
| mpi (Open MPI) | OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE, OMPI_COMM_WORLD_LOCAL_RANK, MASTER_ADDR |
"""

import subprocess
from collections.abc import Mapping

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
PREFIXES = {
    'slurm': dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID'),
    'mpi': dict(
        RANK='OMPI_COMM_WORLD_RANK',
        WORLD_SIZE='OMPI_COMM_WORLD_SIZE',
        LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK',
    ),
}
PORT = '29500'  # torch's own default


def variables(launcher: str, environment: Mapping[str, str]) -> dict[str, str]:
    """RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT of a launcher's process.

    Raises:
        ValueError: an unknown launcher, or its variables are not all there: it did not start this process.
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f'unknown launcher {launcher!r}; take one of: {", ".join(LAUNCHERS)}')
    names = PREFIXES.get(launcher, {name: name for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')})
    missing = [name for name in names.values() if name not in environment]
    if missing:
        raise ValueError(
            f'--launcher {launcher} and {", ".join(missing)} not set: start the processes with {_starter(launcher)}'
        )
    found = {name: environment[source] for name, source in names.items()}
    address = environment.get('MASTER_ADDR') or _first_host(launcher, environment)
    return {**found, 'MASTER_ADDR': address, 'MASTER_PORT': environment.get('MASTER_PORT', PORT)}


def process_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """(Rank, number of processes) of one of torchrun's processes; (0, 1) for a process that is alone.

    Raises:
        ValueError: RANK and WORLD_SIZE are no such numbers.
    """
    if 'RANK' not in environment or 'WORLD_SIZE' not in environment:
        return 0, 1
    rank, processes = environment['RANK'], environment['WORLD_SIZE']
    if not (rank.isdecimal() and processes.isdecimal() and int(rank) < int(processes)):
        raise ValueError(
            f'RANK={rank} and WORLD_SIZE={processes} are set, which are no process of several; unset them, or start '
            'the processes with torchrun'
        )
    return int(rank), int(processes)


def check_gpu(local_rank: int, gpus: int) -> int:
    """The GPU of a process of this machine.

    Raises:
        ValueError: there are fewer GPUs than processes.
    """
    if local_rank >= gpus:
        raise ValueError(
            f'process {local_rank + 1} on this machine has no GPU, there are {gpus}: start {gpus} processes'
        )
    return local_rank


def _starter(launcher: str) -> str:
    return {'slurm': 'tools/slurm_test.sh (srun)', 'mpi': 'mpirun'}.get(
        launcher, 'tools/dist_test.sh (torchrun)'
    )


def _first_host(launcher: str, environment: Mapping[str, str]) -> str:
    nodes = environment.get('SLURM_NODELIST')
    if launcher == 'slurm' and nodes:
        listed = subprocess.run(
            ['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True
        )
        return listed.stdout.split()[0]
    return '127.0.0.1'
