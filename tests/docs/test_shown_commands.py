"""Commands in the texts: each exists, and so does every option that it is shown with."""

import importlib
import re
import runpy
from collections.abc import Callable

import doc_blocks
from cases import slow_but
from mmseg_clipsurgery.__main__ import COMMANDS

import pytest

ROOT = doc_blocks.ROOT
PAGES = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')])
OWN = {'explain', 'faithfulness', 'leaderboard'}  # tools that are modules of `cli`
COMMAND = re.compile(
    r'(?:python -m mmseg_clipsurgery|mmseg-clipsurgery) (?P<command>[a-z][\w-]*)'
    r'|python (?:tools/(?P<tool>\w+)\.py|-m mmseg_clipsurgery\.(?P<test>test))'
)


def shown() -> dict[str, set[str]]:
    """Name of a command, or of a tool behind 'tools/' -> the options that the texts show it with."""
    found: dict[str, set[str]] = {}
    for page in PAGES:
        text = page.read_text(encoding='utf-8').replace('\\\n', ' ')
        # A command ends with its line, at a backtick, or where the next one begins.
        for part in re.split(r'[`\n]|&&|  +#', text):
            if match := COMMAND.search(part):
                name = match['command'] or f'tools/{match["tool"] or match["test"]}'
                found.setdefault(name, set()).update(re.findall(r' (--[a-z][\w-]*)', part))
    return found


SHOWN = shown()


def main_of(name: str) -> Callable[[list[str]], object]:
    """What runs a command or a tool with its arguments."""
    tool = name.removeprefix('tools/')
    if name in COMMANDS:
        return importlib.import_module(COMMANDS[name][0]).main
    if tool == 'test':
        return importlib.import_module('mmseg_clipsurgery.test').main
    if tool in OWN:
        return importlib.import_module(f'mmseg_clipsurgery.cli.{tool}').main
    return runpy.run_path(str(ROOT / name) + '.py')['main']


def test_the_texts_show_commands():
    assert {'segment', 'web', 'tools/test', 'tools/leaderboard'} <= set(SHOWN)
    assert '--words' in SHOWN['segment']


@pytest.mark.parametrize('name', slow_but({'segment', 'tools/leaderboard'}, sorted(SHOWN)))
def test_options_exist(capsys, name):
    with pytest.raises(SystemExit):
        main_of(name)(['--help'])
    missing = SHOWN[name] - set(re.findall(r'--[a-z][\w-]*', capsys.readouterr().out)) - {'--help'}
    assert not missing
