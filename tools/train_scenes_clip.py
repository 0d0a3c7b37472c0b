#!/usr/bin/env python
"""Train the tiny CLIP of the scenes benchmark, from scratch, with the image-caption contrastive loss only.

    python tools/train_scenes_clip.py --compile --seed 0 --work-dir work_dirs/seed_0 --out work_dirs/seed_0/model

Training scenes are drawn on the fly (`mmseg_clipsurgery.scenes.curriculum`). The number of steps is fixed; a run that
is started again with the same --work-dir goes on from its last checkpoint. `scenes_clip` does the work, and
`choose_scenes_clip.py` takes the best of several seeds.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from mmseg_clipsurgery.environment.command_line import CommandParser
from mmseg_clipsurgery.environment.mistakes import guarded
from mmseg_clipsurgery.scenes import spec


def main(argv: Sequence[str] | None = None) -> int:
    """Train with these arguments (default: the command line's); the exit code."""
    arguments = parse_arguments(argv)
    from scenes_clip.training import train

    return guarded(lambda: train(arguments), arguments.debug)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandParser(description=(__doc__ or '').partition('\n\n')[0])
    parser.add_argument('--work-dir', required=True, help='folder for the checkpoint of the run')
    parser.add_argument('--out', required=True, help='folder for the finished model')
    parser.add_argument('--steps', type=int, default=3600)
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--learning-rate', type=float, default=1e-3)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=0, help='processes that draw scenes; 0: a thread')
    parser.add_argument('--device', help='default: cuda if there is one, else cpu')
    parser.add_argument('--precision', choices=('bfloat16', 'float32'), default='float32')
    parser.add_argument(
        '--compile', action='store_true', help='torch.compile both towers (needs a C++ compiler)'
    )
    parser.add_argument('--evaluate-every', type=int, default=300)
    parser.add_argument('--save-every', type=int, default=100)
    parser.add_argument('--dev-scenes', type=int, default=spec.SCENES['dev'])
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
