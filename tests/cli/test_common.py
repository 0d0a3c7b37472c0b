"""How commands that go on where a part fails end."""

from argparse import Namespace

from mmseg_clipsurgery.cli.common import check_is_new, exit_code

import pytest


def test_what_failed_is_told_whatever_comes_after_it(capsys):
    def act(arguments):
        yield 'one: no mask'
        yield 'two: no image'
        raise ValueError('no result to make a table of')

    assert exit_code(act, Namespace(debug=False)) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == ['error: no result to make a table of', 'failed: one: no mask', 'failed: two: no image']
    assert exit_code(lambda arguments: iter(()), Namespace(debug=False)) == 0


def test_a_file_is_not_written_over_unasked(tmp_path):
    path = tmp_path / 'a.pth'
    check_is_new(path, overwrite=False)
    path.touch()
    check_is_new(path, overwrite=True)
    with pytest.raises(ValueError, match=r'a\.pth is there already; .* give --overwrite'):
        check_is_new(path, overwrite=False)
