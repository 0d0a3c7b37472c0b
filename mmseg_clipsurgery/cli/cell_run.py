"""One run of the test tool for a leaderboard, in this process or in others; what it prints goes to a file."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .. import test


def run(cfg: Config, folder: Path, processes: int, preflight: bool = True) -> dict[str, Any]:
    """One run of the test tool; what its results file holds.

    Args:
        cfg: the whole config.
        folder: for the config, logs and results of the run.
        processes: 0: in this process.
        preflight: look at every file of the data set first.

    Raises:
        ValueError, FileNotFoundError: a mistake in settings or data.
        RuntimeError: the processes of the run failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{folder.parent.name}_{folder.name}.py'  # MMEngine names its logger by file and second
    cfg.dump(path)
    results = folder / 'results.json'
    results.unlink(missing_ok=True)
    arguments = [str(path), '--work-dir', str(folder), *([] if preflight else ['--no-preflight'])]
    output = folder / 'output.txt'
    if processes:
        run_processes(arguments, processes, output)
    else:
        with output.open('w', encoding='utf-8') as file, redirect_stdout(file):
            test.run(test.parse(arguments))
    return json.loads(results.read_text(encoding='utf-8'))


def run_processes(arguments: Sequence[str], processes: int, output: Path) -> None:
    """The test tool in processes of its own; what they print goes to a file.

    Raises:
        RuntimeError: they failed; the sentence is the tool's own where it said one.
    """
    starter = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
    tool = ['-m', 'mmseg_clipsurgery.test', *arguments, '--launcher', 'pytorch']
    with output.open('w', encoding='utf-8') as file:
        done = subprocess.run([sys.executable, *starter, *tool], stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        said = [
            line for line in output.read_text(encoding='utf-8').splitlines() if line.startswith('error: ')
        ]
        reason = said[0].removeprefix('error: ') if said else f'exit code {done.returncode}'
        raise RuntimeError(f'{reason} (see {output})')
