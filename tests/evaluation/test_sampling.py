"""Every image of a data set once, whatever gives the indices: what is left out or comes again is refused."""

from mmseg_clipsurgery.evaluation import sampling
from mmseg_clipsurgery.evaluation.sampling import check_sampling, counted_images

import pytest
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler, SubsetRandomSampler

pytestmark = pytest.mark.mmseg


class Images(Dataset):
    """Six images."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return index


class Twice(Images):
    """A data set that repeats another's images, as MMEngine's RepeatDataset."""

    def __init__(self):
        self.dataset = Images()

    def __len__(self):
        return 12


@pytest.mark.parametrize(
    'settings',
    [
        dict(),
        dict(batch_size=4),
        dict(batch_size=None),
        dict(shuffle=True),
        dict(batch_size=3, drop_last=True),
    ],
    ids=['single', 'batches', 'no batches', 'shuffled', 'drop_last that drops nothing'],
)
def test_loaders_that_give_every_image_once(settings):
    check_sampling(DataLoader(Images(), **settings))


class Forever(SequentialSampler):
    """As MMEngine's InfiniteSampler."""

    def __iter__(self):
        while True:
            yield from range(6)


LOADERS = {
    'drop_last': (dict(batch_size=4, drop_last=True), 'gives 4 of 6 images, and 0 of them again'),
    'a part': (dict(sampler=SubsetRandomSampler([1, 3])), 'gives 2 of 6 images, and 0'),
    'one again': (dict(sampler=[0, 1, 2, 3, 4, 5, 0]), 'gives 6 of 6 images, and 1 of them again'),
    'one in place of another': (dict(sampler=[0, 1, 2, 3, 4, 4]), 'gives 5 of 6 images, and 1 of them again'),
    'drawn': (dict(sampler=RandomSampler(Images(), replacement=True, num_samples=60)), 'of them again'),
    'without end': (dict(sampler=Forever(Images())), 'gives 6 of 6 images, and 1 of them again'),
    'none': (dict(sampler=[]), 'gives 0 of 6'),
}


@pytest.mark.parametrize(('settings', 'message'), LOADERS.values(), ids=LOADERS.keys())
def test_loaders_that_do_not(settings, message):
    with pytest.raises(ValueError, match=f'{message}.*drop_last=False.*DefaultSampler'):
        check_sampling(DataLoader(Images(), **settings))


def test_a_data_set_that_repeats_its_images_is_refused():
    with pytest.raises(
        ValueError, match='Twice gives 12 images where there are 6: evaluate the data set itself'
    ):
        check_sampling(DataLoader(Twice()))


@pytest.mark.parametrize('world', [1, 2, 3, 5])
@pytest.mark.parametrize('size', [1, 4, 5, 6])
def test_what_fills_up_a_process_is_not_counted(world, size):
    """MMEngine's DefaultSampler repeats images until every process has as many."""
    padded = [*range(size), *range(size)][: -(-size // world) * world]
    shares = [padded[rank::world] for rank in range(world)]
    assert sorted(counted_images(shares, size)) == list(range(size))


def test_processes_that_see_the_same_images_are_refused(monkeypatch):
    monkeypatch.setattr(sampling, 'all_gather_object', lambda own: [own[:3], own[:3]])
    with pytest.raises(ValueError, match='gives 3 of 6 images, and 3 of them again'):
        check_sampling(DataLoader(Images()))
