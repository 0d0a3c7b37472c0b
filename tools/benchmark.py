#!/usr/bin/env python
"""Measure what the package costs: `python tools/benchmark.py [--photos VOC_FOLDER] [--only SECTION] [--out FILE]`.

`--report FILE` fills docs/performance.md from such a file. See `benchmarks/`, which is part of the checkout, not of the
wheel.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the processes that the benchmark starts, too


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    if not (ROOT / 'benchmarks').is_dir():
        sys.exit('error: the benchmark needs the folder benchmarks/ beside tools/: run it from a checkout')
    arguments = parse(argv)
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # threads that wait must not count as work
    from mmseg_clipsurgery.environment.mistakes import guarded

    return guarded(lambda: run(arguments), arguments.debug)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, before torch is imported."""
    from benchmarks import SECTIONS
    from mmseg_clipsurgery.environment.command_line import CommandParser

    parser = CommandParser(prog='benchmark', description='Measure what the package costs.')
    parser.add_argument(
        '--photos', type=Path, metavar='DIR', help='a VOC folder; default: the embedded scenes'
    )
    parser.add_argument(
        '--only', choices=SECTIONS, action='append', help='this section (may be repeated); default: all'
    )
    parser.add_argument('--quick', action='store_true', help='2 rounds and small sizes: does it run?')
    parser.add_argument(
        '--rounds', type=int, help='default: 15; sections whose rounds take minutes have a third of them'
    )
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--out', type=Path, help='the JSON file; sections that it holds are replaced or kept')
    parser.add_argument(
        '--report', type=Path, metavar='JSON', help='only fill docs/performance.md from this file'
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Measure, or only write the report.

    Raises:
        ValueError: no rounds, or no such device; see `benchmarks.run.measure_all`.
    """
    from benchmarks import SECTIONS, report
    from benchmarks.run import measure_all
    from benchmarks.workload import Workload

    import torch

    if arguments.report:
        return report.write(json.loads(arguments.report.read_text()))
    if arguments.device != 'cpu' and not torch.cuda.is_available():
        raise ValueError(
            f'--device {arguments.device}, but torch finds no CUDA device here; take --device cpu'
        )
    rounds = (2 if arguments.quick else 15) if arguments.rounds is None else arguments.rounds
    if rounds < 1:
        raise ValueError(f'--rounds must be at least 1, got {rounds}')
    load = Workload('ViT-B-16', torch.device(arguments.device), arguments.photos, rounds, arguments.quick)
    measured = measure_all(load, arguments.only or SECTIONS, arguments.out)
    print(*(f'{name}\n{block}' for name, block in report.blocks(measured).items()), sep='\n')


if __name__ == '__main__':
    sys.exit(main())
