"""Section `memory`: what a prediction needs above the weights, in a process of its own.

    2048 x 1024 (width x height), slide 224 / 112, labels only; 21, 171 and 847 classes

CPU: the high-water mark of resident memory (VmHWM, set back after the model is built, freed memory given back to the
system before) less the resident memory then. Where the mark cannot be set back, `ru_maxrss` less its value then. CUDA:
`torch.cuda.max_memory_allocated` less what was allocated.
"""

import contextlib
import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmseg_clipsurgery import version  # noqa: F401  before torch: it makes torchvision importable

import torch

from .clock import rounded
from .subjects import Photos, Subjects

ROOT = Path(__file__).resolve().parents[1]
VOCABULARIES = {21: 'voc21', 171: 'coco_stuff164k', 847: 'ade20k_847'}
MIB = 2**20


def section(task: dict[str, Any]) -> dict[str, Any]:
    """Measure in fresh processes, one for each vocabulary.

    Args:
        task: as for `measure`, but for the vocabulary; all of it JSON.
    """
    found = {}
    for classes, vocabulary in VOCABULARIES.items():
        print(f'  memory: {classes} classes', file=sys.stderr)
        found[str(classes)] = in_fresh_process('benchmarks.memory', {**task, 'vocabulary': vocabulary})
    height, width = task['size']
    buffers = {str(k): rounded(2 * 4 * k * height * width / MIB) for k in VOCABULARIES}
    return {
        'size': [height, width],
        'window batch': task['window_batch'],
        'classes': found,
        'two full buffers': buffers,
    }


def in_fresh_process(module: str, task: dict[str, Any]) -> dict[str, Any]:
    """What a module of this folder prints, as JSON on its last line, when it gets a task."""
    done = subprocess.run(
        [sys.executable, '-m', module, json.dumps(task)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(task: dict[str, Any]) -> dict[str, float]:
    """MiB above the weights of the plain tower on one window batch and of a whole prediction.

    Args:
        task: arch, device, threads, photos (folder or None), vocabulary, size (H, W), window_batch.
    """
    torch.set_num_threads(task['threads'])
    device = torch.device(task['device'])
    subjects = Subjects(task['arch'], device, Photos(task['photos']))
    batch, size = task['window_batch'], tuple(task['size'])
    crop = min(224, *size)
    model = subjects.segmentor(
        task['vocabulary'], mode='slide', crop_size=crop, stride=crop // 2, window_batch=batch
    )
    image = subjects.normalised(subjects.photos[0], size)
    found: dict[str, float] = {'weights': rounded(weights_mib(model))}
    with torch.inference_mode():
        windows = image[None, :, :crop, :crop].expand(batch, -1, -1, -1).contiguous()
        with peak(device, found, 'tower on one window batch'):
            subjects.tower(windows, class_token=False)
        with peak(device, found, 'labels'):
            model.predict([image])
    return found


def weights_mib(model: torch.nn.Module) -> float:
    """The image tower's parameters."""
    return sum(value.numel() * value.element_size() for value in model.backbone.parameters()) / MIB


@contextlib.contextmanager
def peak(device: torch.device, found: dict[str, float], name: str) -> Iterator[None]:
    """Put the MiB that what stands inside needs at most, above what is held before, under a name."""
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield
        found[name] = rounded((torch.cuda.max_memory_allocated(device) - before) / MIB)
        return
    give_back()
    before = resident(reset=True)
    yield
    found[name] = rounded((resident() - before) / MIB)


def give_back() -> None:
    """Freed memory that the C library keeps goes back to the system, where it can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL('libc.so.6').malloc_trim(0)


def resident(reset: bool = False) -> int:
    """High-water mark of resident memory in bytes; reset: set it back to what is resident now."""
    if reset:
        with contextlib.suppress(OSError):
            Path('/proc/self/clear_refs').write_text('5')
    status = Path('/proc/self/status')
    if status.is_file():
        fields = dict(line.split(':', 1) for line in status.read_text().splitlines())
        return int(fields['VmHWM'].split()[0]) << 10
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == 'darwin' else largest << 10


if __name__ == '__main__':
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    print(json.dumps(measure(json.loads(sys.argv[1]))))
