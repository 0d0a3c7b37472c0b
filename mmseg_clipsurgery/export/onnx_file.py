"""A config's segmentor as an ONNX file: tower and fixed words, for programs without PyTorch.

    input     images "b 3 H W", fp32: RGB in grey levels, (pixel - mean) / std
    output    logits "b q h w" on the patch grid, by the config's similarity, before the logit scale
    metadata  `mmseg_clipsurgery`: JSON of `facts`, what a program needs besides

Height and width are free; where the exporter can't leave them free, they are fixed, and a log line says why. A file
whose logits differ from PyTorch's is not kept. docs/onnx.md runs one.
"""

import importlib.util
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..environment.files import atomic_write, reason
from ..environment.numbers import check_count
from ..environment.paths import file_to_write
from ..environment.quiet import import_quietly
from ..inference.normalization import tower_statistics
from ..inference.windows import margins
from ..structures import TextQueries
from ..version import __version__
from .checkpoint import built, check_ending

KEY = 'mmseg_clipsurgery'
LARGEST_DIFFERENCE = 1e-3  # of the logits, relative to the largest one
LARGEST_FILE = 1536 << 20  # bytes of weights that torch keeps within one file
LARGEST_SIDE = 8192  # pixels, of images of free size
Size = tuple[int, int]
logger = logging.getLogger('mmseg_clipsurgery')


class GridLogits(nn.Module):
    """Images "b 3 H W" -> logits "b q h w" of fixed words.

    Args:
        tower: the image tower, under its own surgery.
        head: makes logits of tokens and words.
        queries: the words.
    """

    def __init__(self, tower: Any, head: Any, queries: TextQueries):
        super().__init__()
        self.tower, self.head = tower, head
        self.register_buffer('embeddings', queries.embeddings)
        self.register_buffer('empty', queries.empty)

    def forward(self, images: Tensor) -> Tensor:
        grid = self.tower.grid_of((images.shape[2], images.shape[3]))
        (tokens,) = self.tower.read_group(images, [self.tower.surgery], grid, self.head.needs_class_token)
        return self.head(tokens, TextQueries(self.embeddings, None, self.empty))


def export_onnx(
    config: str, out: str, options: Mapping[str, Any] | None = None, size: Size | None = None
) -> None:
    """Build the segmentor of a config and write its tower and words as an ONNX file, verified against PyTorch.

    Args:
        config, options: as of `checkpoint.export`.
        out: the file's path.
        size: (height, width) in pixels of the input, where they are not free; None: the config's window, else the size
            that the tower was trained at.

    Raises:
        ValueError: another ending than .onnx, a missing extra, a config that is more than a tower and words, or logits
            that differ.
    """
    target = file_to_write(out, 'the ONNX file')
    check_ending(target, 'an ONNX file', ('.onnx',), 'without --onnx a checkpoint is written')
    check_extra()
    model = built(config, options)
    check_exportable(model)
    size = size_of(model, size)
    module = GridLogits(model.backbone, model.decode_head, model.text_encoder()).eval()
    program, free = exported(module, size, model.backbone)
    program.model.metadata_props[KEY] = json.dumps(facts(model, None if free else size))
    patch = model.backbone.patch
    others = [trained_size(model.backbone), (size[0] + patch, size[1])] if free else []
    atomic_write(target, lambda temporary: save_verified(program, temporary, module, [size, *others], out))
    height, width = ('any', 'any') if free else size
    print(f'{out}: {len(model.class_names)} classes, images of {height} x {width} pixels (height x width)')


def save_verified(program: Any, path: Path, module: GridLogits, sizes: Sequence[Size], out: str) -> None:
    """Write torch's ONNX program, run it, and print by how much its logits differ.

    Args:
        program: what `exported` made.
        path: where it is written.
        module: what it was made of.
        sizes: (height, width) in pixels, of images that both are run on.
        out: the file's name, for messages.

    Raises:
        ValueError: the logits differ by more than `LARGEST_DIFFERENCE`.
    """
    program.save(str(path))
    difference = largest_difference(path, module, sizes)
    if not difference <= LARGEST_DIFFERENCE:
        raise ValueError(
            f"the exported logits differ from PyTorch's by {difference:.2g} of the largest, so {out} is not kept; "
            'give --size, or another surgery'
        )
    print(f"{out}: largest difference from PyTorch's logits {difference:.2g} of the largest")


def check_extra() -> None:
    """Refuse to start without the packages that write and run ONNX files. Raises ValueError."""
    wanted = ('onnx', 'onnxscript', 'onnxruntime')
    if missing := [name for name in wanted if importlib.util.find_spec(name) is None]:
        raise ValueError(
            f"an ONNX file needs {', '.join(missing)}: run pip install 'mmseg_clipsurgery[onnx]', or leave --onnx out"
        )


