"""Sections on answers given elsewhere: by onnxruntime in place of PyTorch, and by the page in the browser."""

import tempfile
from collections.abc import Callable
from dataclasses import replace

from mmseg_clipsurgery.api.encoders import Encoders
from mmseg_clipsurgery.api.loading import load as load_model
from mmseg_clipsurgery.api.reading import Reading
from mmseg_clipsurgery.export.onnx_file import GridLogits, check_extra, exported, trained_size
from mmseg_clipsurgery.models.head import SurgeryHead
from mmseg_clipsurgery.scenes import CLASSES
from mmseg_clipsurgery.web.answers import Answers
from mmseg_clipsurgery.web.handlers import Handlers
from mmseg_clipsurgery.web.photos import SCENES, scene

import torch

from .measure import Measured, Row
from .processes import CPU
from .workload import Workload


@torch.inference_mode(False)
@torch.no_grad()
def onnx(load: Workload) -> dict[str, Row]:
    """Logits of one image of the trained size, by what is exported and by its file, with as many threads."""
    scenes = load_model('scenes', text_cache=False)
    models = {'the model': replace(load, device=CPU).encoders, 'scenes': scenes.encoders}
    ways = {f'{name}, {by}': way for name, one in models.items() for by, way in both_ways(one).items()}
    measured = Measured(ways, load.rounds, CPU)
    rows = {way: measured.row(way, to=f'{way.partition(",")[0]}, PyTorch') for way in ways}
    for name in models:
        ours, other = (ways[f'{name}, {by}'](0) for by in ('PyTorch', 'onnxruntime'))
        rows[f'{name}, onnxruntime']['largest difference'] = float(abs(ours.numpy() - other[0]).max())
    return rows


def both_ways(encoders: Encoders) -> dict[str, Callable]:
    """What gives the same logits by PyTorch and by onnxruntime."""
    check_extra()
    import onnxruntime

    options, size = onnxruntime.SessionOptions(), trained_size(encoders.tower)
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')  # waiting must not count as work
    module = GridLogits(encoders.tower, SurgeryHead(), encoders.text('voc21')).eval()
    with tempfile.TemporaryDirectory() as folder:
        exported(module, size, encoders.tower)[0].save(path := f'{folder}/tower.onnx')
        session = onnxruntime.InferenceSession(path, options)
    image = torch.randn(1, 3, *size)
    inputs = {'images': image.numpy()}
    return {'PyTorch': lambda r: module(image), 'onnxruntime': lambda r: session.run(None, inputs)}


def page(load: Workload) -> dict[str, Row]:
    """What the page's button does for a scene and words in a new order, picture included; needs no gradio."""
    with torch.inference_mode(False):
        model = load_model('scenes', text_cache=False)
    handlers = Handlers(Answers({'clip_surgery': model}, Reading(), kept_bytes=0), None)

    def ask(r: int) -> None:
        words = [CLASSES[(r + k) % len(CLASSES)] for k in range(14)]
        picture, told = handlers.segment(scene(r % SCENES), ', '.join(words), ['clip_surgery'], 0.6)
        assert picture is not None, told

    return {'labels, 14 words': Measured({'labels': ask}, load.rounds, CPU).row('labels')}
