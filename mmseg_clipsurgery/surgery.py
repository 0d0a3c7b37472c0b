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

Newer methods read the last block several times, other tokens each time, with maps over patches around it (`Read`):

    y = sum over reads of  weight * after( O(A v) ),   q, k, v from LN1(class token of z, before(patches of z))
                                                       z = x, or what earlier blocks left behind (`traces.TRACES`)

`each_block` names a step that changes CLIP's own path after every block (`token_maps.PATH_STEPS`); of the shipped rows
`rfclip` alone has one, so for it "surgery on the side" does not hold. Numbers are data of a row, its `constants`:

    depth                            blocks of the tower that all block numbers here belong to, which count from 1
    middle_block, early_block        whose patches' cosines mix the patches before, in and after the reading
    levels                           first and last block whose tokens are summed for the second reading
    floor                            cosines below it count as 0
    mid_gain, mid_share              gain of the middle block's sharpened cosines, share of their mean subtracted
    class_share                      share of the class token that is added to every patch
    neighbours, outlier_share        of the local outlier factor
    class_block, class_gain, most_outliers       of outliers by the class token's attention
    cross, cross_blocks              (gain of the attention, share of CLIP's own), first and last block of that
    sinks, sink_ratio, moved         channels, threshold and weight of RF-CLIP's quietened tokens
    guide_gain, guide_share          as mid_gain and mid_share, of the second tower's cosines

Sources of the rows: CLIP (arXiv 2103.00020), MaskCLIP (2112.01071), CLIP Surgery (2304.05653, section 3.2), SCLIP
(2312.01597), ClearCLIP (2407.12442), NACLIP (2404.08181), GEM (2312.00878), SC-CLIP (2411.15869), SFP (ICCV 2025),
ResCLIP (2411.15851), RF-CLIP (2511.16170) and ProxyCLIP (2408.04883); the last five as their released codes
compute.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from .environment.extensions import open_table
from .environment.numbers import check_number, check_switch
from .surgery_constants import VIT_B16_SINKS, Constants, completed

if TYPE_CHECKING:
    from .kept_traces import Part

POSITIONS = ('bilinear', 'bicubic', 'bicubic_scale', 'bicubic_antialias')


@dataclass(frozen=True)
class Read:
    """One reading of the last block.

    Args:
        stream: the tokens that are read: None: those that enter the block, else a name of `traces.TRACES`.
        affinity: a name of `AFFINITIES`; None: the surgery's.
        before: names of `token_maps.TOKEN_MAPS`, applied in order to the patches that are read.
        after: the same, applied to what was read.
        weight: of this reading in the sum.
    """

    stream: str | None = None
    affinity: str | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    weight: float = 1.0

    @classmethod
    def read(cls, spec: 'Mapping | Read') -> 'Read':
        """A dict of fields, or a `Read`, as a `Read`. Raises ValueError for unknown fields or anything else."""
        if isinstance(spec, cls):
            return spec
        known = [entry.name for entry in fields(cls)]
        if not isinstance(spec, Mapping) or set(spec) - set(known):
            raise ValueError(f'a read is a dict of {", ".join(known)}, got {spec!r}')
        return cls(**spec)

    def __post_init__(self):
        for name in ('before', 'after'):
            value = getattr(self, name)
            if not isinstance(value, list | tuple):
                raise ValueError(f'{name} must be a list of names, got {value!r}')
            object.__setattr__(self, name, tuple(value))
        check_number('weight', self.weight)


@dataclass(frozen=True, repr=False)
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
        reads: how the last block is read where once is not enough; then `last_blocks` is 1, and there is neither
            `residual` nor `ffn`. Empty: once, as CLIP's tokens enter it.
        each_block: a name of `token_maps.PATH_STEPS`, what is done to CLIP's own path after every block; None:
            nothing.
        constants: numbers by name, see the head of this file; those left out have their released values. Not part
            of the hash.

    Raises:
        ValueError: a field has an illegal value; the message lists the legal ones.
    """

    last_blocks: int
    affinity: str = 'vv'
    residual: bool = True
    ffn: bool = False
    position: str = 'bicubic_scale'
    reads: tuple[Read, ...] = ()
    each_block: str | None = None
    constants: Mapping[str, Any] = field(default_factory=Constants, hash=False)

    def __post_init__(self):
        if not isinstance(self.constants, Mapping):
            raise ValueError(f'constants must be a dict of numbers, got {self.constants!r}')
        if not isinstance(self.reads, list | tuple):
            raise ValueError(f'reads must be a list of dicts, got {self.reads!r}')
        if not isinstance(self.each_block, str | None):
            raise ValueError(f'each_block must be a name or None, got {self.each_block!r}')
        object.__setattr__(self, 'reads', tuple(Read.read(spec) for spec in self.reads))
        object.__setattr__(self, 'constants', Constants(self.constants))
        if (
            isinstance(self.last_blocks, bool)
            or not isinstance(self.last_blocks, int)
            or self.last_blocks < 0
        ):
            raise ValueError(f'last_blocks must be a whole number >= 0, got {self.last_blocks!r}')
        for name, legal in (('position', POSITIONS),):
            if getattr(self, name) not in legal:
                raise ValueError(
                    f'{name} must be one of {", ".join(map(str, legal))}, got {getattr(self, name)!r}'
                )
        check_switch('residual', self.residual)
        check_switch('ffn', self.ffn)
        if self.reads and (self.last_blocks != 1 or self.residual or self.ffn):
            raise ValueError(
                'reads are of the last block alone: give last_blocks=1, residual=False, ffn=False'
            )
        if 'RELEASED' in globals():  # the shipped rows are tested instead: listing them must not import torch
            from .kept_traces import constants_of

            used = constants_of(self.parts(), self.traces())
            object.__setattr__(self, 'constants', completed(self.constants, used, RELEASED))

    def __repr__(self) -> str:
        shown = [
            f'{entry.name}={value!r}'
            for place, entry in enumerate(fields(self))
            if (value := getattr(self, entry.name)) or place < 5
        ]
        return f'Surgery({", ".join(shown)})'

    def affinities(self) -> list[str]:
        """Names of the affinities that read a block, one for each reading; CLIP's own where none is read."""
        if not self.last_blocks:
            return ['qk']
        return [read.affinity or self.affinity for read in self.reads] or [self.affinity]

    def parts(self) -> 'list[Part]':
        """The rows of affinities, token maps and path steps that it names, its own affinity first.

        Raises:
            ValueError: a name that its table does not hold.
        """
        from .affinities import affinity_named
        from .token_maps import PATH_STEPS, TOKEN_MAPS

        names = [read.affinity for read in self.reads if read.affinity is not None]
        maps = [name for read in self.reads for name in (*read.before, *read.after)]
        steps = [] if self.each_block is None else [self.each_block]
        return [
            *(affinity_named(name) for name in (self.affinity, *names)),
            *(row_named(TOKEN_MAPS, name, 'a map of tokens') for name in maps),
            *(row_named(PATH_STEPS, name, 'each_block') for name in steps),
        ]

    def traces(self) -> list[str]:
        """Names of the traces that it needs, each after those that it needs itself; none where no block is read.

        Raises:
            ValueError: a name that its table does not hold.
        """
        from .kept_traces import closure

        needs = [name for part in self.parts() for name in part.needs]
        streams = [read.stream for read in self.reads if read.stream is not None]
        return closure([*needs, *streams]) if self.last_blocks else []

    @property
    def name(self) -> str:
        """Its name in `SURGERIES`; its fields, written out, where it has none."""
        return next((name for name, row in SURGERIES.items() if row == self), str(self))

    def as_dict(self) -> dict[str, Any]:
        """Its fields in a form that JSON can hold; of `reads`, `each_block` and `constants` those that it has."""
        stated = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        stated['reads'] = [asdict(reading) for reading in self.reads]
        stated['constants'] = dict(self.constants)
        later = ('reads', 'each_block', 'constants')
        return {name: value for name, value in stated.items() if name not in later or value}

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
            named = SURGERIES[spec]
            if not isinstance(named, cls):
                raise ValueError(
                    f'the row {spec!r} of SURGERIES is of type {type(named).__name__}; make it a Surgery'
                )
            return named
        if isinstance(spec, Mapping):
            given = dict(spec)
            row = cls.read(given.pop('name')) if 'name' in given else None
            known = {entry.name for entry in fields(cls)}
            unknown = sorted(set(given) - known)
            if unknown or (row is None and 'last_blocks' not in given):
                wrong = f'unknown field {unknown[0]!r}' if unknown else 'the field last_blocks is missing'
                raise ValueError(
                    f'surgery {dict(spec)}: {wrong}; the fields are {", ".join(sorted(known))}, or name, a row of '
                    'SURGERIES whose fields are replaced'
                )
            return cls(**given) if row is None else replace(row, **given)
        raise ValueError(f'surgery must be a name, a dict of fields or a Surgery, got {type(spec).__name__}')


def row_named(table: Mapping[str, Any], name: str, what: str) -> Any:
    """A table's row. Raises ValueError for a name that it does not hold."""
    if name not in table:
        raise ValueError(f'{what} must be one of {", ".join(table)}, got {name!r}')
    return table[name]


# What SC-CLIP and SFP share: how the middle and the early block of a 12-block tower are used.
MIDDLE_OF_12 = dict(
    depth=12,
    middle_block=9,
    early_block=4,
    levels=(4, 10),
    floor=0.4,
    mid_gain=3.0,
    mid_share=1.0,
    class_share=0.3,
)
SURGERIES = {
    'clip': Surgery(0, 'qk', residual=True, ffn=True),
    'maskclip': Surgery(1, 'identity', residual=True, ffn=True),
    'clip_surgery': Surgery(6, 'vv', residual=True, ffn=False, position='bilinear'),
    'sclip': Surgery(1, 'qq+kk', residual=True, ffn=True),
    'clearclip': Surgery(1, 'qq', residual=False, ffn=False),
    'naclip': Surgery(1, 'kk+gauss', residual=False, ffn=False),
    'gem': Surgery(6, 'gem', residual=True, ffn=False, position='bicubic_antialias'),
    'scclip': Surgery(
        1,
        'kk&mid',
        residual=False,
        reads=(
            Read(before=('mend_local', 'gather_mid'), after=('class_share', 'gather_early')),
            Read('levels', after=('class_share', 'gather_early')),
        ),
        constants=dict(
            **MIDDLE_OF_12,
            neighbours=30,
            outlier_share=0.05,
        ),
    ),
    'sfp': Surgery(
        1,
        'qq&kk&mid_cut',
        residual=False,
        reads=(
            Read(before=('mend_class', 'gather_mid_cut'), after=('class_share', 'gather_early')),
            Read('levels', 'mid_cut', after=('class_share', 'gather_early')),
        ),
        constants=dict(
            **MIDDLE_OF_12,
            class_block=11,
            class_gain=1.5,
            most_outliers=10,
        ),
    ),
    'resclip': Surgery(
        1,
        'kk+gauss&cross',
        residual=False,
        constants=dict(depth=12, cross=(2.0, 0.3), cross_blocks=(6, 9)),
    ),
    'rfclip': Surgery(
        1,
        'kk_mean',
        residual=False,
        reads=(Read(before=('sum_mean',), weight=0.5), Read('mean', before=('sum_mean',), weight=0.5)),
        each_block='quieten',
        constants=dict(floor=0.4, sinks=VIT_B16_SINKS, sink_ratio=5.0, moved=0.4),
    ),
    'proxyclip': Surgery(
        1,
        'guide',
        residual=False,
        constants=dict(guide_gain=3.0, guide_share=1.2),
    ),
}
open_table('surgery', SURGERIES)

# The constants of the shipped rows: what a row that leaves one out has. They agree where they share a name.
RELEASED = {name: value for row in SURGERIES.values() for name, value in row.constants.items()}
