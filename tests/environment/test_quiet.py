"""What third parties print on import is in the log, once, and nowhere else."""

import logging
import subprocess
import sys

from environments import ROOT
from mmseg_clipsurgery.environment.quiet import import_quietly

import pytest

LOUD = """
import sys, warnings
print('a line'); print('a line'); print('another', file=sys.stderr)
warnings.warn('a warning')
"""


def test_what_is_printed_on_import_is_logged_once(tmp_path, monkeypatch, caplog, capsys):
    (tmp_path / 'loud_on_import.py').write_text(LOUD)
    monkeypatch.syspath_prepend(tmp_path)
    with caplog.at_level(logging.DEBUG, 'mmseg_clipsurgery'):
        import_quietly(['loud_on_import'])
    assert [record.getMessage() for record in caplog.records] == [
        'on import: a line',
        'on import: another',
        'on import: a warning',
    ]
    assert {record.levelname for record in caplog.records} == {'DEBUG'}
    assert capsys.readouterr() == ('', '')


def test_an_import_that_fails_says_why(tmp_path, monkeypatch):
    (tmp_path / 'fails_on_import.py').write_text('print("lost"); raise RuntimeError("why")')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match='why'):
        import_quietly(['fails_on_import'])


def python(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.mark.slow
@pytest.mark.mmseg
def test_the_demo_prints_its_own_lines_alone(tmp_path):
    done = python('tools/demo.py', '--scenes', '1', '--work-dir', str(tmp_path))
    assert done.stderr == ''
    own = ('raw CLIP', 'CLIP Surgery', ' ', 'picture: ', 'results: ', '1/2 ', '2/2 ')
    assert [line for line in done.stdout.splitlines() if line and not line.startswith(own)] == []


@pytest.mark.slow
@pytest.mark.mmseg
def test_the_test_tool_prints_no_notes_of_imports(tmp_path):
    options = ['--cfg-options', 'test_dataloader.dataset.indices=1', '--work-dir', str(tmp_path)]
    done = python('tools/test.py', 'clipsurgery_scenes', *options)
    assert done.stderr == ''
    assert done.stdout.startswith('preflight: 1 images checked')
    assert [
        note for note in ('OneDL', 'MultiScale', 'activation', 'compiled operators') if note in done.stdout
    ] == []
