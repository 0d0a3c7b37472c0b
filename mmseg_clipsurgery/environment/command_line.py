"""The parser of every command: a mistake in the options is one line, as any other mistake is, with exit code 2."""

import argparse
from typing import NoReturn


class CommandParser(argparse.ArgumentParser):
    """argparse's parser without the list of all options, which fills a screen, before what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'error: {message}; see --help\n')
