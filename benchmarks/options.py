"""The command line of the benchmark, parsed before torch is imported."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

SECTIONS = ('image', 'slide', 'memory', 'text', 'processes', 'scaling', 'loop')


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog='benchmark', description='Measure what the package costs.')
    parser.add_argument(
        '--photos', type=Path, metavar='DIR', help='a folder in VOC layout; default: the embedded scenes'
    )
    parser.add_argument(
        '--only', choices=SECTIONS, action='append', help='this section (may be repeated); default: all'
    )
    parser.add_argument('--quick', action='store_true', help='3 rounds and small sizes: does it run?')
    parser.add_argument('--rounds', type=int, help='rounds of interleaved variants; default: 15, quick: 3')
    parser.add_argument(
        '--runs', type=int, help='runs of each kind in sections processes and loop; default: 5, quick: 1'
    )
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument(
        '--threads', type=int, default=os.cpu_count(), help='threads of torch; default: all cores'
    )
    parser.add_argument(
        '--out', type=Path, help='the JSON file; sections that it holds already are replaced or kept'
    )
    parser.add_argument(
        '--report', type=Path, metavar='JSON', help='only write docs/performance.md from this file'
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
