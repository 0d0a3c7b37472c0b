"""The command: sections, a table, a JSON file; or the page from such a file.

    {"settings": {..}, "machine": {..}, "sections": {"image": {..}, ..}}

An interval is {"median": .., "low": .., "high": .., "rounds": ..}. Seconds are of the processor (all threads) or of the
device, unless they are called `wall`. `others` is the share of all cores that other processes took meanwhile, `commit`
what a section was measured at.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mmseg_clipsurgery.environment.mistakes import guarded

import torch

from . import loop, machine, memory, prediction, processes, report, scaling, text
from .clock import Clock
from .options import SECTIONS
from .subjects import Photos, Subjects

ARCH = 'ViT-B-16'


def start(arguments: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    return guarded(lambda: run(arguments), arguments.debug)


def run(arguments: argparse.Namespace, arch: str | Mapping[str, Any] = ARCH) -> dict[str, Any] | None:
    """What the command does; the file's content.

    Raises:
        ValueError: a CUDA device where there is none, or no rounds.
        FileNotFoundError: see `Photos`.
    """
    if arguments.report:
        report.write(json.loads(arguments.report.read_text()))
        return None
    if arguments.device != 'cpu' and not torch.cuda.is_available():
        raise ValueError(
            f'--device {arguments.device}, but torch finds no CUDA device here; take --device cpu'
        )
    rounds = arguments.rounds or (3 if arguments.quick else 15)
    if rounds < 1:
        raise ValueError(f'--rounds must be at least 1, got {rounds}')
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    photos = Photos(arguments.photos)
    subjects, clock = Subjects(arch, device, photos), Clock(device)
    settings = {
        'arch': arch if isinstance(arch, str) else 'given',
        'weights': 'random',
        'photos': photos.kind,
        'rounds': rounds,
        'quick': arguments.quick,
        'date': datetime.now(timezone.utc).date().isoformat(),
    }
    described = machine.describe(clock)
    kept = kept_file(arguments.out, described)
    for key in ('peak_gflops', 'copy_gb_per_s'):  # what the machine gives at best, in whichever run
        described[key] = max(described[key], kept['machine'].get(key, 0))
    found = {'settings': settings, 'machine': described, 'sections': kept['sections']}
    todo = sections_of(arguments, subjects, clock, rounds)
    for name in arguments.only or SECTIONS:
        print(f'{name}', flush=True)
        others = machine.Others()
        found['sections'][name] = {**todo[name](), 'others': others.share(), 'commit': described['commit']}
        if arguments.out:
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(json.dumps(found, indent=1) + '\n')
    print(report.table(found))
    return found


def kept_file(path: Path | None, described: Mapping[str, Any]) -> dict[str, Any]:
    """A file that is there already, measured on such a machine; one without sections where there is none.

    Raises:
        ValueError: it was another kind of machine.
    """
    if path is None or not path.is_file():
        return {'machine': {}, 'sections': {}}
    found = json.loads(path.read_text())
    differing = [
        key for key in ('processor', 'cores', 'device', 'threads') if found['machine'][key] != described[key]
    ]
    if differing:
        raise ValueError(f'{path} is of a machine with another {differing[0]}: name another file with --out')
    return found


def sections_of(
    arguments: argparse.Namespace, subjects: Subjects, clock: Clock, rounds: int
) -> dict[str, Callable[[], Any]]:
    """Section name -> what measures it."""
    quick, photos = arguments.quick, subjects.photos
    task = {
        'arch': subjects.arch,
        'device': str(subjects.device),
        'threads': arguments.threads,
        'photos': str(arguments.photos.resolve()) if arguments.photos else None,
    }
    size, window_batch = ((128, 256), 2) if quick else ((1024, 2048), 16)
    few = dict(words=4, templates=5) if quick else {}
    fewer = max(1, min(rounds, 7))

    def scales() -> dict[str, Any]:
        sides = scaling.SIDES[:2] if quick else scaling.SIDES
        return {
            'tokens': scaling.tokens(subjects, clock, fewer, sides),
            'classes': scaling.classes(subjects, clock, rounds, 128 if quick else 512),
            'templates': scaling.templates(subjects, clock, fewer, 2 if quick else 19),
            'batches': [] if quick else scaling.batches(subjects, clock, fewer),
            'long run': scaling.long_run({**task, 'images': 2 if quick else min(100, len(photos))}),
        }

    return {
        'image': lambda: prediction.image(subjects, clock, rounds, 224 if quick else 512),
        'slide': lambda: prediction.slide(subjects, clock, rounds, 240 if quick else 336),
        'memory': lambda: memory.section({**task, 'size': size, 'window_batch': window_batch}),
        'text': lambda: text.section({**task, **few}, clock, rounds),
        'processes': lambda: processes.section(
            photos,
            4 if quick else min(100, len(photos)),
            arguments.runs or (1 if quick else 5),
            {'arch': subjects.arch, 'times': 2 if quick else 12},
        ),
        'scaling': scales,
        'loop': lambda: loop.section(
            subjects,
            loop.QUICK if quick else loop.LOADS[subjects.device.type],
            arguments.runs or (1 if quick else 5),
        ),
    }
