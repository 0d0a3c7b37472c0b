"""Imports point one way: a folder imports its own layer and lower ones, and third parties enter by their doors.

What stands loose at the top of the package is the method, in layers 1 and 2. Imports are read from the source, those
inside functions too. A new folder, or a new loose file, gets its place in the table.
"""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = 'mmseg_clipsurgery'
ROOT = Path(__file__).parents[1] / PACKAGE
TORCH = {'numpy', 'torch'}
MMSEG = {'mmcv', 'mmengine', 'mmseg'}


class Layer(NamedTuple):
    """Folders and loose files (a dotted name: one file of a folder), and the third parties they may import."""

    files: set[str]
    third_parties: set[str]


LAYERS = [
    Layer({'version', 'resources', 'environment'}, set()),
    Layer({'vocabulary', 'word_files', 'word_lines'}, set()),
    Layer(
        {
            'surgery_constants',
            'surgery',
            'structures',
            'attention',
            'affinities',
            'traces',
            'kept_traces',
            'token_maps',
            'new_path',
            'dual_path',
            'compatibility',
            'methods',
            'explainers',
            'similarity',
            'recognition',
            'explain',
            'refine',
        },
        TORCH,
    ),
    Layer({'protocols'}, set()),
    Layer({'inference', 'visualization', 'scenes'}, TORCH | {'PIL', 'matplotlib'}),
    Layer({'clip'}, TORCH | {'open_clip', 'safetensors', 'huggingface_hub'}),
    Layer({'guides'}, TORCH),
    Layer({'models', 'datasets'}, TORCH | MMSEG | {'PIL'}),
    Layer({'evaluation'}, TORCH | MMSEG | {'PIL'}),
    Layer({'faithfulness'}, TORCH),
    Layer({'api'}, TORCH | {'PIL'}),
    Layer({'leaderboard', 'export'}, TORCH | MMSEG | {'PIL'}),
    Layer({'web'}, TORCH | {'PIL'}),
    Layer({'cli', 'test', '__main__', '__init__'}, TORCH | MMSEG | {'PIL'}),
]
DOORS = {
    'environment.torchvision_shim': {'torch'},
    'datasets.converters.ade20k_847': {'cv2'},
    'export.onnx_file': {'onnxruntime'},
    'datasets.converters.context': {'scipy'},
    'datasets.converters.coco_things': {'pycocotools'},
    'guides.weights': {'huggingface_hub'},
    'leaderboard.charts': {'matplotlib'},
    'api.opencv': {'cv2'},
    'api.formats.coco': {'pycocotools'},
    'api.formats.detections': {'supervision'},
    'api.sam': {'transformers'},
    'web.server': {'gradio'},
}  # third parties that one file alone may import

WITHOUT_MMSEG = [
    'environment.progress',
    'evaluation.metrics.average_precision',
    'evaluation.metrics.confusion',
    'evaluation.saved_predictions',
    'datasets.base_datasets',
    'datasets.mask_check',
    'cli.convert',
    'visualization.label_maps',
]  # what the interface and the command line use where no stack is installed; the package's own file is left out


def module_of(path: Path) -> str:
    """'surgery', 'scenes.draw', '__init__'; a folder's own file stands for the folder: 'scenes'."""
    module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    return module.removesuffix('.__init__')


MODULES = {module_of(path): path for path in sorted(ROOT.rglob('*.py')) if '.mim' not in path.parts}


def layer_of(module: str) -> int:
    """Position in `LAYERS` of the module's folder, or of the loose file."""
    folder = module.partition('.')[0]
    places = [number for number, layer in enumerate(LAYERS) if folder in layer.files]
    assert len(places) == 1, (
        f'{folder} has {len(places)} places in LAYERS of {Path(__file__).name}; give it one'
    )
    return places[0]


def imported_names(source: str, parents: list[str]) -> Iterator[str]:
    """Dotted names of all imports of one file, relative ones resolved; `parents` are the folders it lies in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            base = [*base, *([node.module] if node.module else [])]
            yield from ('.'.join([*base, alias.name]) for alias in node.names)


def imports(module: str) -> tuple[set[str], set[str]]:
    """(modules of ours, third parties) that a module imports."""
    path = MODULES[module]
    parents = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    ours, others = set(), set()
    for name in imported_names(path.read_text(encoding='utf-8'), parents):
        top, _, rest = name.partition('.')
        if top == PACKAGE:
            ours.add(nearest_module(rest))
        elif top not in sys.stdlib_module_names:
            others.add(top)
    return ours, others


def nearest_module(name: str) -> str:
    """The module that a dotted name below the package lies in: 'surgery.Surgery' -> 'surgery'."""
    while name and name not in MODULES:
        name = name.rpartition('.')[0]
    return name or '__init__'


def violations(module: str) -> list[str]:
    """What a module imports against the rules, in words."""
    ours, others = imports(module)
    number = layer_of(module)
    allowed = LAYERS[number].third_parties | DOORS.get(module, set())
    found = [f'{name}, which is in a higher layer' for name in ours if layer_of(name) > number]
    return found + [f'{name}, a third party that layer {number} may not import' for name in others - allowed]


@pytest.mark.parametrize('module', MODULES)
def test_imports_point_one_way(module):
    assert not violations(module), f'{module} imports ' + '; '.join(violations(module))


@pytest.mark.parametrize('module', WITHOUT_MMSEG)
def test_these_need_no_mmseg(module):
    reached, left = set(), [module]
    while left:
        name = left.pop()
        folder = name.rpartition('.')[0]
        if name in MODULES and name not in reached:
            reached.add(name)
            left += [folder, *(imports(name)[0] - {'__init__'})]
    needing = {name: sorted(imports(name)[1] & MMSEG) for name in reached if imports(name)[1] & MMSEG}
    assert not needing


def test_no_circle():
    graph = {module: imports(module)[0] - {module} for module in MODULES}
    assert len([*TopologicalSorter(graph).static_order()]) == len(MODULES)


@pytest.mark.parametrize(
    ('source', 'parents', 'names'),
    [
        ('import torch.nn as nn', [PACKAGE], ['torch.nn']),
        ('from . import surgery', [PACKAGE], [f'{PACKAGE}.surgery']),
        ('from .surgery import Surgery', [PACKAGE], [f'{PACKAGE}.surgery.Surgery']),
        ('from ..surgery import Surgery', [PACKAGE, 'scenes'], [f'{PACKAGE}.surgery.Surgery']),
        ('def f():\n    from open_clip import model', [PACKAGE], ['open_clip.model']),
    ],
    ids=['plain', 'sibling', 'name of a sibling', 'from a folder', 'inside a function'],
)
def test_imports_are_found(source, parents, names):
    assert list(imported_names(source, parents)) == names


@pytest.mark.parametrize(
    ('module', 'source', 'complaint'),
    [
        ('similarity', 'from .clip.vit import CLIPSurgeryViT', 'higher layer'),
        ('similarity', 'import open_clip', 'third party'),
        ('refine', 'from mmseg.registry import MODELS', 'third party'),
        ('vocabulary', 'import torch', 'third party'),
    ],
)
def test_a_violation_is_seen(module, source, complaint, tmp_path, monkeypatch):
    (tmp_path / f'{module}.py').write_text(source, encoding='utf-8')
    modules = {name: tmp_path / f'{name}.py' for name in ('clip.vit', module)}
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    monkeypatch.setattr(sys.modules[__name__], 'MODULES', modules)
    assert any(complaint in violation for violation in violations(module))
