"""`tools/faithfulness.py` from the command line: own explainers on the embedded scenes, files, mistakes."""

import json
import re

import own_files
from mmseg_clipsurgery.cli import faithfulness

import pytest

pytestmark = pytest.mark.mmseg
OWN = """
from mmseg_clipsurgery import EXPLAINERS
from mmseg_clipsurgery.explainers.explainer import Explainer

EXPLAINERS['colours'] = Explainer(
    'bright patches', lambda walk, text: walk.images.unfold(2, 8, 8).unfold(3, 8, 8).mean(dim=(1, 4, 5))[:, None],
    reads_text=False)
"""


@pytest.mark.slow
def test_an_own_explainer_on_the_scenes(tmp_path, capsys):
    file = own_files.write(tmp_path / 'mine.py', OWN)
    page = tmp_path / 'page.md'
    page.write_text('# Mine\n\n<!-- table: prompts -->\n<!-- end table -->\n')
    given = ['--import', str(file), '--explainers', 'colours', '--tests', 'prompts', '--images', '3']
    with own_files.forgotten():
        code = faithfulness.main(
            [*given, '--out', str(tmp_path / 'out'), '--page', str(page), '--device', 'cpu']
        )
    assert code == 0, capsys.readouterr().err
    record = json.loads((tmp_path / 'out/scenes/results.json').read_text())
    row = record['explainers']['colours']
    assert (row['title'], row['reads_text'], len(row['source'])) == ('bright patches', False, 64)
    assert row['tests']['prompts']['absent rho'] == {'mean': 1.0, 'error': 0.0, 'count': 3}
    assert '| bright patches |' in page.read_text()
    assert '# scenes: 3 images, seed 0, 12 steps' in (tmp_path / 'out/scenes/tables.md').read_text()


MISTAKES = {
    'no images': (['--images', '0'], '--images must be a whole number >= 1, got 0'),
    'no such config': (['--config', 'nowhere'], 'nowhere'),
    'no such folder': (['--config', 'voc', '--data-root', '/no/such'], '/no/such of .* does not exist'),
    'no such explainer': (['--explainers', 'legrod'], "unknown explainer 'legrod'"),
}


@pytest.mark.parametrize(('given', 'message'), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_sentence(given, message, tmp_path, capsys):
    assert faithfulness.main([*given, '--out', str(tmp_path), '--device', 'cpu']) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(f'^error: .*{message}', line)


def test_a_check_needs_a_page(capsys):
    with pytest.raises(SystemExit):
        faithfulness.main(['--check'])
    assert '--check goes with --page' in capsys.readouterr().err
