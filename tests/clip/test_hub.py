"""Tags whose file lies on the hub: the cache first, then one question, and one sentence where there is no answer."""

from pathlib import Path

from mmseg_clipsurgery.clip.hub import of_tag
from mmseg_clipsurgery.clip.sources import fetch_tag

import huggingface_hub
import open_clip
import pytest

REVISION = '0123456789abcdef0123456789abcdef01234567'


def cached(folder: Path, name: str) -> Path:
    """A file of org/tiny in a cache folder, as the hub lays it out."""
    repository = folder / 'models--org--tiny'
    (repository / 'refs').mkdir(parents=True)
    (repository / 'refs' / 'main').write_text(REVISION)
    path = repository / 'snapshots' / REVISION / name
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.fixture
def asked(monkeypatch) -> list:
    """What the hub was asked for; it does not answer."""
    found: list = []

    def model_info(self, repository, timeout):
        found.append(repository)
        raise OSError('a long chain\nof connections')

    monkeypatch.setattr(huggingface_hub.HfApi, 'model_info', model_info)
    return found


@pytest.mark.parametrize(
    ('entry', 'name'),
    [
        ('org/tiny/', 'open_clip_model.safetensors'),
        ('org/tiny/', 'open_clip_pytorch_model.bin'),
        ('org/tiny/own.pt', 'own.safetensors'),
        ('org/tiny/own.pt', 'own.pt'),
    ],
)
def test_a_cached_file_is_taken_without_a_question(entry, name, asked, tmp_path):
    path = cached(tmp_path, name)
    assert of_tag({'hf_hub': entry}, str(tmp_path)) == path
    assert not asked


def test_without_an_answer_nothing_is_fetched_and_one_sentence_says_so(asked, tmp_path, monkeypatch):
    def download(*_, **__):
        raise AssertionError('fetched')

    monkeypatch.setattr(open_clip.pretrained, 'download_pretrained', download)
    with pytest.raises(FileNotFoundError, match=r'in the cache \(the hub does not answer\); check') as caught:
        fetch_tag('tiny', 'own', {'hf_hub': 'org/tiny/'}, str(tmp_path))
    assert asked == ['org/tiny']
    assert '\n' not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_tag_elsewhere_is_not_asked_for(asked):
    assert of_tag({'url': 'https://example.invalid/clip.pt', 'hf_hub': ''}) is None
    assert of_tag({'url': 'https://example.invalid/clip.pt'}) is None
    assert not asked


def test_a_repository_that_is_not_there_says_so(monkeypatch, tmp_path):
    class Missing(OSError):
        response = object()

    def model_info(self, repository, timeout):
        raise Missing('404: org/tiny is no repository')

    monkeypatch.setattr(huggingface_hub.HfApi, 'model_info', model_info)
    with pytest.raises(FileNotFoundError, match='404: org/tiny is no repository'):
        fetch_tag('tiny', 'own', {'hf_hub': 'org/tiny/'}, str(tmp_path))
