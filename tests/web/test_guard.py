"""What stands before the server: names, lengths, addresses of others, and a page that asks nobody else."""

import asyncio

from mmseg_clipsurgery.web.guard import LOCAL, Guard, without_outside

import pytest

PAGE = b"""<html><link rel="preconnect" href="https://fonts.example" /><link
 rel="preconnect"
 href="https://fonts.example" crossorigin="anonymous"/><link rel="stylesheet" href="./own.css">
<script src="https://cdn.example/x.js" async></script><script type="module" src="./own.js"></script></html>"""


def ask(
    path: str = '/',
    host: str = 'localhost:7860',
    body: bytes = b'',
    stated: int | None = None,
    most: int = 50,
):
    """Status, headers and body of an answer; the application behind says the page, after it has read the body."""

    async def application(scope, receive, send):
        while (await receive()).get('more_body'):
            pass
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'1')]})
        await send({'type': 'http.response.body', 'body': PAGE[:100], 'more_body': True})
        await send({'type': 'http.response.body', 'body': PAGE[100:]})

    parts = [body[start : start + 20] for start in range(0, len(body), 20)] or [b'']
    messages = [{'type': 'http.request', 'body': part, 'more_body': True} for part in parts]
    messages[-1]['more_body'] = False
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    headers = [(b'host', host.encode())]
    if stated is not None:
        headers.append((b'content-length', str(stated).encode()))
    scope = {'type': 'http', 'path': path, 'method': 'GET', 'headers': headers}
    asyncio.run(Guard(application, most, LOCAL)(scope, receive, send))
    return sent[0]['status'], dict(sent[0]['headers']), b''.join(part.get('body', b'') for part in sent[1:])


@pytest.mark.parametrize(
    ('request_', 'status'),
    [
        (dict(), 200),
        (dict(host='127.0.0.1'), 200),
        (dict(host='[::1]:7860'), 200),
        (dict(host='evil.example:7860'), 403),
        (dict(host=''), 403),
        (dict(path='/gradio_api/file=https://evil.example/x'), 403),
        (dict(path='/gradio_api/file=HTTP://evil.example/x'), 403),
        (dict(path='/file/https://evil.example/x'), 403),
        (dict(path='/x', body=b'x' * 50), 200),
        (dict(path='/x', body=b'x' * 51), 413),
        (dict(path='/x', stated=51), 413),
    ],
    ids=[
        'local',
        'number',
        'v6',
        'other name',
        'no name',
        'address',
        'upper',
        'slash',
        'full',
        'more',
        'stated',
    ],
)
def test_what_is_passed_on(request_, status):
    assert ask(**request_)[0] == status


def test_the_page_asks_no_other_server():
    _, headers, body = ask()
    assert body == without_outside(PAGE)
    assert b'https://' not in body
    assert b'own.css' in body
    assert b'own.js' in body
    assert headers[b'content-length'] == str(len(body)).encode()


def test_other_answers_are_left_alone():
    assert ask('/other')[2] == PAGE
