"""Whether a run sees every image of its data set once: what a data loader leaves out or repeats is refused."""

from collections.abc import Iterable
from itertools import chain, islice
from typing import Any

from mmengine.dist import all_gather_object

from ..datasets.base_datasets import base_datasets
from .metrics.distributed_sum import images_owned


def check_sampling(loader: Any) -> None:
    """Make sure that the processes of a run see every image once between them.

    Args:
        loader: the test data loader of this process.

    Raises:
        ValueError: an image is left out or comes again; on every process.
    """
    dataset = loader.dataset
    size, files = len(dataset), sum(map(len, base_datasets(dataset)))
    if size != files:
        raise ValueError(
            f'{type(dataset).__name__} gives {size} images where there are {files}: evaluate the data set itself'
        )
    batches: Iterable[Iterable[int]] = loader.batch_sampler or ([index] for index in loader.sampler)
    shares = all_gather_object(list(islice(chain.from_iterable(batches), size + 1)))
    counted = counted_images(shares, size)
    if sorted(counted) != list(range(size)):
        raise ValueError(
            f'the data loader gives {len(set(counted))} of {size} images, and {len(counted) - len(set(counted))} of '
            "them again: set test_dataloader.drop_last=False and test_dataloader.sampler=dict(type='DefaultSampler', "
            'shuffle=False)'
        )


def counted_images(shares: list[list[int]], size: int) -> list[int]:
    """Indices of the images that metrics count, without the one that fills up a process (see `distributed_sum`).

    Args:
        shares: of each process, the indices that it sees, in order.
        size: number of images.
    """
    world = len(shares)
    counted: list[int] = []
    for rank, share in enumerate(shares):
        owned = images_owned(size, rank, world)
        filled = len(share) == owned + 1 == images_owned(size, 0, world)
        counted += share[:owned] if filled else share
    return counted
