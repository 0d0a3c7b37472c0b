"""The page in a real browser, used as a person does; one server and one browser for all of it.

Skipped where gradio, playwright or a Chromium is missing: `make test-web` has the first two.
"""

import json
import os
import secrets
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import photos
from mmseg_clipsurgery.api.loading import load
from mmseg_clipsurgery.api.reading import Reading
from mmseg_clipsurgery.web.answers import Answers
from mmseg_clipsurgery.web.server import STOPPED, serve

import numpy as np
import pytest
from PIL import Image
from test_answers import Sam

pytest.importorskip('gradio')
playwright = pytest.importorskip('playwright.sync_api')
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason='there is no Chromium'),
]
PATIENCE = 60_000  # milliseconds
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']


@pytest.fixture(scope='module')
def answers() -> Answers:
    model = load('scenes', text_cache=False)
    return Answers({'clip_surgery': model}, Reading(max_pixels=25_000_000), sam=Sam())


@pytest.fixture(scope='module')
def url(answers) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ('GRADIO_TEMP_DIR', 'no_proxy', 'NO_PROXY'):  # `serve` sets them
            patch.setenv(name, os.environ.get(name, ''))
        served = serve(answers, 'Model: scenes', port=free_port())
        yield served.url.rstrip('/')
        served.close()
        assert not served.folder.exists()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


@pytest.fixture(scope='module')
def browser():
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope='module')
def visitor(browser, url):
    """A page that most tests use in turn, as one person does; each sets what it needs."""
    with visit(browser, url) as opened:
        yield opened


@pytest.fixture
def page(visitor):
    """Its console stays free of errors, and it asks no other server."""
    yield visitor.page
    assert not visitor.wrong


class visit:
    """A visitor's page, and what went wrong on it."""

    def __init__(self, browser, url: str):
        self.context = browser.new_context(viewport={'width': 1400, 'height': 950}, accept_downloads=True)
        self.page, self.url, self.wrong = self.context.new_page(), url, []

    def __enter__(self):
        page, wrong = self.page, self.wrong
        page.set_default_timeout(PATIENCE)
        page.on(
            'console', lambda said: wrong.append(said.text) if said.type in ('error', 'warning') else None
        )
        page.on('pageerror', lambda error: wrong.append(str(error)))
        page.on(
            'request',
            lambda asked: (
                None if asked.url.startswith((self.url, 'data:', 'blob:')) else wrong.append(asked.url)
            ),
        )
        page.goto(self.url)
        page.wait_for_selector('#segment-run')
        return self

    def __exit__(self, *error):
        self.context.close()
        if error[0] is None:
            assert not self.wrong


def press(page, button: str, message: str) -> str:
    """Click a button; what the line below the answer then says."""
    before = page.inner_text(f'#{message}')
    page.click(f'#{button}')
    return said(page, message, before)


def said(page, message: str, before: str = '') -> str:
    """What a line says once it says something else than before."""
    page.wait_for_function(
        '([id, before]) => { const now = document.getElementById(id).innerText; return now.trim() && now != before }',
        arg=[message, before],
    )
    return page.inner_text(f'#{message}')


def tab(page, name: str) -> None:
    page.get_by_role('tab', name=name).click()


def picture(page, name: str, before: str | None = None) -> str:
    """The address of a picture once it is another than before."""
    page.wait_for_function(
        '([id, before]) => { const found = document.querySelector(`#${id} img`);'
        ' return found && found.complete && found.naturalWidth > 50 && found.src != before }',
        arg=[name, before],
    )
    return page.get_attribute(f'#{name} img', 'src')


def test_segment_and_files(page, answers):
    assert 'ladybird' in press(page, 'segment-run', 'segment-message')
    picture(page, 'segment-picture')
    page.fill('#words textarea', 'ladybird, water, gravel')
    assert 'house' not in press(page, 'segment-run', 'segment-message')
    assert press(page, 'segment-make', 'segment-message') == '5 files.'
    with page.expect_download() as download:
        page.locator('#segment-files a').first.click()
    assert set(np.unique(np.asarray(Image.open(download.value.path())))) <= {0, 1, 2}


def test_methods_side_by_side(page):
    page.fill('#words textarea', 'ladybird, gravel, house')
    press(page, 'segment-run', 'segment-message')
    narrow = size(page, picture(page, 'segment-picture'))
    page.click('#methods input')
    page.get_by_role('option', name='sclip', exact=True).click()
    page.keyboard.press('Escape')
    before = page.get_attribute('#segment-picture img', 'src')
    told = press(page, 'segment-run', 'segment-message')
    assert 'clip_surgery: ' in told
    assert 'sclip: ' in told
    assert size(page, picture(page, 'segment-picture', before)) > narrow


