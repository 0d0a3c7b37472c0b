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


@pytest.mark.mmseg
def test_importing_the_package_prints_nothing():
    command = [sys.executable, '-c', 'import mmseg_clipsurgery']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ('', '')
