"""`web`: what is refused before a model is loaded, each in a sentence."""

import socket
import sys
from types import ModuleType

from mmseg_clipsurgery.cli.web import answers_of, main, parser, title_of

import pytest


def free_port() -> int:
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


def test_a_taken_port_is_a_sentence(capsys):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(['--arch', 'scenes', '--port', str(port)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f'error: the page cannot be served on 127.0.0.1 port {port} (')
    assert said.rstrip().endswith(f'give another --port, such as {port + 1}')


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--port', '0'], '--port must be from 1 to 65535, got 0'),
        (['--max-upload', '0', '--port', str(free_port())], '--max-upload must'),
        (['--host', 'no.such.host.invalid'], 'the page cannot be served on no.such.host.invalid'),
    ],
    ids=['port', 'upload', 'host'],
)
def test_bad_addresses_are_sentences(capsys, arguments, sentence):
    assert main(['--arch', 'scenes', *arguments]) == 1
    assert capsys.readouterr().err.startswith(f'error: {sentence}')


@pytest.mark.parametrize(
    ('module', 'sentence'),
    [
        (None, 'the page needs gradio, which is not installed'),
        ('5.0.0', 'the page needs gradio 6 or newer, got 5.0.0'),
    ],
    ids=['missing', 'old'],
)
def test_a_missing_or_old_gradio_is_a_sentence_with_the_remedy(capsys, monkeypatch, module, sentence):
    if module is not None:
        module, version = ModuleType('gradio'), module
        module.__version__ = version
    monkeypatch.setitem(sys.modules, 'gradio', module)
    for name in (
        'GRADIO_ANALYTICS_ENABLED',
        'GRADIO_SHARE',
        'HF_HUB_DISABLE_TELEMETRY',
        'no_proxy',
        'NO_PROXY',
    ):
        monkeypatch.setenv(name, '')
    assert main(['--arch', 'scenes', '--port', str(free_port())]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert 'pip install "mmseg_clipsurgery[web]"' in said


def test_uploads_have_bounds_by_default():
    parsed = parser().parse_args([])
    assert (parsed.host, parsed.max_pixels, parsed.max_upload) == ('127.0.0.1', 25_000_000, 20)


def test_the_embedded_model_is_said_to_know_drawn_scenes_alone():
    assert title_of('ViT-B-16') == 'Model: ViT-B-16'
    assert 'drawn scenes alone' in title_of('scenes')


@pytest.mark.slow
def test_the_page_asks_the_model_of_the_options():
    options = ['--arch', 'scenes', '--surgery', 'gem', 'sclip', '--max-upload', '3', '--max-pixels', '5000']
    title, answers = answers_of(parser().parse_args(options))
    assert title == title_of('scenes')
    assert answers.chosen == ['gem', 'sclip']
    assert (answers.limits.upload_bytes, answers.reading.max_pixels) == (3 << 20, 5000)
