"""Which photos are whose: shards, torchrun's processes, and every way to get them wrong."""

from mmseg_clipsurgery.cli.shards import Shard
from mmseg_clipsurgery.environment.files import write_json

import pytest

TWO = {'RANK': '1', 'WORLD_SIZE': '2'}
MISTAKES = {
    'beyond': ('3/2', {}, "got '3/2'"),
    'counted from one': ('4/4', {}, "I from 0 to N - 1, got '4/4'; the first of four is 0/4"),
    'none': ('0/0', {}, "got '0/0'"),
    'negative': ('-1/4', {}, "got '-1/4'"),
    'a number alone': ('1', {}, "got '1'"),
    'a fraction': ('1.0/2', {}, "got '1.0/2'"),
    'words': ('a/b', {}, "got 'a/b'"),
    'nothing': ('', {}, "got ''"),
    'three numbers': ('1/2/3', {}, "got '1/2/3'"),
    'another script': ('٠/٢', {}, "got '٠/٢'"),
    'torchrun too': (
        '0/2',
        TWO,
        'got --shard 0/2 in one of 2 processes of torchrun, which divides the photos',
    ),
    'no rank': (None, {'RANK': '2', 'WORLD_SIZE': '2'}, 'RANK=2 and WORLD_SIZE=2 are set'),
    'a rank in words': (None, {'RANK': 'x', 'WORLD_SIZE': '2'}, 'RANK=x and WORLD_SIZE=2 are set'),
}


@pytest.mark.parametrize(('given', 'environment', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_what_is_no_shard_is_refused(given, environment, message):
    with pytest.raises(ValueError) as refused:
        Shard.of(given, environment)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ('given', 'environment', 'shard'),
    [
        (None, {}, Shard(0, 1)),
        ('1/3', {}, Shard(1, 3)),
        ('0/1', {}, Shard(0, 1)),
        (None, TWO, Shard(1, 2, launched=True)),
        ('1/3', {'RANK': '0', 'WORLD_SIZE': '1'}, Shard(1, 3)),
        (None, {'RANK': '3'}, Shard(0, 1)),
    ],
    ids=['alone', 'a shard', 'the only one', 'torchrun', 'torchrun with one process', 'half of it'],
)
def test_what_is_said_of_a_process(given, environment, shard):
    assert Shard.of(given, environment) == shard


@pytest.mark.parametrize('count', [1, 2, 3, 7, 12])
def test_shards_share_out_all_photos_evenly(count):
    photos = list(range(10))
    parts = [Shard(index, count).part(photos) for index in range(count)]
    assert sorted(photo for part in parts for photo in part) == photos
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_shards_of_another_number_would_overlap(tmp_path):
    note = tmp_path / 'segment.shards.json'
    for shard in (Shard(0, 2), Shard(1, 2), Shard(0, 1), Shard(1, 3, launched=True)):
        for path, said in shard.notes(note).items():
            write_json(path, said)
    with pytest.raises(
        ValueError, match=r'results of 2 shards, and --shard 1/3 would overlap .* give --shard I/2'
    ):
        Shard(1, 3).notes(note)
    note.unlink()
    assert Shard(1, 3).notes(note) == {note: {'shards': 3}}


def test_who_reports_and_what_is_whole():
    assert [shard.speaks for shard in (Shard(1, 2), Shard(0, 2, True), Shard(1, 2, True))] == [
        True,
        True,
        False,
    ]
    assert [shard.is_all for shard in (Shard(1, 2), Shard(), Shard(1, 2, True))] == [False, True, True]
    assert Shard(1, 2).gathered('own') == ['own']
