"""What an exported file's ending says is what it holds; settings that nobody knows are named."""

from mmseg_clipsurgery.cli import export as command

import pytest

pytestmark = pytest.mark.mmseg


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (
            ['a.onnx'],
            "a checkpoint ends in .pth or .pt or .safetensors, got the ending '.onnx'; --onnx writes",
        ),
        (['a.txt'], "got the ending '.txt'"),
        (['a'], "got the ending ''"),
        (
            ['a.pth', '--onnx'],
            "an ONNX file ends in .onnx, got the ending '.pth'; without --onnx a checkpoint",
        ),
        (['there.pth'], 'there.pth is there already; name another file, or give --overwrite'),
        (['there.onnx', '--onnx'], 'there.onnx is there already'),
        (
            ['a.pth', '--cfg-options', 'model.backbone.surgary=x'],
            "no setting 'surgary': did you mean surgery",
        ),
    ],
    ids=[
        'a model for a checkpoint',
        'a text',
        'none',
        'a checkpoint for a model',
        'there',
        'an ONNX there',
        'typo',
    ],
)
def test_mistakes_are_told_before_a_model_is_built(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ('there.pth', 'there.onnx'):
        (tmp_path / name).write_text('kept')
    assert command.main(['clipsurgery_scenes', *words]) == 1
    assert message in capsys.readouterr().err
    assert {path.read_text() for path in tmp_path.iterdir()} == {'kept'}
