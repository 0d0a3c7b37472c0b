"""Logits of an image, kept as small as the windows' patch grids and computed row chunk by row chunk.

Upsampling a window, averaging overlaps, flipping and resizing to the original are linear and act on rows and columns
separately. So an image's logits at any size are one product, and the full tensor is never allocated:

    logits[y, x, q] = sum_ij rows[y, i] tiles[i, j, q] columns[x, j]

    tiles      the grid logits of all windows side by side, "Y X q"
    rows       "H Y": bilinear weights of each output row over the tiles' rows, divided by how many windows see it
    columns    "W X": likewise

Each output row depends on a handful of tile rows (two in each window that sees it), so a chunk of rows costs little
more than writing it. Queries come last: the softmax and the maximum over them run over contiguous memory. Positions are
computed in float32, as `F.interpolate` does, everything after them in float64. Weights stay on the CPU, whatever the
tiles' device: which tiles a chunk uses is then known without a device synchronisation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Size = tuple[int, int]
CPU_CHUNK = 2 << 20  # bytes; stays in a processor's cache
ACCELERATOR_CHUNK = 256 << 20  # bytes; few, large launches
BLOCK = (32, 128)  # pixels whose best queries are found together: rows at most, columns
MANY_QUERIES = 40  # from this number on, pruning queries first pays on a CPU
ROUNDING = 1e-6  # relative to the largest logit


@dataclass(frozen=True)
class TiledLogits:
    """Averaged logits of one image.

    Attributes:
        tiles: "Y X q", on the tower's device.
        rows, columns: "H Y" and "W X", float64, on the CPU; see the module's head.
    """

    tiles: Tensor
    rows: Tensor
    columns: Tensor

    @property
    def size(self) -> Size:
        return len(self.rows), len(self.columns)

    def flipped(self, dims: Sequence[int]) -> 'TiledLogits':
        """The same, mirrored along the dimensions of "c H W" given (1: rows, 2: columns)."""
        rows = self.rows.flip(0) if 1 in dims else self.rows
        return replace(self, rows=rows, columns=self.columns.flip(0) if 2 in dims else self.columns)

    def resized(self, size: Size) -> 'TiledLogits':
        """The same at another size (H, W): bilinear, align_corners=False."""
        if tuple(size) == self.size:
            return self
        rows, columns = map(interpolated, (self.rows, self.columns), size)
        return replace(self, rows=rows, columns=columns)

    def row_chunks(
        self, memory: int | None = None, row_mask: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor]]:
        """Chunks of rows from the top.

        Args:
            memory: bytes of one chunk's logits; None: a size that suits the device, at least one row.
            row_mask: "H", bool, on the CPU; chunks without a row of the mask are left out.

        Yields:
            (rows, logits "r W q"). The tensor is a reused buffer, overwritten by the next iteration.

        Raises:
            ValueError: `memory` is less than one row's logits.
        """
        tiles = self.tiles.detach()
        columns = self.columns.to(tiles)
        width, queries = len(columns), tiles.shape[2]
        height = chunk_height(width * queries * tiles.element_size(), memory, tiles.device)
        # Reuse one buffer: allocating per chunk costs more than the product that fills it.
        buffer = tiles.new_empty(min(height, len(self.rows)), width * queries)
        drawn: dict[int, Tensor] = {}
        for top in range(0, len(self.rows), height):
            chunk = slice(top, min(top + height, len(self.rows)))
            if row_mask is not None and not row_mask[chunk].any():
                continue
            weights = self.rows[chunk]
            used = weights.ne(0).any(dim=0).nonzero().flatten().tolist()
            if used != list(drawn):
                new = [i for i in used if i not in drawn]
                fresh = dict(zip(new, (columns @ tiles[new]).flatten(1), strict=True)) if new else {}
                drawn = {i: fresh[i] if i in fresh else drawn[i] for i in used}
                sources = torch.stack(list(drawn.values()))
            logits = torch.mm(weights[:, used].to(tiles), sources, out=buffer[: len(weights)])
            yield chunk, logits.unflatten(1, (width, queries))

    def best_queries(self, memory: int | None = None) -> Tensor:
        """Index of each pixel's largest logit, the first of equals: "H W", int64; `memory` as in `row_chunks`.

        Of many queries, a block of pixels computes only those that can win there (see `candidate_queries`). On an
        accelerator the synchronisation that tells which ones costs more than computing all of them.
        """
        tiles, columns = self.tiles.detach(), self.columns.to(self.tiles)
        best = torch.empty(self.size, dtype=torch.int64, device=tiles.device)
        if tiles.shape[2] < MANY_QUERIES or tiles.device.type != 'cpu':
            for rows, logits in self.row_chunks(memory):
                best[rows] = logits.argmax(dim=-1)
            return best
        row = len(columns) * tiles.shape[2]
        buffer = row * chunk_height(row * tiles.element_size(), memory, tiles.device)
        tolerance = ROUNDING * float(tiles.abs().max())
        across = list(blocks(columns, BLOCK[1]))
        for rows, used, down in blocks(self.rows.to(tiles), BLOCK[0]):
            near = tiles[used]
            for place, used_columns, weights in across:
                sources = weights @ near[:, used_columns]
                queries = candidate_queries(sources, tolerance)
                best[rows, place] = queries[chunked_argmax(down, sources.index_select(2, queries), buffer)]
        return best

    def full(self) -> Tensor:
        """All logits at once, "q H W"."""
        out = self.tiles.new_empty(self.tiles.shape[2], *self.size)
        for rows, logits in self.row_chunks():
            out[:, rows] = logits.permute(2, 0, 1)
        return out


@dataclass(frozen=True)
class DenseLogits:
    """Logits in full, "H W q", with the methods of `TiledLogits`."""

    logits: Tensor

    @property
    def size(self) -> Size:
        return self.logits.shape[0], self.logits.shape[1]

    def best_queries(self, memory: int | None = None) -> Tensor:
        """Index of each pixel's largest logit: "H W", int64."""
        return self.logits.argmax(dim=-1)

    def row_chunks(
        self, memory: int | None = None, row_mask: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor]]:
        """All rows in one chunk: they are in memory anyway."""
        yield slice(0, len(self.logits)), self.logits


