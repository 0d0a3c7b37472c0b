"""Sections on memory, in processes of their own: MiB at the high-water mark, above what was held before."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .measure import Row, in_fresh_processes, processor_seconds, rounded
from .workload import PROTOCOL, VOC_PHOTO, Workload

VOCABULARIES = {21: 'voc21', 171: 'coco_stuff164k', 847: 'ade20k_847'}


def memory(load: Workload) -> dict[str, Row]:
    """MiB of each vocabulary."""
    size = load.size(1024, 128), load.size(2048, 256)
    return {f'{k} classes': in_fresh_processes(peaks, (load, k, size))[0] for k in VOCABULARIES}


@torch.inference_mode()
def peaks(load: Workload, k: int, size: tuple[int, int]) -> Row:
    """MiB of the image tower's weights, and above them of the tower on one window batch and of a prediction."""
    words, image, crop = load.encoders.text(VOCABULARIES[k]), load.image(0, size), min(224, *size)
    predictor = load.predictor(mode='slide', crop_size=crop, stride=crop // 2)
    batch = image[:, :, :crop, :crop].expand(16, -1, -1, -1).contiguous()
    return {
        'weights': rounded(sum(value.nbytes for value in load.tower.parameters()) / 2**20),
        'the tower alone on one batch': peak(lambda: load.tower(batch, class_token=False), load.device),
        'to labels': peak(lambda: predictor.predict(image, words), load.device),
        'two full fp32 buffers (on paper)': rounded(8 * k * size[0] * size[1] / 2**20),
    }


def long_run(load: Workload) -> dict[str, Row]:
    """Growing numbers of photos one after the other, slide protocol."""
    counts = (1, 10, 30, 100)[: load.size(4, 1)]
    return {f'{n} images': in_fresh_processes(follow, (load, n))[0] for n in counts}


@torch.inference_mode()
def follow(load: Workload, count: int) -> Row:
    """Processor seconds and MiB above the weights of so many photos, decoding included."""
    words, predictor, begun = load.encoders.text('voc21'), load.predictor(**PROTOCOL), processor_seconds()
    images = (load.image(i) for i in range(count))
    mib = peak(lambda: [predictor.predict(image, words, [VOC_PHOTO]) for image in images], load.device)
    return {'seconds': rounded(processor_seconds() - begun), 'MiB': mib}


def peak(call: Callable[[], Any], device: torch.device) -> float:
    """MiB that a call needs at most, above what is held before: resident, or of the device."""
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:  # give freed memory back to the system, set the high-water mark back
        ctypes.CDLL('libc.so.6').malloc_trim(0)
        Path('/proc/self/clear_refs').write_text('5')
    highest = torch.cuda.max_memory_allocated if device.type == 'cuda' else highest_resident
    before = highest()
    call()
    return rounded((highest() - before) / 2**20)


def highest_resident() -> int:
    """High-water mark of this process's memory, in bytes."""
    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) << 10
