"""One evaluation in processes of its own, started by torchrun."""

import json
import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TextIO

from mmengine.config import Config

from ..evaluation.run_logs import OUTPUT
from ..evaluation.variants import surgeries_to_variants, variants_of

PATIENCE = 30  # seconds for processes to end


def evaluate_in_processes(
    cfg: Config, work_dir: Path, processes: int, preflight: bool = True, imports: Sequence[str | Path] = ()
) -> dict[str, Any]:
    """The test tool in several processes; what `evaluate` returns, from its results files.

    Args:
        cfg: the whole config; it is written into `work_dir`, from which the processes read it.
        work_dir: for the config, logs and results; what is printed goes to `OUTPUT` in it.
        processes: how many.
        preflight: look at every file of the data set first.
        imports: own files that the processes import, too.

    Raises:
        RuntimeError: they failed; the sentence is the tool's own where it said one.
    """
    cfg = deepcopy(cfg)
    surgeries_to_variants(cfg)
    work_dir.mkdir(parents=True, exist_ok=True)
    path, output = work_dir / f'{work_dir.name}.py', work_dir / OUTPUT
    results = {name: work_dir / name / 'results.json' for name in [*variants_of(cfg)] or ['']}
    cfg.dump(path)
    for file in results.values():
        file.unlink(missing_ok=True)
    starter = ['-m', 'mmseg_clipsurgery.cli.launch', '--standalone', f'--nproc_per_node={processes}']
    tool = ['-m', 'mmseg_clipsurgery.test', str(path), '--work-dir', str(work_dir), '--launcher', 'pytorch']
    options = [word for file in imports for word in ('--import', str(file))]
    options += [] if preflight else ['--no-preflight']
    with output.open('w', encoding='utf-8') as said_there:
        code = run_to_end([sys.executable, *starter, *tool, *options], said_there)
    if code:
        said = [
            line for line in output.read_text(encoding='utf-8').splitlines() if line.startswith('error: ')
        ]
        reason = said[0].removeprefix('error: ') if said else f'exit code {code}'
        raise RuntimeError(f'{reason} (see {output})')
    found = {name: json.loads(file.read_text(encoding='utf-8')) for name, file in results.items()}
    return found.get('') or found


def run_to_end(command: Sequence[str], output: TextIO) -> int:
    """Run a command, what it prints into a file; its exit code. An interrupt ends it, too, before it is passed on."""
    with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as started:
        try:
            return started.wait()
        except BaseException:
            started.terminate()  # torchrun ends its processes, which a kill would leave behind
            try:
                started.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                started.kill()
            raise
