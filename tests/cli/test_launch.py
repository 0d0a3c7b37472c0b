"""Several processes end as one does, at signals and at mistakes that a process has told or could not tell."""

import signal

from mmseg_clipsurgery.cli import launch
from mmseg_clipsurgery.environment.interrupts import LAUNCHED
from mmseg_clipsurgery.environment.mistakes import STOPPED

import pytest
from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure


def failure(code: int) -> ChildFailedError:
    found = ProcessFailure(local_rank=1, pid=1, exitcode=code, error_file='none')
    return ChildFailedError('test.py', {1: found})


ENDS = {
    'well': (None, 0, ''),
    'SIGINT': (SignalException('', signal.SIGINT), 130, f'\n{STOPPED}\n'),
    'SIGTERM': (SignalException('', signal.SIGTERM), 143, f'\n{STOPPED}\n'),
    'before torchrun': (KeyboardInterrupt(), 130, f'\n{STOPPED}\n'),
    'a mistake': (failure(1), 1, ''),
    'a process killed': (
        failure(-9),
        137,
        'error: process 1 was ended by SIGKILL; see its log, and to memory\n',
    ),
}


@pytest.mark.parametrize(('error', 'code', 'said'), ENDS.values(), ids=ENDS.keys())
def test_how_processes_end(error, code, said, capsys, monkeypatch):
    def end(arguments: object) -> None:
        if error is not None:
            raise error

    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.setenv(LAUNCHED, '')  # put back afterwards
    monkeypatch.delenv(LAUNCHED)
    monkeypatch.delenv('MMSEG_CLIPSURGERY_DEBUG', raising=False)
    monkeypatch.setattr(run, 'parse_args', lambda arguments: arguments)
    monkeypatch.setattr(run, 'run', end)
    assert launch.main(['script.py']) == code
    assert capsys.readouterr().err == said
