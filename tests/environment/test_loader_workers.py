"""Workers of the data loader follow the machine and the launcher."""

from mmseg_clipsurgery.environment import loader_workers as workers
from mmseg_clipsurgery.protocols.settings import settings

import pytest


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in workers.LOCAL_PROCESSES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ('cores', 'environment', 'expected'),
    [
        (1, {}, 1),
        (2, {}, 1),
        (4, {}, 3),
        (64, {}, 8),
        (16, {'LOCAL_WORLD_SIZE': '4'}, 3),
        (16, {'LOCAL_WORLD_SIZE': '32'}, 1),
        (16, {'SLURM_NTASKS_PER_NODE': '8(x2)'}, 1),
        (8, {'OMPI_COMM_WORLD_LOCAL_SIZE': 'two'}, 7),
    ],
)
def test_cores_are_shared_among_processes(monkeypatch, cores, environment, expected):
    monkeypatch.setattr(workers.os, 'sched_getaffinity', lambda _: set(range(cores)), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert workers.loading_workers() == expected


def test_where_no_affinity_is_told_all_cores_count(monkeypatch):
    monkeypatch.delattr(workers.os, 'sched_getaffinity', raising=False)
    monkeypatch.setattr(workers.os, 'cpu_count', lambda: 6)
    assert workers.loading_workers() == 5


def test_configs_have_them(monkeypatch):
    monkeypatch.setattr(workers.os, 'sched_getaffinity', lambda _: set(range(7)), raising=False)
    assert settings('clip_surgery', 'voc21')['test_dataloader']['num_workers'] == 6
