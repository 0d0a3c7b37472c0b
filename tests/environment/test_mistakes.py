"""How a command ends: a sentence and an exit code, or the traceback that was asked for."""

from mmseg_clipsurgery.environment.mistakes import guarded

import pytest


def interrupted() -> None:
    raise KeyboardInterrupt


def test_an_interrupt_ends_in_a_sentence_and_130(capsys, monkeypatch):
    monkeypatch.delenv('MMSEG_CLIPSURGERY_DEBUG', raising=False)
    assert guarded(interrupted) == 130
    assert capsys.readouterr().err.strip().startswith('stopped by an interrupt')


def test_an_interrupt_shows_where_it_came_in_if_asked():
    with pytest.raises(KeyboardInterrupt):
        guarded(interrupted, debug=True)