def size(page, address: str) -> int:
    return page.evaluate(
        'address => fetch(address).then(r => r.blob()).then(createImageBitmap).then(b => b.width)', address
    )


def test_opacity_of_heat_maps_is_live(page):
    tab(page, 'Heat maps')
    page.fill('#words textarea', 'ladybird, gravel')
    assert press(page, 'heat-run', 'heat-message') == '2 words.'
    before = picture(page, 'heat-picture')
    page.locator('#heat-opacity input[type=range]').fill('0.1')
    picture(page, 'heat-picture', before)


def test_points_by_word_and_by_clicks(page):
    tab(page, 'Points')
    picture(page, 'points-picture')
    page.click('#points-picture img', position={'x': 50, 'y': 60})
    assert said(page, 'points-message') == '1 positive, 0 negative points'
    page.get_by_label('negative').check()
    before = page.inner_text('#points-message')
    page.click('#points-picture img', position={'x': 90, 'y': 60})
    assert said(page, 'points-message', before) == '1 positive, 1 negative points'
    page.fill('#target textarea', 'ladybird')
    found = press(page, 'points-run', 'points-message')
    assert int(found.split()[0]) > 1
    assert 'mask of 100%' in press(page, 'points-mask', 'points-message')
    picture(page, 'mask-picture')
    assert page.locator('#points-files a').count() >= 2
    assert press(page, 'points-clear', 'points-message') != found


def test_tabs_keep_their_names(page):
    titles = ['Segment', 'Heat maps', 'Points', 'Recognise', 'Explain a sentence', 'Patch attention']
    for title in titles:
        tab(page, title)
        assert [shown.inner_text() for shown in page.get_by_role('tab').all()] == titles


def test_recognise_and_explain(page):
    tab(page, 'Recognise')
    assert press(page, 'recognise-run', 'recognise-message').startswith('Is it there?')
    picture(page, 'recognise-picture')
    tab(page, 'Explain a sentence')
    page.fill('#sentence textarea', 'a ladybird on gravel')
    assert press(page, 'explain-run', 'explain-message').startswith('Match (cosine)')
    picture(page, 'explain-picture')


def test_patch_attention_by_a_click(page):
    tab(page, 'Patch attention')
    page.click('#patches img', position={'x': 60, 'y': 70})
    assert 'goes to patches' in said(page, 'attention-message')
    picture(page, 'attention-picture')


def test_photos_are_chosen_and_bad_ones_get_a_sentence(page, tmp_path):
    tab(page, 'Segment')
    page.fill('#words textarea', 'ladybird, wood')
    press(page, 'segment-run', 'segment-message')
    picture(page, 'segment-picture')
    page.locator('#scenes button').nth(2).click()
    assert said(page, 'photo-message') == 'val_002.png, 96 x 96 pixels'
    assert page.locator('#segment-picture img').count() == 0  # it was about another photo
    good = photos.save(tmp_path / 'mine.png', photos.photo(40, 60))
    text, wide = tmp_path / 'notes.jpg', tmp_path / 'wide.png'
    text.write_text('no photo')
    Image.new('1', (20_000, 2_000)).save(wide)
    before = page.inner_text('#photo-message')
    for path, sentence in (
        (good, 'mine.png, 60 x 40 pixels'),
        (text, 'notes.jpg is no image that can be read'),
        (wide, 'wide.png has 40,000,000 pixels, more than the limit'),
    ):
        page.locator('input[type=file]').first.set_input_files(path)
        before = said(page, 'photo-message', before)
        assert sentence in before
    tab(page, 'Segment')
    page.fill('#words textarea', 'ladybird, gravel')
    assert 'clip_surgery: ' in press(page, 'segment-run', 'segment-message')


def test_bad_words_get_a_sentence_and_the_page_lives_on(page):
    tab(page, 'Segment')
    for words, sentence in (('', 'got no words'), ('w, ' * 1000, 'got 1,000 words')):
        page.fill('#words textarea', words)
        assert sentence in press(page, 'segment-run', 'segment-message')
    page.fill('#words textarea', 'ladybird, <img src=x onerror=alert(1)>')
    assert '<img src=x' in press(page, 'segment-run', 'segment-message')


def test_two_tabs_with_other_words_do_not_meet(browser, url):
    with visit(browser, url) as first_visitor, visit(browser, url) as second_visitor:
        one, two = first_visitor.page, second_visitor.page
        one.fill('#words textarea', 'ladybird, gravel')
        two.fill('#words textarea', 'house, grass')
        two.locator('#scenes button').nth(4).click()
        said(two, 'photo-message')
        one.click('#segment-run')
        two.click('#segment-run')
        first, second = said(one, 'segment-message'), said(two, 'segment-message')
        assert ('gravel' in first, 'grass' in first) == (True, False)
        assert ('gravel' in second, 'grass' in second) == (False, True)
        assert one.inner_text('#photo-message') == ''


