"""The docs site: it lists every page and every public name, and its list of errors is the package's."""

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


def test_the_list_of_errors_has_what_is_raised():
    pytest.importorskip('docutils')
    by_folder = runpy.run_path(str(DOCS / '_extensions' / 'raised_errors.py'))['by_folder']()
    with pytest.raises(ValueError) as told:
        Sam.mask(None, SimpleNamespace(xy=[], text='cat'))
    pattern = [re.escape(sentence).replace('…', '.*') for sentence in by_folder['api']]
    assert any(re.fullmatch(one, str(told.value)) for one in pattern)
