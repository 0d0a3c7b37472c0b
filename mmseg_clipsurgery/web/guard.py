"""What stands before gradio's server: an ASGI layer that refuses what no browser of ours sends.

Host            on a local address only local names, so that a foreign page can't reach it under a name of its own
length          of a request's body: `most_bytes`, stated or counted
/file=http...   gradio would send the browser on to any address
the page        without the scripts and fonts of other servers, which it would ask for
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ALIVE = '/alive'
LOCAL = ('127.0.0.1', 'localhost', '[::1]')
OUTSIDE = re.compile(
    rb'<link\b[^>]*\bhref="https?://[^>]*>|<script\b[^>]*\bsrc="https?://[^>]*>\s*</script>', re.IGNORECASE
)
ELSEWHERE = re.compile(r'/file[=/]\s*(https?|ftp):', re.IGNORECASE)


class TooLarge(Exception):
    """A body exceeds what is taken."""


class Guard:
    """The layer.

    Args:
        app: the ASGI application behind it.
        most_bytes: of a request's body.
        names: hosts under which the page is asked for; empty: any.
    """

    def __init__(self, app: Any, most_bytes: int, names: tuple[str, ...]):
        self.app, self.most_bytes, self.names = app, most_bytes, names

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope['headers']}
        if why := self.refusal(scope['path'], headers):
            await answer(send, *why)
            return
        if scope['path'] == ALIVE:
            await answer(send, 200, 'alive')
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        page = scope['path'] in ('', '/') and scope['method'] == 'GET'
        try:
            await self.app(scope, self.counted(receive), cleaned(sent) if page else sent)
        except TooLarge:
            if not started:
                await answer(send, 413, self.too_large())

    def refusal(self, path: str, headers: MutableMapping[bytes, bytes]) -> tuple[int, str] | None:
        """Status and sentence for a request that is not passed on; None for others."""
        host = headers.get(b'host', b'').decode('latin-1').lower()
        if self.names and re.sub(r':\d+$', '', host) not in self.names:
            return 403, f'open this page under one of the names {", ".join(self.names)}'
        if ELSEWHERE.search(path):
            return 403, 'this page gives out no files of other servers'
        stated = headers.get(b'content-length', b'0')
        if not stated.isdigit() or int(stated) > self.most_bytes:
            return 413, self.too_large()
        return None

    def too_large(self) -> str:
        return f'more than {self.most_bytes:,} bytes were sent; send a smaller file'

    def counted(self, receive: Receive) -> Receive:
        """What is received, up to the bound; then TooLarge."""
        total = 0

        async def received() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get('body', b''))
            if total > self.most_bytes:
                raise TooLarge
            return message

        return received


def without_outside(page: bytes) -> bytes:
    """HTML without what it would load from other servers."""
    return OUTSIDE.sub(b'', page)


def cleaned(send: Send) -> Send:
    """Sends a page once it is whole, without what is outside."""
    start: Message = {}
    body = bytearray()

    async def sent(message: Message) -> None:
        if message['type'] == 'http.response.start':
            start.update(message)
            return
        body.extend(message.get('body', b''))
        if message.get('more_body'):
            return
        page = without_outside(bytes(body))
        headers = [(name, value) for name, value in start['headers'] if name.lower() != b'content-length']
        await send({**start, 'headers': [*headers, (b'content-length', str(len(page)).encode())]})
        await send({'type': 'http.response.body', 'body': page})

    return sent


async def answer(send: Send, status: int, sentence: str) -> None:
    """A short answer in plain text."""
    body = sentence.encode()
    headers = [(b'content-type', b'text/plain; charset=utf-8'), (b'content-length', str(len(body)).encode())]
    await send({'type': 'http.response.start', 'status': status, 'headers': headers})
    await send({'type': 'http.response.body', 'body': body})