def status(address: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    'path', ['/etc/passwd', '../../etc/passwd', str(Path(__file__)), 'https://example.com/x']
)
@pytest.mark.parametrize(
    'route', ['/gradio_api/file=', '/file=', '/gradio_api/file/', '/static/', '/assets/']
)
def test_no_file_of_the_server_can_be_read(url, route, path):
    assert status(f'{url}{route}{path}') in (403, 404)


class Caller:
    """A visitor without a browser: what the page's own script sends, by hand."""

    def __init__(self, url: str):
        self.url, self.session = url, secrets.token_hex(4)
        with urllib.request.urlopen(f'{url}/config') as found:
            config = json.load(found)
        self.names = {part['id']: part['props'].get('elem_id') for part in config['components']}
        self.events = config['dependencies']

    def call(self, name: str, *data: object) -> dict:
        """What an event of the field of this name ends in; None stands for what a session keeps."""
        (event,) = (e for e in self.events if self.names[e['targets'][0][0]] == name)
        body = {'data': data, 'fn_index': event['id'], 'session_hash': self.session}
        request = urllib.request.Request(
            f'{self.url}/gradio_api/queue/join',
            json.dumps(body).encode(),
            {'Content-Type': 'application/json'},
        )
        urllib.request.urlopen(request).close()
        address = f'{self.url}/gradio_api/queue/data?session_hash={self.session}'
        with urllib.request.urlopen(address, timeout=60) as stream:
            for line in stream:
                said = json.loads(line.removeprefix(b'data: ')) if line.startswith(b'data: ') else {}
                if said.get('msg') == 'process_completed':
                    return said
        raise AssertionError('no answer')

    def upload(self, name: str, data: bytes) -> str:
        """Send a file; where it lies on the server."""
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        form = {'Content-Type': 'multipart/form-data; boundary=x'}
        body = head.encode() + data + b'\r\n--x--\r\n'
        request = urllib.request.Request(f'{self.url}/gradio_api/upload', body, form)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)[0]


def file(path: str) -> dict:
    return {'path': path, 'meta': {'_type': 'gradio.FileData'}}


def test_no_path_can_be_named_as_an_upload(url, tmp_path):
    """A visitor who says that a file of the server is what he uploaded gets none of it."""
    caller = Caller(url)
    data = photos.save(tmp_path / 'mine.png', photos.photo(40, 60)).read_bytes()
    own = caller.call('upload', file(caller.upload('mine.png', data)), None)
    assert own['output']['data'][1].endswith('60 x 40 pixels')
    for path in (tmp_path / 'mine.png', '/etc/passwd', Path(__file__)):
        assert caller.call('upload', file(str(path)), None)['success'] is False


def test_eight_visitors_at_once_are_answered_about_their_own_words(url):
    pairs = [('zebra', 'water'), ('house', 'gravel'), ('sock', 'water'), ('zebra', 'gravel')] * 2
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(
                lambda pair: Caller(url).call('segment-run', None, ', '.join(pair), ['clip_surgery'], 0.6),
                pairs,
            )
        )
    for pair, event in zip(pairs, found, strict=True):
        shares = dict(
            part.rsplit(' ', 1) for part in event['output']['data'][1].partition(': ')[2].split(', ')
        )
        assert shares.keys() <= set(pair)
        assert event['output']['data'][1] == found[pairs.index(pair)]['output']['data'][1]


def test_large_uploads_are_refused(url):
    for size in ((20 << 20) + 1, 30 << 20):
        with pytest.raises(urllib.error.URLError):  # 413, or the end of the connection
            Caller(url).upload('large.jpg', bytes(size))
    kept = Path(os.environ['GRADIO_TEMP_DIR']).rglob('large.jpg')
    assert not [path for path in kept if path.stat().st_size > 20 << 20]
    assert status(f'{url}/alive') == 200


def test_foreign_names_and_large_bodies_are_refused(url):
    assert status(url, Host='evil.example') == 403
    assert status(f'{url}/gradio_api/upload', **{'Content-Length': str(1 << 40)}) == 413
    assert status(f'{url}/alive') == 200


def test_a_stopped_server_is_told_on_the_page(browser, answers, url, monkeypatch):
    monkeypatch.setenv(
        'GRADIO_TEMP_DIR', os.environ['GRADIO_TEMP_DIR']
    )  # of the other server, which lives on
    served = serve(answers, 'Model: scenes', port=free_port())
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.url)
    page.wait_for_selector('#segment-run', timeout=PATIENCE)
    served.close()
    assert page.wait_for_selector('#stopped', timeout=PATIENCE).inner_text() == STOPPED
    context.close()
