"""`mmseg-clipsurgery web`: a page in the browser that does what the commands on photos do, with a click."""

import argparse
import socket
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..environment.command_line import CommandParser
from ..environment.extensions import import_files
from ..environment.mistakes import guarded
from ..environment.numbers import check_count
from .common import add_debug_option, add_import_option
from .options import add_model

if TYPE_CHECKING:
    from ..web.answers import Answers

HOST, PORT = '127.0.0.1', 7860
MAX_PIXELS, MAX_UPLOAD = 25_000_000, 20  # of a photo; MiB of its file


def main(arguments: Sequence[str]) -> int:
    """Serve the page until it is interrupted; the exit code."""
    parsed = parser().parse_args(arguments)
    return guarded(lambda: serve_forever(parsed), parsed.debug, stopped='the page is closed')


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = CommandParser(
        prog='mmseg-clipsurgery web',
        description='Open a page in the browser: choose a photo, type words, see what each method says.',
    )
    add_model(made)
    made.set_defaults(max_pixels=MAX_PIXELS)
    page = made.add_argument_group('page')
    page.add_argument(
        '--host', default=HOST, help='address to serve on (default: %(default)s, this machine alone)'
    )
    page.add_argument('--port', type=int, default=PORT, help='(default: %(default)s)')
    page.add_argument(
        '--max-upload', type=int, default=MAX_UPLOAD, metavar='MIB', help='of a photo (default: %(default)s)'
    )
    page.add_argument(
        '--sam', metavar='MODEL', help='a SAM or SAM 2 that draws masks from points: hub name or folder'
    )
    add_import_option(made)
    add_debug_option(made)
    return made


def serve_forever(arguments: argparse.Namespace) -> None:
    """Load the model and serve the page.

    Raises:
        ImportError: gradio is missing; with the remedy.
        ValueError: the address is taken, or see `load_models`.
    """
    check_address(arguments.host, arguments.port)
    check_count('--max-upload', arguments.max_upload)
    from ..web.server import import_gradio, serve

    import_gradio()
    import_files(arguments.imports)
    title, answers = answers_of(arguments)
    page = serve(answers, title, arguments.host, arguments.port)
    try:
        print(f'the page is at {page.url} (Ctrl+C closes it)', flush=True)
        threading.Event().wait()
    finally:
        page.close()


def answers_of(arguments: argparse.Namespace) -> 'tuple[str, Answers]':
    """The model's title, and what the page asks."""
    from ..api.reading import Reading
    from ..web.answers import Answers
    from ..web.limits import MIB, Limits
    from .models import ARCH, device_of, load_models

    limits = Limits(upload_bytes=arguments.max_upload * MIB)
    reading = Reading(arguments.bit_depth, arguments.max_pixels)
    print('loading the model', file=sys.stderr, flush=True)
    sam = None
    if arguments.sam:
        from ..api.sam import Sam

        sam = Sam(arguments.sam).to(device_of(arguments))
    models = load_models(arguments, 'short_side', 'explain_side', 'recognise_side')
    return title_of(arguments.arch or ARCH), Answers(models, reading, limits, sam)


def title_of(arch: str) -> str:
    """Which model the page asks; of the embedded one what it knows, since a photo of the world gets nonsense."""
    if arch == 'scenes':
        return (
            'Model: scenes, which knows drawn scenes alone (for photos start the page without --arch scenes)'
        )
    return f'Model: {arch}'


def check_address(host: str, port: int) -> None:
    """Find out before a model is loaded whether the address can be had.

    Raises:
        ValueError: it can't.
    """
    if not 1 <= port <= 65535:
        raise ValueError(f'--port must be from 1 to 65535, got {port}')
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise ValueError(
            f'the page cannot be served on {host} port {port} ({error.strerror or error}); another page may be there: '
            f'give another --port, such as {port % 65535 + 1}'
        ) from None
