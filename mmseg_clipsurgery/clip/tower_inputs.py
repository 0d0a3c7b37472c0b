"""What a tower is made or called with beside images: surgeries by name, a second tower's features, a block."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from ..surgery import Surgery


def named(
    surgeries: Iterable[str | Mapping | Surgery] | Mapping[str, str | Mapping | Surgery],
) -> dict[str, Surgery]:
    """Surgeries by name. Raises ValueError for none, or two of one name."""
    if isinstance(surgeries, str | Surgery):
        raise ValueError(f'give a list of surgeries, got {surgeries!r} alone')
    if isinstance(surgeries, Mapping):
        pairs = [(name, Surgery.read(surgery)) for name, surgery in surgeries.items()]
    else:
        rows = [(surgery, Surgery.read(surgery)) for surgery in surgeries]
        pairs = [(given if isinstance(given, str) else row.name, row) for given, row in rows]
    if not pairs:
        raise ValueError('got no surgeries; give at least one')
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(
            f'got the surgery {twice[0]!r} twice; give each once, or a mapping from names of your own'
        )
    return dict(pairs)


def check_guide(guide: Tensor | None, images: Tensor, surgeries: Iterable[Surgery]) -> None:
    """Check a second tower's features of some images, where a surgery reads them.

    Raises:
        ValueError: they are missing, or not "b c h w" in floating point for as many images.
    """
    wanting = [row.name for row in surgeries if 'guide' in row.traces()]
    if wanting and guide is None:
        raise ValueError(
            f'{wanting[0]!r} reads the features of a second tower; pass guide="b c h w", such as what a DINOViT gives'
        )
    if guide is not None and (
        guide.dim() != 4 or len(guide) != len(images) or not guide.is_floating_point() or not guide.numel()
    ):
        raise ValueError(
            f'guide must be "b c h w" in floating point for {len(images)} images, got {guide.dtype} of shape '
            f'{tuple(guide.shape)}'
        )


def check_layer(layer: int | None, depth: int | None, label: str) -> int | None:
    """The block at which a tower of `depth` blocks is read. Raises ValueError for one that it does not have."""
    if layer is None:
        return None
    if depth is None:
        raise ValueError(f'{label} has no blocks to choose from, so leave layer={layer!r} out')
    if isinstance(layer, bool) or not isinstance(layer, int) or not 1 <= layer <= depth:
        raise ValueError(f'layer is the number of a block, 1 to {depth} of {label}, got {layer!r}')
    return layer
