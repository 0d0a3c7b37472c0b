"""The parser of every command: a mistake in the options is one line, as any other mistake is, with exit code 2.

Options are written out. An unknown one is named, with the nearest there is; one that takes several values is given
once, since argparse would drop the values of all but the last. What the package says of a setting, a command says of
the option that sets it: `CommandParser.as_typed`.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

SWITCH = {'True': 'yes', 'False': 'no'}  # as options say it


class StoredOnce(argparse._StoreAction):
    """Keeps an option's value; one of several values that is given again is refused."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string and isinstance(values, list) and isinstance(parser, CommandParser):
            if self.dest in parser.given:
                parser.error(f'{option_string} is given twice; give it once, with all its values behind it')
            parser.given.add(self.dest)
        super().__call__(parser, namespace, values, option_string)


class CommandParser(argparse.ArgumentParser):
    """argparse's parser without abbreviations, and without the list of all options before what is wrong."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **{'allow_abbrev': False, **settings})
        self.given: set[str] = set()  # options of several values that were met
        self.inner_names: dict[str, str] = {}  # setting -> option, where their names differ
        self.register('action', None, StoredOnce)
        self.register('action', 'store', StoredOnce)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'error: {message}; see --help\n')

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, after unknown options are refused."""
        self.given.clear()
        args = sys.argv[1:] if args is None else args
        if self._subparsers is None:
            self.refuse_unknown([str(word) for word in args])
        return super().parse_known_args(args, namespace)

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """End with the first word that argparse would take for an option and not know."""
        known = self._option_string_actions
        for word in words[: words.index('--') if '--' in words else None]:
            name = word.partition('=')[0]
            if not word.startswith('--') or ' ' in word or name in known:
                continue
            near = difflib.get_close_matches(name, [option for option in known if option[:2] == '--'], n=1)
            self.error(f'there is no option {name}' + (f'; did you mean {near[0]}' if near else ''))

    def options(self) -> dict[str, str]:
        """Name of a setting -> the option that sets it."""
        own = {
            action.dest: action.option_strings[-1]
            for action in self._actions
            if action.option_strings and action.option_strings[-1].startswith('--')
        }
        return {**own, **self.inner_names}

    def as_typed(self, sentence: str) -> str:
        """A sentence about settings with the options that set them: "prob_thd must ..." -> '--prob-thd must ...'."""
        return with_options(sentence, self.options())

    @contextmanager
    def naming_options(self) -> Iterator[None]:
        """Let the mistakes that a block raises name options, see `as_typed`."""
        try:
            yield
        except (ValueError, FileNotFoundError) as error:
            said = self.as_typed(str(error))
            if type(error) not in (ValueError, FileNotFoundError) or said == str(error) or error.args[1:]:
                raise
            raise type(error)(said) from error


def with_value(option: str, found: re.Match[str]) -> str:
    """'NAME=VALUE' that was found in a sentence, as it is typed: the option and the value."""
    return f'{option} {SWITCH.get(found[2], found[2])}'


def with_options(sentence: str, options: Mapping[str, str]) -> str:
    """A sentence in which the names of settings are those of options.

    Replaced are NAME=VALUE; NAME where it has an underscore, so that it is no word of the language; and NAME at the
    sentence's start, before a verb that says what it takes.

    Args:
        sentence: what a setting is said in.
        options: name of a setting -> option.
    """
    for name, option in options.items():
        inner = rf'(?<![\w.-])(?:test_cfg\.)?{re.escape(name)}'
        sentence = re.sub(
            rf"{inner}=('?)([\w./:-]+)\1(?![\w(])",
            partial(with_value, option),
            sentence,
        )
        ends = r'\b(?![=.(])' if '_' in name else r'(?= (?:must|counts)\b)'
        sentence = re.sub(inner + ends if '_' in name else f'^{inner}{ends}', option, sentence)
    return sentence
