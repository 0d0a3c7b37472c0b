"""Section `loop`: photos on disk to figures, by the test tool, against the tower alone and one window at a time.

the test tool      `mmseg_clipsurgery.test` on `configs/clipsurgery_voc.py` with random weights, loader and metrics
                   included, in a process of its own; its first batch is left out
the plain tower    open_clip's own forward of the very windows, which lie on the device, in batches as large
window by window   `published.window_loop` over our tower, from images on the device to labels

bf16 on a GPU: autocast for the tool and the loop, weights in bf16 for the plain tower, which is its fastest way. fp32
on a CPU. All are images a second on the wall; a photo that is read again stands for another one.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmseg_clipsurgery.inference.precision import TowerRunner

import torch
from torch import Tensor

from . import processes, published
from .clock import progress, summary
from .prediction import windows_of
from .subjects import Photos, Subjects

SHORT_SIDE, LONG_SIDE = 336, 2048


class Load(NamedTuple):
    """How much is read at once, and how much in all.

    Attributes:
        images: that the test tool reads.
        batch: images in a batch of the data loader.
        window_batch: windows that the tower reads at once.
        looped: images that are read window by window.
    """

    images: int
    batch: int
    window_batch: int
    looped: int


LOADS = {'cpu': Load(24, 1, 16, 12), 'cuda': Load(3200, 16, 96, 100)}
QUICK = Load(2, 1, 4, 1)


@torch.inference_mode()
def section(
    subjects: Subjects, load: Load, rounds: int, options: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Rounds of the three, one after the other.

    Args:
        subjects: what is measured.
        load: see `Load`.
        rounds: runs of each.
        options: further `--cfg-options` of the test tool.
    """
    photos = subjects.photos
    names = [photos.names[i % len(photos)] for i in range(load.images)]
    distinct = list(dict.fromkeys(names))
    images = [resized(subjects, photos[i]) for i in range(len(distinct))]
    shapes = [photos[i].shape[:2] for i in range(len(distinct))]
    queries = subjects.words('voc21').queries
    run = TowerRunner(precision_of(subjects.device))
    plain = subjects.plain((224, 224)).to(run.dtype or torch.float32)
    windows = torch.cat([windows_of(image) for image in images]).to(run.dtype or torch.float32)
    repeats = -(-load.images // len(distinct))

    def tower() -> int:
        for _ in range(repeats):
            for part in windows.split(load.window_batch):
                plain(part)
        return repeats * len(distinct)

    def looped() -> int:
        def encode(window: Tensor) -> Tensor:
            return run(subjects.tower, window, class_token=False).patch_tokens.float()

        count = min(load.looped, len(distinct))
        for image, shape in zip(images[:count], shapes, strict=False):
            published.window_loop(encode, image, queries.embeddings, queries.class_of, shape)
        return count

    rates: dict[str, list[float]] = {'the test tool': [], 'the plain tower': [], 'window by window': []}
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(photos, names, Path(folder), subjects.device, load, options)
        tool.rate(max(2 * load.batch, 2))  # fills the cache of words
        tower(), looped()
        begun = time.perf_counter()
        for number in range(rounds):
            rates['the test tool'].append(tool.rate(load.images))
            rates['the plain tower'].append(rate(tower, subjects.device))
            rates['window by window'].append(rate(looped, subjects.device))
            progress('loop', number + 1, rounds, time.perf_counter() - begun)
    return {
        **load._asdict(),
        'photos': len(distinct),
        'precision': precision_of(subjects.device),
        'windows an image': round(len(windows) / len(distinct), 2),
        'images a second': {name: summary(list_) for name, list_ in rates.items()},
        'to the tower': quotients(rates['the test tool'], rates['the plain tower']),
        'to one window at a time': quotients(rates['the test tool'], rates['window by window']),
    }


class Tool:
    """Runs of the test tool over a list of photos.

    Args:
        photos: the folder.
        names: of the photos in the order in which they are read; a name may occur again.
        folder: for the list, the cache and results.
        device: 'cpu' or 'cuda'.
        load, options: see `section`.
    """

    def __init__(
        self,
        photos: Photos,
        names: Sequence[str],
        folder: Path,
        device: torch.device,
        load: Load,
        options: dict[str, Any] | None,
    ):
        self.photos, self.folder = photos, folder
        listed = folder / 'val.txt'
        listed.write_text('\n'.join(names) + '\n')
        self.options = {
            'test_dataloader.dataset.ann_file': listed,
            'test_dataloader.batch_size': load.batch,
            'model.test_cfg.window_batch': load.window_batch,
            'model.test_cfg.precision': precision_of(device),
            **(options or {}),
        }

    def rate(self, images: int) -> float:
        """Images a second over the first `images` of the list, the first batch left out."""
        result, _ = processes.run(self.photos, images, [None], self.folder, self.options)
        return result.get('images_per_second_after_first_batch') or result['images_per_second']


def precision_of(device: torch.device) -> str:
    return 'bf16' if device.type == 'cuda' else 'fp32'


def resized(subjects: Subjects, photo: Any) -> Tensor:
    """A photo as the config's pipeline resizes it, normalised: "3 H W"."""
    height, width = photo.shape[:2]
    factor = min(SHORT_SIDE / min(height, width), LONG_SIDE / max(height, width))
    return subjects.normalised(photo, (int(height * factor + 0.5), int(width * factor + 0.5)))


def rate(call: Callable[[], int], device: torch.device) -> float:
    """Images a second on the wall of a call that returns how many images it read."""
    begun = time.perf_counter()
    images = call()
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return images / (time.perf_counter() - begun)


def quotients(ones: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    return summary([one / other for one, other in zip(ones, others, strict=True)])
