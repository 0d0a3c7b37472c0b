"""Sections on memory, each figure measured in a process of its own.

memory     what a prediction needs above the weights: 2048 x 1024 (width x height), windows of 224 every 112, labels
           only; 21, 171 and 847 classes
long_run   photos one after the other, slide protocol: processor seconds, and what they need above the weights

CPU: the high-water mark of resident memory (VmHWM, set back after the model is built, freed memory given back to the
system before) less the resident memory then. CUDA: the most memory allocated less what was allocated before.
"""

import contextlib
import ctypes
import gc
from collections.abc import Iterator
from pathlib import Path

from mmseg_clipsurgery.api.input_sizes import with_short_side

import torch

from .measure import Section, cost_of, in_fresh_processes, rounded
from .workload import PROTOCOL, Workload

MIB = 2**20


def memory(load: Workload) -> Section:
    """MiB of each vocabulary."""
    size, rows = (load.size(1024, 128), load.size(2048, 256)), {}
    for classes, vocabulary in {21: 'voc21', 171: 'coco_stuff164k', 847: 'ade20k_847'}.items():
        (found,) = in_fresh_processes(peaks, (load, vocabulary, size))
        buffers = rounded(2 * 4 * classes * size[0] * size[1] / MIB)
        rows[str(classes)] = {**found, 'two full fp32 buffers (on paper)': buffers}
    return rows, {}


@torch.inference_mode()
def peaks(load: Workload, vocabulary: str, size: tuple[int, int]) -> dict[str, float]:
    """MiB of the image tower's weights, and above them of the tower on one window batch and of a prediction."""
    words, image, crop = load.encoders.text(vocabulary), load.image(0, size), min(224, *size)
    predictor = load.predictor(mode='slide', crop_size=crop, stride=crop // 2)
    weights = sum(value.numel() * value.element_size() for value in load.tower.parameters())
    found = {'weights': rounded(weights / MIB)}
    windows = image[None, :, :crop, :crop].expand(16, -1, -1, -1).contiguous()
    with peak(load.device, found, 'the tower alone on one batch'):
        load.tower(windows, class_token=False)
    with peak(load.device, found, 'to labels'):
        predictor.predict([image], words)
    return found


def long_run(load: Workload) -> Section:
    """Growing numbers of photos."""
    counts = (1, 10, 30, 100)[: load.size(4, 1)]
    return {str(n): in_fresh_processes(follow, (load, n))[0] for n in counts}, {}


@torch.inference_mode()
def follow(load: Workload, count: int) -> dict[str, float]:
    """Seconds and MiB above the weights of so many photos."""
    words, predictor, found = load.encoders.text('voc21'), load.predictor(**PROTOCOL), {}

    def predict(photo) -> None:
        image = load.encoders.normalized(with_short_side(photo, 336))
        predictor.predict([image], words, [photo.shape[:2]])

    with peak(load.device, found, 'MiB'):
        seconds = cost_of(lambda: [predict(load.photo(i)) for i in range(count)], load.device)[0]
    return {'seconds': rounded(seconds), **found}


@contextlib.contextmanager
def peak(device: torch.device, found: dict[str, float], name: str) -> Iterator[None]:
    """Put the MiB that what stands inside needs at most, above what is held before, under a name."""
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL('libc.so.6').malloc_trim(0)
        Path('/proc/self/clear_refs').write_text('5')
    before = highest(device)
    yield
    found[name] = rounded((highest(device) - before) / MIB)


def highest(device: torch.device) -> int:
    """High-water mark in bytes, of the device's memory or of resident memory."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    fields = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())
    return int(fields['VmHWM'].split()[0]) << 10
