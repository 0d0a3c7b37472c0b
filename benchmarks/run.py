"""Measure sections and write one file: the setting, versions, and of each section its rows and its stamp."""

import json
import os
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from mmseg_clipsurgery.environment.files import atomic_write, read_json
from mmseg_clipsurgery.environment.interrupts import received
from mmseg_clipsurgery.evaluation.results import commit, device_name, versions

import torch

from . import SECTIONS
from .workload import Workload


def measure_all(load: Workload, names: Iterable[str], path: Path | None = None) -> dict[str, Any]:
    """Measure sections, added to a file; ValueError for a file of another setting, and at the end for failures."""
    measured, failed = {'setting': setting(load), 'versions': versions(), 'sections': {}}, []
    if path and path.is_file():
        found = read_json(path)
        if found.get('setting') != measured['setting']:
            raise ValueError(f'{path} is of another setting, {found.get("setting")}: name another --out')
        measured['sections'] = found['sections']
    for name in names:
        print(name, flush=True)
        try:
            measured['sections'][name] = section(name, load)
        except Exception as error:
            if received():  # an interrupt, whatever it came out as
                raise
            traceback.print_exc()
            failed.append(f'{name} ({type(error).__name__}: {error})')
        if path:
            atomic_write(path, lambda temporary: temporary.write_text(json.dumps(measured, indent=1) + '\n'))
    if failed:
        raise ValueError(f'{len(failed)} sections failed, the others are measured: {"; ".join(failed)}')
    return measured


def section(name: str, load: Workload) -> dict[str, Any]:
    """What is written of a section; its stamp says when and how it was measured."""
    with torch.inference_mode():
        rows = getattr(import_module(f'.{SECTIONS[name]}', __package__), name)(load)
    stamp = {'commit': commit(), 'date': f'{datetime.now(UTC):%Y-%m-%d}', 'rounds': load.rounds}
    stamp |= {'GFLOP and GB': 'of one call, by torch', 'quick': load.quick}
    return {'rows': rows, 'stamp': stamp}


def setting(load: Workload) -> dict[str, Any]:
    """What figures can't be compared without: the kind of machine, and the workload."""
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    names = [line.split(': ')[1] for line in lines if line.startswith('model name')]
    return {
        'processor': f'{names[0] if names else "unknown"}, {torch.backends.cpu.get_cpu_capability()}',
        'cores': len(os.sched_getaffinity(0)),
        'memory': f'{os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30:.0f} GiB',
        'threads': torch.get_num_threads(),
        'device': device_name(load.device),
        'model': f'{load.arch}, random weights',
        'images': f'{len(load.files)} {"photos of PASCAL VOC 2012 val" if load.folder else "embedded scenes"}',
    }
