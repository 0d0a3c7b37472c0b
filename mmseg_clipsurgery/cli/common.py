"""Options of several commands: changes of the config, own files, tracebacks."""

import argparse


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """`--cfg-options KEY=VALUE ...`: `arguments.cfg_options`, to be given to `configs.parse_options`."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='change the config',
    )


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """`--import FILE`, as often as wanted: `arguments.imports`, to be given to `extensions.import_files`."""
    parser.add_argument(
        '--import',
        dest='imports',
        action='append',
        default=[],
        metavar='FILE',
        help='a Python file of your own that adds surgeries, explainers, data sets, ...; may be repeated',
    )


def add_debug_option(parser: argparse.ArgumentParser) -> None:
    """`--debug`, for `mistakes.guarded`."""
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
