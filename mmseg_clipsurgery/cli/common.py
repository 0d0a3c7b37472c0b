"""Options of several commands: own files, changes of the config, tracebacks. Nothing heavy is imported for `--help`."""

import argparse
from collections.abc import Sequence
from typing import Any


class ConfigOptions(argparse.Action):
    """KEY=VALUE pairs as a dict, by MMEngine's own parser of values."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest)(parser, namespace, values, option_string)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """`--cfg-options KEY=VALUE ...`: None where there are none."""
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE', help='change the config'
    )


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """`--import FILE`, as often as wanted: `arguments.imports`, to be given to `extensions.import_files`."""
    parser.add_argument(
        '--import',
        dest='imports',
        action='append',
        default=[],
        metavar='FILE',
        help='a Python file of your own that adds surgeries, affinities or data sets; may be repeated',
    )


def add_debug_option(parser: argparse.ArgumentParser) -> None:
    """`--debug`, for `mistakes.guarded`."""
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
