"""docs/methods.md names every method, and what its blocks say is legal."""

import re

import doc_blocks
from mmseg_clipsurgery.compatibility import check_feedback, reads_guide
from mmseg_clipsurgery.inference.settings import InferenceSettings
from mmseg_clipsurgery.leaderboard import tables
from mmseg_clipsurgery.leaderboard.cells import cells, run_config
from mmseg_clipsurgery.surgery import SURGERIES, Surgery

import pytest
from mmseg.registry import MODELS

pytestmark = pytest.mark.mmseg

FILE = doc_blocks.ROOT / 'docs' / 'methods.md'
PAGE = FILE.read_text(encoding='utf-8')
BLOCKS = [block.text for block in doc_blocks.blocks_of(FILE) if block.language == 'python']
COMMANDS = [block.text for block in doc_blocks.blocks_of(FILE) if block.language == '']


@pytest.mark.parametrize('section', ['The table', 'Towers and cost'])
def test_each_method_has_a_line(section):
    text = PAGE.split(f'## {section}\n')[1].split('\n## ')[0]
    first_cells = [line.split('|')[1] for line in text.splitlines() if line.startswith('| `')]
    named = [name for cell in first_cells for name in re.findall(r'`(\w+)`', cell)]
    assert sorted(named) == sorted([*SURGERIES, *(['surgery'] * named.count('surgery'))])


@pytest.mark.parametrize('command', COMMANDS)
def test_the_command_names_what_is_there(command):
    methods, data_sets = re.fullmatch(
        r'python tools/leaderboard.py --methods (.+) --data-sets (.+)\n', command
    ).groups()
    vocabularies = [
        run_config(cell).model.text_encoder.vocabulary for cell in cells(methods.split(), data_sets.split())
    ]
    assert vocabularies == ['context459', 'context459_names']


def test_published_figures_are_generated():
    assert tables.with_blocks(PAGE, tables.blocks([])) == PAGE


@pytest.mark.parametrize('block', BLOCKS)
def test_blocks_are_legal(block):
    found: dict = {}
    exec(block, found)
    model = found['model']
    surgery = Surgery.read(model['backbone']['surgery'])
    InferenceSettings.read(model.get('test_cfg'), patch=16)
    check_feedback((model.get('test_cfg') or {}).get('feedback'), surgery)
    MODELS.build(dict(type='SurgeryHead', **model.get('decode_head', {})))
    assert ('guide' in model) is reads_guide(surgery)


def test_the_constants_of_the_page_fit_deeper_towers():
    (stated,) = re.findall(r'surgery=(dict\(name=.*?\)\))`', PAGE)
    assert Surgery.read(eval(stated)).constants['depth'] == 24
