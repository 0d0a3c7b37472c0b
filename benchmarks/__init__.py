"""What the package costs, beside CLIP itself and the published steps. Part of the checkout, not of the wheel.

measure, workload   rounds of interleaved variants; towers of random weights, words, photos
published           the published steps, written out from their formulas
prediction, scaling, memory, processes     the sections
run, report         one JSON file; tables, targets (`targets.json`) and the plot of docs/performance.md
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

# Section -> the function that measures it, and what the rows of its table are.
SECTIONS = {
    'image': ('prediction.image', 'variant'),
    'slide': ('prediction.slide', 'variant'),
    'read_many': ('prediction.read_many', 'variant'),
    'memory': ('memory.memory', 'classes'),
    'text': ('scaling.text', 'way'),
    'processes': ('processes.processes', 'processes'),
    'loop': ('processes.loop', 'way'),
    'start': ('processes.start', 'command'),
    'tokens': ('scaling.tokens', 'pixels a side'),
    'classes': ('scaling.classes', 'classes'),
    'templates': ('scaling.templates', 'templates'),
    'batches': ('scaling.batches', 'images'),
    'long_run': ('memory.long_run', 'images'),
    'best': ('scaling.best', 'operation'),
}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; nothing so far has imported torch."""
    parser = argparse.ArgumentParser(prog='benchmark', description='Measure what the package costs.')
    add = parser.add_argument
    add('--photos', type=Path, metavar='DIR', help='a VOC folder; default: the embedded scenes')
    add('--only', choices=SECTIONS, action='append', help='this section (may be repeated); default: all')
    add('--quick', action='store_true', help='2 rounds and small sizes: does it run?')
    add('--rounds', type=int, help='default: 15; sections whose rounds take minutes have a third of them')
    add('--device', default='cpu', help='cpu or cuda')
    add('--out', type=Path, help='the JSON file; sections that it holds are replaced or kept')
    add('--report', type=Path, metavar='JSON', help='only fill docs/performance.md from this file')
    add('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
