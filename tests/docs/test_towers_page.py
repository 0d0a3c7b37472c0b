"""docs/towers.md: its table is that of the code, its tags exist, its block runs."""

import importlib.util
import re

import doc_blocks
from mmseg_clipsurgery import scenes
from mmseg_clipsurgery.clip.families import tower_class
from mmseg_clipsurgery.environment.stack import distribution_version

import open_clip
import pytest
from PIL import Image

PAGE = doc_blocks.ROOT / 'docs' / 'towers.md'
TEXT = PAGE.read_text(encoding='utf-8')
pytestmark = pytest.mark.skipif(
    not distribution_version('open_clip_torch').startswith('3.3'),
    reason='the page counts those of open_clip 3.3',
)


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('towers_tool', doc_blocks.ROOT / 'docs' / 'towers_table.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_table_is_that_of_the_code(tool):
    """`python docs/towers_table.py` writes it."""
    assert tool.page() == TEXT


def test_every_config_that_is_read_stands_in_one_row(tool):
    names = [name for kind in tool.KINDS for name in tool.names_of(kind)]
    assert sorted(names) == sorted(
        name for family in tool.FAMILIES.values() for name in family.supported_archs()
    )
    assert all(kind.example in tool.names_of(kind) for kind in tool.KINDS)


def test_the_tags_of_the_page_exist():
    tags = re.findall(r'([\w-]+):(\w+)(?= |\))', re.search(r'`--backbones (.*?)`', TEXT)[1] + ' ')
    tags += re.findall(r'`([\w-]+-[\w-]+)`, `(\w+)`', TEXT)
    assert len(tags) == 5
    for arch, tag in tags:
        assert tag in open_clip.list_pretrained_tags_by_model(arch)
        assert tower_class(arch)


@pytest.mark.slow
def test_the_block_runs(tmp_path, monkeypatch):
    Image.open(scenes.ensure() / 'JPEGImages' / 'val_029.png').save(tmp_path / 'photo.png')
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in doc_blocks.blocks_of(PAGE) if block.language == 'python')
    found: dict = {}
    exec(block.text, found)
    assert found['labels'].shape == (96, 96)
