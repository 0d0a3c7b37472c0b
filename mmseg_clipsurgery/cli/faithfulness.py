"""Do maps explain CLIP? Deletion and insertion, other prompts, random weights, mosaics: a table for each.

    python tools/faithfulness.py                                    the embedded scenes, the usual explainers
    python tools/faithfulness.py --config voc --data-root DIR --device cuda
    python tools/faithfulness.py --config ./my_data.py --import my_method.py --explainers mine legrad --tests prompts
    python tools/faithfulness.py --page docs/faithfulness.md        also puts the tables into a text
    python tools/faithfulness.py --page docs/faithfulness.md --check    does the text agree with the results?

Any config whose data set has masks and words will do; images are drawn by the seed and cropped to what CLIP sees. Maps
of noise and of the image's centre are rows of every table. What is in OUT/CONFIG/results.json under the same settings
is not run again; tables.md beside it has the tables. A test that fails is named and the others go on; the exit code is
then 1. See docs/faithfulness.md.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..environment.command_line import CommandParser
from ..environment.extensions import import_files
from ..environment.stack import require_mmseg
from .common import add_config_options, add_debug_option, add_import_option, exit_code, folder, path
from .explain import BASELINES

TESTS = ('deletion', 'prompts', 'randomisation', 'one_stage', 'mosaic')
USUAL = ('clip', 'clip_surgery', 'clip_surgery:released', 'gem', *BASELINES)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and write the tables; the exit code."""
    parser = CommandParser(prog='faithfulness', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('--config', default='scenes', help='file, or name of a shipped one (default: scenes)')
    parser.add_argument('--data-root', type=path, help="in place of the config's")
    parser.add_argument(
        '--explainers',
        nargs='+',
        default=list(USUAL),
        metavar='NAME',
        help=f'of EXPLAINERS, any surgery among them (default: {", ".join(USUAL)})',
    )
    parser.add_argument('--tests', nargs='+', default=list(TESTS), choices=TESTS, help='(default: all)')
    parser.add_argument('--images', type=int, default=32, help='how many are drawn (default: %(default)s)')
    parser.add_argument('--steps', type=int, default=12, help='of deletion (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of all that is drawn (default: %(default)s)')
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ... (default: cuda if there is one)')
    parser.add_argument('--out', type=folder, default=Path('results/faithfulness'), help='folder of results')
    parser.add_argument('--page', type=path, help='a text whose blocks <!-- table: TEST --> hold the tables')
    parser.add_argument('--check', action='store_true', help='run nothing; fail if the page differs')
    add_config_options(parser)
    add_import_option(parser)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.check and not arguments.page:
        parser.error('--check goes with --page')
    return exit_code(act, arguments)


def act(arguments: argparse.Namespace) -> Iterator[str]:
    """What the command line asks for; a line for each test that failed.

    Raises:
        ValueError, FileNotFoundError: a user's mistake, or with --check a page that differs.
        ImportError: MMSeg is not installed.
    """
    require_mmseg()
    from ..leaderboard import faithfulness, faithfulness_tables

    import_files(arguments.imports)
    name = Path(arguments.config).stem
    failed = [] if arguments.check else run(arguments, name)
    result_file = arguments.out / name / faithfulness.RESULTS
    yield from failed
    if failed and not result_file.is_file():
        return
    result = faithfulness.read_result(result_file)
    tables = faithfulness_tables.tables_of(result)
    if not arguments.check:
        faithfulness_tables.write_tables(result_file.with_name('tables.md'), result, tables)
    if arguments.page:
        faithfulness_tables.write_page(arguments.page, tables, arguments.check)


def run(arguments: argparse.Namespace, name: str) -> list[str]:
    """Run what is missing; a line for each test that failed."""
    from ..datasets.base_datasets import dataset_configs
    from ..environment.numbers import check_count
    from ..evaluation.audit import config_of
    from ..evaluation.configs import check_parts, parse_options, read_config
    from ..faithfulness.subjects import Settings
    from ..leaderboard.faithfulness import run_suite
    from .models import device_of

    for option in ('images', 'steps'):
        check_count(f'--{option}', getattr(arguments, option))
    cfg = read_config(config_of(arguments.config), parse_options(arguments.cfg_options))
    check_parts(cfg, 'model', 'test_dataloader')
    if arguments.data_root:
        for source in dataset_configs(cfg.test_dataloader.dataset):
            source['data_root'] = str(arguments.data_root)
    return run_suite(
        cfg,
        name,
        arguments.explainers,
        arguments.tests,
        Settings(arguments.seed, arguments.steps),
        arguments.images,
        arguments.out,
        device_of(arguments),
        arguments.debug,
    )
