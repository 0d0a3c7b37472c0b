"""The test tool: a config, and a checkpoint where there is one, give a table of IoU and `results.json`.

    python tools/test.py CONFIG [CHECKPOINT]          python -m mmseg_clipsurgery.test CONFIG [CHECKPOINT]

CONFIG is a file or the name of a shipped one (`clipsurgery_voc`). CHECKPOINT is the segmentor's own state dict (see
`export`), loaded strictly; without one the config's `pretrained` weights serve. The options are those of MMSeg's tool;
`--data-root`, `--import`, `--no-preflight` and `--debug` are ours. `evaluation.evaluate` does the work.

A user's mistake ends in one sentence and exit code 1; `--debug` or MMSEG_CLIPSURGERY_DEBUG=1 shows where it came from.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from .cli.common import add_config_options, add_debug_option, add_import_option
from .environment.command_line import CommandParser
from .environment.extensions import import_files
from .environment.launchers import LAUNCHERS
from .environment.mistakes import guarded
from .environment.stack import require_mmseg


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool with these arguments (default: the command line's); the exit code."""
    arguments = parse(argv)
    return guarded(lambda: run(arguments), arguments.debug)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandParser(prog='test', description='Evaluate a segmentor.', epilog=(__doc__ or '').strip())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('config', help='a config file or the name of a shipped one')
    parser.add_argument(
        'checkpoint', nargs='?', help="the segmentor's state dict; default: the pretrained weights"
    )
    parser.add_argument('--work-dir', help='where logs and results.json go; default: work_dirs/<config>')
    parser.add_argument('--data-root', help='folder of the data set, in place of the one in the config')
    parser.add_argument('--out', metavar='DIR', help='save predicted masks in this folder')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='save a picture of every image in this folder')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds for each picture of --show')
    add_config_options(parser)
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='who started the processes')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--no-preflight', action='store_true', help='do not check settings and files before the run'
    )
    add_import_option(parser)
    add_debug_option(parser)
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate as the command line asks.

    Raises:
        ValueError, FileNotFoundError, ImportError: a user's mistake or a missing MMSeg, in one sentence.
    """
    require_mmseg()
    from .evaluation import distributed, evaluate
    from .evaluation.configs import parse_options

    import_files(arguments.imports)
    if arguments.launcher != 'none':
        os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))
    try:
        evaluate(
            arguments.config,
            options=parse_options(arguments.cfg_options),
            work_dir=arguments.work_dir,
            checkpoint=arguments.checkpoint,
            data_root=arguments.data_root,
            out=arguments.out,
            show_dir=arguments.show_dir,
            show=arguments.show,
            wait_time=arguments.wait_time,
            tta=arguments.tta,
            launcher=arguments.launcher,
            preflight=not arguments.no_preflight,
        )
    finally:
        distributed.stop()


if __name__ == '__main__':
    sys.exit(main())
