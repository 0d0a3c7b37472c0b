"""The docs site: it lists every page and every public name, and its list of errors is the package's."""

import ast
import inspect
import re
import runpy
from types import SimpleNamespace

import doc_blocks
import mmseg_clipsurgery
from mmseg_clipsurgery.__main__ import COMMANDS
from mmseg_clipsurgery.api import results
from mmseg_clipsurgery.api.model import SurgeryModel
from mmseg_clipsurgery.api.sam import Sam

import pytest

DOCS = doc_blocks.ROOT / 'docs'
PAGES = sorted(path.relative_to(DOCS).with_suffix('').as_posix() for path in DOCS.rglob('*.md'))
SHOWN = re.findall(r'auto(?:class|function):: (\S+)', (DOCS / 'reference' / 'python.md').read_text())
CLASSES = [SurgeryModel, *(getattr(results, name) for name in results.__all__)]
TABLES = {'AFFINITIES', 'EXPLAINERS', 'SURGERIES', '__version__'}  # a name and its rows, in words


def test_every_page_is_in_the_contents():
    listed = set(re.findall(r'^[\w/]+$', (DOCS / 'index.md').read_text(), flags=re.MULTILINE))
    assert set(PAGES) - {'index'} <= listed
    assert listed <= {*PAGES, 'tour'}


def test_every_public_name_is_in_the_reference():
    short = {name.rpartition('.')[2] for name in SHOWN}
    assert set(mmseg_clipsurgery.__all__) - TABLES <= short
    assert {kind.__name__ for kind in CLASSES if inspect.isclass(kind)} <= short


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_every_public_method_says_what_it_does(kind):
    silent = [
        name
        for name, value in inspect.getmembers(kind)
        if not name.startswith('_')
        and (inspect.isfunction(value) or isinstance(value, property))
        and not inspect.getdoc(value)
    ]
    assert not silent


def test_every_command_is_in_the_reference():
    page = (DOCS / 'reference' / 'command_line.md').read_text()
    assert all(f'python -m mmseg_clipsurgery {name} --help' in page for name in COMMANDS)


SENTENCES = runpy.run_path(str(DOCS / '_extensions' / 'package_sentences.py'))
# Raised again, with what is written elsewhere; or no sentence, since no user sees it or the system has its own.
AGAIN = {'error', 'found', 'mistakes', 'problems', 'reason', 'what'}
SILENT = {'NotImplementedError', 'OSError', 'KeyboardInterrupt', 'AttributeError', 'TooLarge'}


@pytest.mark.slow
def test_the_list_of_errors_has_every_place_that_raises():
    missed = []
    for path, tree in SENTENCES['trees']().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc is not None:
                names = {part.id for part in ast.walk(node.exc) if isinstance(part, ast.Name)}
                said = any(map(SENTENCES['says_something'], SENTENCES['raised'](node, path)))
                if not said and not names & {*SENTENCES['MAKERS'], *AGAIN, *SILENT}:
                    missed.append(f'{path.name}:{node.lineno}')
    assert not missed


@pytest.mark.slow
def test_the_list_of_errors_has_what_is_raised():
    by_folder = SENTENCES['by_folder']()
    with pytest.raises(ValueError) as told:
        Sam.mask(None, SimpleNamespace(xy=[], text='cat'))
    pattern = [re.escape(sentence).replace('…', '.*') for sentence in by_folder['api']]
    assert any(re.fullmatch(one, str(told.value)) for one in pattern)