def blocks(weights: Tensor, length: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows of weights "H Y" in blocks of `length`: (rows, which of Y they depend on, their weights for those)."""
    for start in range(0, len(weights), length):
        rows = slice(start, min(start + length, len(weights)))
        used = weights[rows].ne(0).any(dim=0).nonzero().flatten()
        yield rows, used, weights[rows][:, used]


def candidate_queries(sources: Tensor, tolerance: float) -> Tensor:
    """Indices of the queries that can have the largest logit somewhere in a block of pixels.

    A logit is a mean of its column's sources "r W q", so a query none of whose sources reaches the smallest source of
    another one is never the largest. `tolerance` allows for rounding.
    """
    floor = sources.amin(dim=0).amax(dim=-1, keepdim=True) - tolerance
    prunable = sources.amax(dim=0) < floor
    return prunable.all(dim=0).logical_not().nonzero().flatten()


def chunked_argmax(weights: Tensor, sources: Tensor, buffer: int) -> Tensor:
    """Index of the largest of the logits weights "h r" x sources "r W q": "h W"; `buffer`: most logits held at once."""
    parts = weights.split(max(1, buffer // sources[0].numel()))
    return torch.cat(
        [(part @ sources.flatten(1)).unflatten(1, sources.shape[1:]).argmax(dim=-1) for part in parts]
    )


def chunk_height(row_bytes: int, memory: int | None, device: torch.device) -> int:
    """How many rows a chunk has.

    Args:
        row_bytes: bytes of one row's logits.
        memory: bytes that a chunk may take; None: what suits the device.
        device: of the logits.

    Raises:
        ValueError: not even one row fits.
    """
    if memory is None:
        return max(1, (CPU_CHUNK if device.type == 'cpu' else ACCELERATOR_CHUNK) // row_bytes)
    if memory < row_bytes:
        raise ValueError(
            f'test_cfg.chunk_memory is {memory} bytes, one row of logits takes {row_bytes}; give at least that'
        )
    return memory // row_bytes


def interpolated(weights: Tensor, want: int) -> Tensor:
    """Weights "have Y" resized to "want Y": bilinear as `F.interpolate(align_corners=False)`, float64."""
    have = len(weights)
    scale = torch.tensor(have, dtype=torch.float32) / want
    position = ((torch.arange(want, dtype=torch.float32) + 0.5) * scale - 0.5).clamp_min(0)
    first = position.floor().long().clamp_max(have - 1)
    second = (first + 1).clamp_max(have - 1)
    share = (position - first).double()[:, None]
    return (1 - share) * weights[first] + share * weights[second]


def window_weights(
    length: int, spans: Sequence[tuple[int, int]], grid: int, before: int, padded: int
) -> Tensor:
    """Weights "length (windows grid)" of each pixel along one side over the grids of the windows that see it.

    Args:
        length: pixels along this side of the image.
        spans: windows along it, (start, stop) in pixels, all of one length.
        grid: patches along a window.
        before: pixels of padding before a window's first pixel.
        padded: a window's length with its padding.
    """
    inside = interpolated(torch.eye(grid, dtype=torch.float64), padded)[
        before : before + spans[0][1] - spans[0][0]
    ]
    weights = torch.zeros(length, len(spans), grid, dtype=torch.float64)
    counts = torch.zeros(length, 1, 1, dtype=torch.float64)
    for k, (start, stop) in enumerate(spans):
        weights[start:stop, k] = inside
        counts[start:stop] += 1
    return (weights / counts).flatten(1)
