"""Imports point one way: data -> tensor maths -> CLIP -> MMSeg -> tools, and third parties enter by their doors.

A file may import files of its own layer and of the layers above it in `LAYERS`, never in a circle, and the third
parties of its layer. Imports are read from the source, those inside functions too. A new file gets its
place in the table.
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
OPEN_MMLAB = {'mmcv', 'mmengine', 'mmseg'}


class Layer(NamedTuple):
    """Modules (a folder stands for its files not named elsewhere) and the third parties they may use."""

    files: set[str]
    third_parties: set[str]


LAYERS = {
    'data': Layer(
        {
            'version',
            'shipped',
            'whole_files',
            'surgery',
            'vocabulary',
            'install',
            'data_sets',
            'data_sets.encodings',
            'data_sets.workers',
            'leaderboard',
            'leaderboard.protocols',
            'leaderboard.tables',
            'evaluation',
            'cli',
            'api.word_lists',
        },
        set(),
    ),
    'pictures': Layer(
        {'pictures', 'scenes', 'evaluation.predictions', 'data_sets.mask_check', 'leaderboard.bars'},
        {'numpy', 'PIL', 'matplotlib'},
    ),
    'tensor maths': Layer(
        {
            'evaluation.average_precision',
            'structures',
            'attention',
            'similarity',
            'explain',
            'refine',
            'mosaic',
            'windows',
            'labels',
            'execution',
            'settings',
        },
        TORCH,
    ),
    'CLIP': Layer(
        {'install.torchvision_shim', 'weights', 'text_cache', 'pretrained'},
        TORCH | {'safetensors', 'huggingface_hub'},
    ),
    'MMSeg': Layer(
        {
            'backbone',
            'text_encoder',
            'head',
            'preprocessor',
            'segmentor',
            'tta',
            'data_sets.loading',
            'data_sets.datasets',
            'evaluation.tally',
            'evaluation.metrics',
            'evaluation.explainability',
            'evaluation.recognition',
            'evaluation.hooks',
            'evaluation.heat_map_hook',
        },
        TORCH | OPEN_MMLAB,
    ),
    'tools': Layer(
        {
            'api.*',
            'api',
            'cli.*',
            'data_sets.*',
            'evaluation.*',
            'leaderboard.*',
            'install.doctor',
            'test',
            '__main__',
            '__init__',
        },
        TORCH | OPEN_MMLAB | {'PIL'},
    ),
}
LONELY = {'surgery', 'vocabulary'}  # import nothing of ours either
DOORS = {
    'pretrained': {'open_clip'},
    'data_sets.converters': {'scipy'},
    'api.images': {'cv2'},
    'api.sam': {'transformers'},
}  # third parties that one file alone may import


def module_of(path: Path) -> str:
    """'surgery', 'scenes.draw', '__init__'; a folder's own file stands for the folder: 'scenes'."""
    module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    return module.removesuffix('.__init__')


MODULES = {module_of(path): path for path in sorted(ROOT.rglob('*.py')) if '.mim' not in path.parts}


def layer_of(module: str) -> int:
    """Position in `LAYERS`: that of the module itself, else of `folder.*`, else of its folder."""
    folder = module.partition('.')[0]
    for name in (module, f'{folder}.*' if folder != module else '', folder):
        places = [index for index, layer in enumerate(LAYERS.values()) if name in layer.files]
        if places:
            assert len(places) == 1, f'{name} has {len(places)} places in LAYERS of {Path(__file__).name}'
            return places[0]
    raise AssertionError(f'{module}: give it a place in LAYERS of {Path(__file__).name}')


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
    (layer_name, layer), place = list(LAYERS.items())[layer_of(module)], layer_of(module)
    allowed = layer.third_parties | DOORS.get(module, set())
    found = [f'{name}, which is in a later layer' for name in ours if layer_of(name) > place]
    found += [f'{name}, a third party not of layer "{layer_name}"' for name in others - allowed]
    if module in LONELY:
        found += [f'{name}, but imports nothing of ours' for name in ours]
    return found


@pytest.mark.parametrize('module', MODULES)
def test_imports_point_one_way(module):
    assert not violations(module), f'{module} imports ' + '; '.join(violations(module))


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
        ('similarity', 'from .backbone import CLIPSurgeryViT', 'later layer'),
        ('similarity', 'import open_clip', 'third party'),
        ('backbone', 'import open_clip', 'third party'),
        ('refine', 'from mmseg.registry import MODELS', 'third party'),
        ('surgery', 'import torch', 'third party'),
        ('surgery', 'from .vocabulary import Vocabulary', 'nothing of ours'),
    ],
)
def test_a_violation_is_seen(module, source, complaint, tmp_path, monkeypatch):
    (tmp_path / f'{module}.py').write_text(source, encoding='utf-8')
    modules = {name: tmp_path / f'{name}.py' for name in ('backbone', 'vocabulary', module)}
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    monkeypatch.setattr(sys.modules[__name__], 'MODULES', modules)
    assert any(complaint in violation for violation in violations(module))
