"""Measure the sections and write one file.

    {"setting": {..}, "versions": {..}, "sections": {"image": {"rows": {..}, "facts": {..}, "stamp": {..}}, ..}}

A section says at which commit and when it was measured, how its operations were counted, and which share of all cores
other processes took meanwhile. One that fails is named at the end, and the others go on.
"""

import argparse
import json
import os
import time
import traceback
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from mmseg_clipsurgery.environment.mistakes import guarded
from mmseg_clipsurgery.evaluation.results import commit, device_name, versions

import torch

from . import SECTIONS, report
from .measure import processor_seconds, rounded
from .workload import Workload

Measured = dict[str, Any]


def start(arguments: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    return guarded(lambda: run(arguments), arguments.debug)


def run(arguments: argparse.Namespace, arch: str | Mapping[str, Any] = 'ViT-B-16') -> None:
    """Measure, or only write the report.

    Raises:
        ValueError: no rounds, no such device, a file of another machine or workload; or sections that failed.
        FileNotFoundError: see `Workload.files`.
    """
    if arguments.report:
        return report.write(json.loads(arguments.report.read_text()))
    if arguments.device != 'cpu' and not torch.cuda.is_available():
        raise ValueError(
            f'--device {arguments.device}, but torch finds no CUDA device here; take --device cpu'
        )
    rounds = (2 if arguments.quick else 15) if arguments.rounds is None else arguments.rounds
    if rounds < 1:
        raise ValueError(f'--rounds must be at least 1, got {rounds}')
    load = Workload(arch, torch.device(arguments.device), arguments.photos, rounds, arguments.quick)
    measured, failed = opened(arguments.out, load), []
    for name in arguments.only or SECTIONS:
        print(name, flush=True)
        try:
            measured['sections'][name] = section(name, load)
        except Exception as error:
            traceback.print_exc()
            failed.append(f'{name} ({type(error).__name__}: {error})')
        if arguments.out:
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(json.dumps(measured, indent=1) + '\n')
    print(*(f'{name}\n{block}' for name, block in report.blocks(measured).items()), sep='\n')
    if failed:
        raise ValueError(f'{len(failed)} sections failed, the others are measured: {"; ".join(failed)}')


def section(name: str, load: Workload) -> Measured:
    """What is written of a section."""
    module, function = SECTIONS[name][0].split('.')
    wall, others = time.monotonic(), others_seconds()
    rows, facts = getattr(import_module(f'.{module}', __package__), function)(load)
    share = (others_seconds() - others) / (time.monotonic() - wall) / (os.cpu_count() or 1)
    stamp = {'commit': commit(), 'date': f'{datetime.now(timezone.utc):%Y-%m-%d}', 'rounds': load.rounds}
    stamp |= {'others on the cores': rounded(max(share, 0.0)), 'operations': 'counted by torch'}
    return {'rows': rows, 'facts': facts, 'stamp': stamp | ({'quick': True} if load.quick else {})}


def others_seconds() -> float:
    """Seconds that other processes had on all cores so far."""
    user, nice, system = map(int, Path('/proc/stat').read_text().split()[1:4])
    return (user + nice + system) / os.sysconf('SC_CLK_TCK') - processor_seconds()


def opened(path: Path | None, load: Workload) -> Measured:
    """What a file holds already; without sections where there is no file.

    Raises:
        ValueError: it is of another kind of machine or another workload.
    """
    names = [
        line.split(':')[1] for line in Path('/proc/cpuinfo').read_text().splitlines() if 'model name' in line
    ]
    kind = 'photos of PASCAL VOC 2012 val' if load.folder else 'embedded scenes'
    setting = {
        'processor': f'{(names or [" unknown"])[0].strip()}, {torch.backends.cpu.get_cpu_capability()}',
        'cores': len(os.sched_getaffinity(0)),
        'threads': torch.get_num_threads(),
        'device': device_name(load.device),
        'model': f'{load.arch}, random weights',
        'images': f'{len(load.files)} {kind}',
    }
    found: Measured = (
        json.loads(path.read_text()) if path and path.is_file() else {'setting': setting, 'sections': {}}
    )
    if found['setting'] != setting:
        raise ValueError(
            f'{path} was measured with {found["setting"]}, here is {setting}: name another --out'
        )
    return {'setting': setting, 'versions': versions(), 'sections': found['sections']}