def check_exportable(model: Any) -> None:
    """Refuse a segmentor that is more than a tower and fixed words. Raises ValueError with what it is."""
    settings = model.settings
    more = {
        'feedback, which reads the words of a first reading': settings.feedback,
        'a second tower (guide)': model.guide,
        'an explainer': settings.explainer,
        'variants': model.variants,
        "the head's global_share or prompt_shift, which look at the whole image": model.decode_head.has_prior,
    }
    if found := next((what for what, given in more.items() if given), None):
        raise ValueError(
            f'an ONNX file holds one tower and fixed words, and the config has {found}; leave it out'
        )
    if (weights := sum(value.nbytes for value in model.backbone.state_dict().values())) > LARGEST_FILE:
        raise ValueError(
            f'the weights of {model.backbone.label} take {weights:,} bytes, one ONNX file {LARGEST_FILE:,} at most; '
            'give a smaller tower'
        )
    if model.vocabulary is None:
        raise ValueError('the config has no words: set model.text_encoder.vocabulary')


def trained_size(tower: Any) -> Size:
    """(height, width) in pixels at which a tower was trained."""
    height, width = tower.trained_grid
    return height * tower.patch, width * tower.patch


def size_of(model: Any, given: Size | None) -> Size:
    """The size by which a tower is traced, see `export_onnx`. Raises ValueError for one that it does not have."""
    window, multiple = model.settings.windows[0], model.settings.pad_to(model.backbone.patch)
    padded = window and tuple(side + sum(margins(side, multiple)) for side in window)
    size = given or padded or trained_size(model.backbone)
    for side in size:
        check_count('--size', side, least=model.backbone.patch)
        if side > LARGEST_SIDE:
            raise ValueError(f'--size must be at most {LARGEST_SIDE} pixels, got {side}')
    return size


def exported(module: GridLogits, size: Size, tower: Any) -> tuple[Any, bool]:
    """torch's ONNX program of a module, and whether height and width are free.

    Raises:
        ValueError: the exporter knows no form of what the surgery does.
    """
    import_quietly(['onnxscript'])
    batch, side = torch.export.Dim('batch'), dict(min=tower.patch, max=LARGEST_SIDE)
    free = {0: batch, 2: torch.export.Dim('height', **side), 3: torch.export.Dim('width', **side)}
    # A traced size other than the trained one, at which the table is not fitted.
    other = (size[0] + tower.patch, size[1] + 2 * tower.patch)
    why = 'the exporter put numbers in their places'
    try:
        program = traced(module, other if size == trained_size(tower) else size, free)
        if is_free(program):
            return program, True
    except Exception as error:  # whatever the exporter makes of a form that it does not know
        why = reason(first_cause(error))
    logger.warning('height and width are fixed at %d x %d pixels (%s)', *size, why)
    try:
        return traced(module, size, {0: batch}), False
    except Exception as error:
        raise ValueError(
            f'{tower.label} under {tower.surgery.name!r} has no ONNX form ({reason(first_cause(error))}); give another '
            'surgery'
        ) from error


def first_cause(error: BaseException) -> BaseException:
    """What an exporter's chain of errors began with."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def is_free(program: Any) -> bool:
    """Whether an ONNX program takes images of any height and width."""
    (images,) = program.model.graph.inputs
    return not any(isinstance(side, int) for side in images.shape.dims[2:])


def traced(module: GridLogits, size: Size, dynamic: Mapping[int, Any]) -> Any:
    """torch's ONNX program of a module at a size, some of the input's sides free."""
    images = torch.zeros(2, 3, *size)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of torch's own parts
        return torch.onnx.export(
            module,
            (images,),
            dynamo=True,
            dynamic_shapes={'images': dict(dynamic)},
            input_names=['images'],
            output_names=['logits'],
            verbose=False,
        )


def facts(model: Any, size: Size | None) -> dict[str, Any]:
    """What a program needs besides the network: classes, the class of each query, pixels, windows, thresholds."""
    tower, settings = model.backbone, model.settings
    crop, stride = settings.windows
    return {
        'version': __version__,
        'classes': list(model.class_names),
        'class_of': model.text_encoder().class_of.tolist(),
        **tower_statistics(tower),
        'patch': tower.patch,
        'size': size,
        'window': crop,
        'stride': stride,
        'pad_to': settings.pad_to(tower.patch),
        'logit_scale': settings.logit_scale,
        'threshold': model.decode_head.threshold,
        'surgery': tower.surgery.name,
    }


def largest_difference(path: Path, module: GridLogits, sizes: Sequence[Size]) -> float:
    """The largest difference of a file's logits from the module's, relative to the largest logit, over some sizes."""
    import onnxruntime

    session, noise = onnxruntime.InferenceSession(str(path)), torch.Generator().manual_seed(0)
    found = []
    for count, size in enumerate(sizes, start=1):
        images = torch.randn(count, 3, *size, generator=noise)
        with torch.no_grad():
            wanted = module(images).numpy()
        (logits,) = session.run(None, {'images': images.numpy()})
        found.append(float(np.abs(logits - wanted).max() / np.abs(wanted).max()))
    return max(found)
