"""Whether a surgery fits a tower, and which surgeries can share a walk through it."""

from collections.abc import Sequence
from math import lcm
from typing import Any

from .affinities import AFFINITIES
from .kept_traces import block_numbers
from .surgery import Surgery
from .token_maps import PATH_STEPS, TOKEN_MAPS
from .traces import TRACES


def walk_key(surgery: Surgery, trained: bool) -> tuple:
    """Surgeries with equal keys share one walk through CLIP: equal position tables and equal steps after blocks.

    Args:
        surgery: checked by `check_surgery`.
        trained: whether the grid is the trained one, to which every position rule is the same.
    """
    position = None if trained else surgery.position
    if surgery.each_block is None:
        return position, None
    read = PATH_STEPS[surgery.each_block].constants
    return position, surgery.each_block, *(surgery.constants[name] for name in read)


def check_surgery(
    surgery: Surgery, depth: int | None, label: str, width: int | None = None, class_token: bool = True
) -> Surgery:
    """The surgery itself, where a tower can be read by it.

    Args:
        surgery: the row.
        depth: number of blocks of the tower; None: it has one attention, which every surgery reads.
        label: the tower's name, for messages.
        width: of the tower; None: not known.
        class_token: whether the tower's blocks carry a class token.

    Raises:
        ValueError: more blocks than there are, an unknown affinity, needs that no trace provides, a class token that
            is not there, or constants that belong to another tower.
    """
    if depth is not None and surgery.last_blocks > depth:
        raise ValueError(
            f'the surgery reads the last {surgery.last_blocks} blocks, {label} has {depth}; give '
            'surgery=dict(last_blocks=..., ...) with fewer'
        )
    traces = surgery.traces()
    if depth is None and (traces or surgery.each_block or surgery.reads):
        raise ValueError(
            f'{label} has one attention, its pool, and {surgery.name!r} needs earlier blocks; use a ViT'
        )
    if depth is not None:
        check_blocks(surgery, traces, depth, label)
    if not class_token and reads_class_token(surgery):
        raise ValueError(
            f'{surgery.name!r} looks at the class token of earlier blocks, and {label} has none; use a surgery '
            "that does not, such as 'clip_surgery', or a tower with a class token"
        )
    if surgery.each_block is not None and width is not None:
        misfit = PATH_STEPS[surgery.each_block].misfit(surgery.constants, width)
        if misfit:
            raise ValueError(f'{surgery.name!r} does not fit {label}: {misfit}; {own_constants(["sinks"])}')
    return surgery


def check_blocks(surgery: Surgery, traces: Sequence[str], depth: int, label: str) -> None:
    """Refuse numbers of blocks that belong to a tower of another depth, or lie outside this one's.

    Raises:
        ValueError: says how to give own constants.
    """
    numbers = block_numbers(traces, surgery.constants)
    if numbers and surgery.constants['depth'] != depth:
        raise ValueError(
            f'the block numbers of {surgery.name!r} belong to towers of {surgery.constants["depth"]} blocks, {label} '
            f'has {depth}; {own_constants(["depth", *numbers])}'
        )
    most = depth - surgery.last_blocks
    for name, values in numbers.items():
        if not 1 <= min(values) <= max(values) <= most or list(values) != sorted(values):
            raise ValueError(
                f'the constant {name!r} numbers blocks before those that are read, 1 to {most} of {label}, got '
                f'{surgery.constants[name]}'
            )
    derived = [name for name in traces if TRACES[name].derive]
    if derived and surgery.last_blocks > 1:
        raise ValueError(
            f'{derived[0]!r} is known when the last block is read, so give last_blocks=1, got {surgery.last_blocks}'
        )


def check_feedback(feedback: object | None, surgery: Surgery) -> None:
    """Refuse feedback, whatever it is, for a surgery whose attention takes none. Raises ValueError."""
    takes = surgery.last_blocks == 1 and all(AFFINITIES[name].takes_feedback for name in surgery.affinities())
    if feedback is not None and not takes:
        known = ', '.join(name for name, row in AFFINITIES.items() if row.takes_feedback)
        raise ValueError(
            f'{surgery.name!r} takes no feedback; surgeries with last_blocks=1 and one of the affinities {known} do'
        )


def reads_class_token(surgery: Surgery) -> bool:
    """Whether a surgery's maps of tokens or traces look at the class token."""
    maps = (TOKEN_MAPS[name].class_token for read in surgery.reads for name in (*read.before, *read.after))
    return any(maps) or any(TRACES[name].class_token for name in surgery.traces())


def reads_guide(surgery: Surgery) -> bool:
    """Whether a surgery needs the features of a second tower."""
    return 'guide' in surgery.traces()


def check_has_guide(guide: object | None, surgery: Surgery) -> None:
    """Refuse a surgery that reads a second tower where there is none. Raises ValueError."""
    if guide is None and reads_guide(surgery):
        raise ValueError(
            f'{surgery.name!r} reads the features of a second tower; give '
            "guide=dict(type='DINOViT', arch='vitb8', pretrained=FILE)"
        )


def check_guide_windows(guide: Any, patch: int, crop: tuple[int, int] | None, pad_to: int | None) -> None:
    """Refuse windows that end within a patch of a second tower, which would then lie elsewhere than the first one's.

    Args:
        guide: the second tower.
        patch: of the first one, pixels.
        crop: (height, width) of the windows, None: whole images, which may have any size.
        pad_to: what the sides of windows are padded to multiples of; None: nothing.

    Raises:
        ValueError: says to what they can be padded.
    """
    sides = (pad_to,) if pad_to else crop or ()
    if any(side % guide.patch for side in sides):
        what = f'padded to multiples of {pad_to}' if pad_to else f'of {" x ".join(map(str, sides))} pixels'
        raise ValueError(
            f'windows {what} end within a patch of the guide, which has {guide.patch} pixels; give '
            f'test_cfg.pad_windows={lcm(guide.patch, patch)} or windows whose sides are multiples of {guide.patch}'
        )


def own_constants(names: Sequence[str]) -> str:
    """How to give a row other constants, in a clause."""
    given = ', '.join(f'{name}=...' for name in names)
    return f'give own numbers: surgery=dict(name=..., constants=dict({given}))'
