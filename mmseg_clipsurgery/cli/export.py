"""`mmseg-clipsurgery export`: a config's segmentor as a checkpoint, which MMSeg's tools insist on, or as ONNX."""

from collections.abc import Sequence

from ..environment.command_line import CommandParser
from ..environment.extensions import import_files
from ..environment.mistakes import guarded
from ..environment.paths import user_path
from ..environment.stack import require_mmseg
from .common import (
    add_config_options,
    add_debug_option,
    add_import_option,
    add_overwrite_option,
    check_is_new,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: the command line's); the exit code."""
    parser = CommandParser(
        prog='mmseg-clipsurgery export',
        description="Write a config's segmentor with its pretrained weights as a checkpoint, or as an ONNX file.",
    )
    parser.add_argument('config', help='a config file or the name of a shipped one')
    parser.add_argument(
        'out',
        help='the file to write: .pth or .pt, a checkpoint; .safetensors, one without pickle, which tools/test.py '
        'reads; .onnx, with --onnx',
    )
    parser.add_argument(
        '--onnx',
        action='store_true',
        help='write tower and words as an ONNX file, verified against PyTorch; needs the extra [onnx]',
    )
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        help='with --onnx: pixels of an image or window, where its size is fixed',
    )
    add_overwrite_option(parser)
    add_config_options(parser)
    add_import_option(parser)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)

    def action() -> None:
        require_mmseg()
        check_is_new(user_path(arguments.out), arguments.overwrite)
        if arguments.size and not arguments.onnx:
            raise ValueError('--size is of ONNX files; give --onnx too, or leave it out')
        from ..evaluation.configs import parse_options

        import_files(arguments.imports)
        options = parse_options(arguments.cfg_options)
        if arguments.onnx:
            from ..export.onnx_file import export_onnx

            export_onnx(arguments.config, arguments.out, options, arguments.size and tuple(arguments.size))
            return
        from ..export.checkpoint import export

        export(arguments.config, arguments.out, options)

    return guarded(action, arguments.debug)
