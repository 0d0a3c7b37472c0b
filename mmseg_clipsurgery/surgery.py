"""A surgery is data: which blocks are read, by which affinity, and what the new path keeps.

    x = CLIP's own tokens, block by block                        (the original path, never changed)
    y = x (residual) or 0, as x enters the first of the last `last_blocks` blocks
    in each of those blocks:   y = y + O(A v)                    q, k, v from LN1(x) of that block
                               y = y + MLP(LN2(y))               where ffn is set
    at the end: class token from x, patch tokens from y; both through the final LayerNorm and projection

`affinity` names A (see `affinities.AFFINITIES`), `position` how the position table meets another grid (see
`clip.position_table`). The 6 blocks of `clip_surgery` and `gem` are the last 6 whatever the tower's depth (12, 24 or
more), as in the authors' codes; for a tower with fewer the user says how many. The table is open:
`SURGERIES['mine'] = Surgery(6, 'kk')` makes a method that is used by its name everywhere.

Sources of the rows: CLIP (arXiv 2103.00020), MaskCLIP (2112.01071), CLIP Surgery (2304.05653, section 3.2), SCLIP
(2312.01597), ClearCLIP (2407.12442), NACLIP (2404.08181), GEM (2312.00878).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from .environment.extensions import open_table

POSITIONS = ('bilinear', 'bicubic_scale', 'bicubic_antialias')


@dataclass(frozen=True)
class Surgery:
    """How a new path reads a CLIP tower. Every combination of legal fields is legal.

    Args:
        last_blocks: number of last blocks that are read, >= 0. 0 is CLIP itself: no new path. A tower
            must have at least that many blocks. CLIP's ResNets have one attention (their pool), which is
            read when `last_blocks` >= 1.
        affinity: a name of `AFFINITIES`; not used when `last_blocks` is 0.
        residual: the new path starts from CLIP's tokens (True) or from zero (False).
        ffn: the new path also passes through the MLP of each block read.
        position: one of `POSITIONS`; applies to grids other than the trained one.

    Raises:
        ValueError: a field has an illegal value; the message lists the legal ones.
    """

    last_blocks: int
    affinity: str = 'vv'
    residual: bool = True
    ffn: bool = False
    position: str = 'bicubic_scale'

    def __post_init__(self):
        if (
            isinstance(self.last_blocks, bool)
            or not isinstance(self.last_blocks, int)
            or self.last_blocks < 0
        ):
            raise ValueError(f'last_blocks must be a whole number >= 0, got {self.last_blocks!r}')
        for name, legal in (
            ('position', POSITIONS),
            ('residual', (True, False)),
            ('ffn', (True, False)),
        ):
            if getattr(self, name) not in legal:
                raise ValueError(
                    f'{name} must be one of {", ".join(map(str, legal))}, got {getattr(self, name)!r}'
                )
        if (
            'SURGERIES' in globals()
        ):  # the shipped rows are tested instead: listing them must not import torch
            from .affinities import affinity_named

            affinity_named(self.affinity)

    @property
    def name(self) -> str:
        """Its name in `SURGERIES`; its fields, written out, where it has none."""
        return next((name for name, row in SURGERIES.items() if row == self), str(self))

    @classmethod
    def read(cls, spec: 'str | Mapping | Surgery') -> 'Surgery':
        """Turn a name of `SURGERIES`, a dict of fields or a `Surgery` into a `Surgery`.

        Args:
            spec: a dict may hold `name`, a row of `SURGERIES` whose other fields it replaces:
                dict(name='sclip', last_blocks=3).

        Raises:
            ValueError: the name or a field is unknown, a value is illegal, or `spec` is none of these.
        """
        if isinstance(spec, cls):
            return spec
        if isinstance(spec, str):
            if spec not in SURGERIES:
                raise ValueError(
                    f'unknown surgery {spec!r}; choose one of {", ".join(SURGERIES)}, or give a '
                    'dict of fields such as dict(last_blocks=6, affinity="vv")'
                )
            return SURGERIES[spec]
        if isinstance(spec, Mapping):
            given = dict(spec)
            row = cls.read(given.pop('name')) if 'name' in given else None
            known = {field.name for field in fields(cls)}
            unknown = sorted(set(given) - known)
            if unknown or (row is None and 'last_blocks' not in given):
                wrong = f'unknown field {unknown[0]!r}' if unknown else 'the field last_blocks is missing'
                raise ValueError(
                    f'surgery {dict(spec)}: {wrong}; the fields are {", ".join(sorted(known))}, or name, a row of '
                    'SURGERIES whose fields are replaced'
                )
            return cls(**given) if row is None else replace(row, **given)
        raise ValueError(f'surgery must be a name, a dict of fields or a Surgery, got {type(spec).__name__}')


SURGERIES = {
    'clip': Surgery(0, 'qk', residual=True, ffn=True),
    'maskclip': Surgery(1, 'identity', residual=True, ffn=True),
    'clip_surgery': Surgery(6, 'vv', residual=True, ffn=False, position='bilinear'),
    'sclip': Surgery(1, 'qq+kk', residual=True, ffn=True),
    'clearclip': Surgery(1, 'qq', residual=False, ffn=False),
    'naclip': Surgery(1, 'kk+gauss', residual=False, ffn=False),
    'gem': Surgery(6, 'gem', residual=True, ffn=False, position='bicubic_antialias'),
}
open_table('surgery', SURGERIES)
