"""What a type checker makes of a user's few lines: results by name, one for a photo and a list for a list."""

import re

import pytest

SCRIPT = """
from pathlib import Path
import mmseg_clipsurgery
model = mmseg_clipsurgery.load('ViT-B-16', 'openai').to('cpu')
reveal_type(model)
reveal_type(model.segment('street.jpg', ['road', 'car'], scores=True))
reveal_type(model.segment(['a.jpg', 'b.jpg'], ['road', 'car']))
reveal_type(model.heatmaps(Path('street.jpg'), 'car'))
reveal_type(model.points((Path('street.jpg'),), 'car'))
reveal_type(model.recognise(b'...', ['car']))
reveal_type(model.attention(['a.jpg'], (3, 4), block=-2))
model.segment('street.jpg')
model.segment('street.jpg', ['road'], scale=2)
"""
REVEALED = [
    'SurgeryModel',
    'Segmentation',
    'list[Segmentation]',
    'HeatMaps',
    'list[Points]',
    'Recognition',
    'list[PatchAttention]',
]
# Large packages whose types are not asked about.
OTHERS = ('torch', 'PIL', 'cv2', 'huggingface_hub', 'matplotlib', 'mmengine', 'mmseg', 'numpy', 'open_clip')
CONFIG = f"""[mypy]
ignore_missing_imports = True
[mypy-{','.join(f'{name}.*' for name in OTHERS)}]
follow_imports = skip
"""


@pytest.mark.slow
def test_a_users_script_reveals_results(tmp_path):
    from mypy import api

    (tmp_path / 'script.py').write_text(SCRIPT)
    (tmp_path / 'mypy.ini').write_text(CONFIG)
    options = [
        '--config-file',
        str(tmp_path / 'mypy.ini'),
        '--cache-dir',
        str(tmp_path),
        '--follow-imports=silent',
    ]
    report, errors, _ = api.run([*options, str(tmp_path / 'script.py')])
    assert not errors
    revealed = re.findall(r'Revealed type is "(.*)"', report)
    names = [re.sub(r'[a-z_.]*\.([A-Za-z]+)', r'\1', found) for found in revealed]
    assert names == REVEALED, report
    assert set(re.findall(r'script.py:(\d+): error', report)) == {'12', '13'}, report
