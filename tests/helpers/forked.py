"""Python commands in a fork of this process: they begin with what is imported here; a new process takes 5 s for it."""

import os
import runpy
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import torch


def run(words: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `-c CODE`, `-m MODULE ...` or `SCRIPT ...` as Python would; nothing it does reaches this process.

    Args:
        words: the command line behind `python`.
        folder: where it is run.
        environment: its variables.

    Returns:
        Exit code, and as `stdout` what it printed, errors too.
    """
    (done,) = run_together(words, folder, [environment])
    return done


def run_together(
    words: list[str], folder: Path, environments: Sequence[Mapping[str, str]]
) -> list[subprocess.CompletedProcess[str]]:
    """Run a command in several processes at a time, each in an environment of its own; otherwise as `run`."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in environments]
        children = [
            _fork(words, folder, environment, file.fileno())
            for environment, file in zip(environments, files, strict=True)
        ]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        for file in files:
            file.seek(0)
        printed = [file.read().decode(errors='replace') for file in files]
        return [subprocess.CompletedProcess(words, *end) for end in zip(codes, printed, strict=True)]


def launched(command: Sequence[str], output: TextIO) -> int:
    """In place of `leaderboard.processes.run_to_end`: the processes that torchrun would start, as forks.

    Args:
        command: Python, torchrun's words, the last of which is the number of processes, and those of the tool.
        output: what they print.

    Returns:
        The largest exit code.
    """
    count, tool = next(
        (int(word.partition('=')[2]), list(command[place + 1 :]))
        for place, word in enumerate(command)
        if word.startswith('--nproc_per_node=')
    )
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    shared = {**os.environ, 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port), 'WORLD_SIZE': str(count)}
    each = [{**shared, 'RANK': str(rank), 'LOCAL_RANK': str(rank)} for rank in range(count)]
    done = run_together(tool, Path.cwd(), each)
    output.writelines(one.stdout for one in done)
    return max(one.returncode for one in done)


def _fork(words: list[str], folder: Path, environment: Mapping[str, str], output: int) -> int:
    """The number of a new process that runs the command."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os._exit(_exit_code(words, folder, environment, output))
    return child


def _exit_code(words: list[str], folder: Path, environment: Mapping[str, str], output: int) -> int:
    """In the fork: run the command, what it prints goes to a file."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, 'w', buffering=1, closefd=False) for number in (1, 2))
    torch.set_num_threads(1)  # threads do not survive a fork
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        _run(words)
        return 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _run(words: list[str]) -> None:
    if words[0] == '-c':
        sys.argv, sys.path[:0] = ['-c', *words[2:]], ['']
        exec(compile(words[1], '<code>', 'exec'), {'__name__': '__main__'})
    elif words[0] == '-m':
        sys.argv, sys.path[:0] = words[1:], [os.getcwd()]
        runpy.run_module(words[1], run_name='__main__', alter_sys=True)
    else:
        sys.argv, sys.path[:0] = list(words), [str(Path(words[0]).parent)]
        runpy.run_path(words[0], run_name='__main__')
