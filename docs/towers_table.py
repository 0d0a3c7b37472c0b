"""Write the table of towers into docs/towers.md, from open_clip's configs and the families that read them.

    python docs/towers_table.py

Counts are those of the installed open_clip; surgeries are tried on one tower of each row, built without numbers.
Licences and published figures are facts of this file.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from mmseg_clipsurgery import SURGERIES
from mmseg_clipsurgery.clip.average_vit import CLIPSurgeryAverageViT
from mmseg_clipsurgery.clip.families import FAMILIES, build_tower
from mmseg_clipsurgery.clip.tower import ImageTower
from mmseg_clipsurgery.environment.files import atomic_write
from mmseg_clipsurgery.leaderboard.tables import with_blocks

import torch

PAGE = Path(__file__).resolve().with_name('towers.md')
HEADS = ('towers', 'class', 'configs', 'image embedding', 'surgeries', 'licence of the weights', 'published')


class Kind(NamedTuple):
    """A row: some configs of a family.

    Attributes:
        title: what they are.
        family: its name in `FAMILIES`.
        names: which of open_clip's names belong to it, a regular expression.
        example: one of them, by which surgeries are tried.
        licence: of the weights, as their publishers state it.
        published: figures of others that say how well such a tower serves.
    """

    title: str
    family: str
    names: str
    example: str
    licence: str
    published: str = ''


KINDS = (
    Kind(
        "CLIP's ViTs: OpenAI, OpenCLIP (LAION, DataComp), MetaCLIP and MetaCLIP 2, DFN",
        'vit',
        '.*',
        'ViT-B-16',
        "MIT (OpenAI, OpenCLIP's); CC-BY-NC-4.0 (MetaCLIP); Apple's (DFN)",
        'OpenImages V7 p-mIoU 48.4 of a CLIP B/16 (LeGrad); MetaCLIP B/16 in place of OpenAI gives three published '
        'methods +1.6 to +2.3 mean mIoU',
    ),
    Kind('CLIPA', 'average_vit', '.*', 'ViT-L-14-CLIPA', 'Apache-2.0'),
    Kind("CLIP's ResNets", 'resnet', '.*', 'RN50', 'MIT'),
    Kind('EVA-CLIP, EVA-02-CLIP', 'timm_vit', 'EVA', 'EVA02-B-16', 'MIT'),
    Kind(
        'MobileCLIP-B, MobileCLIP2-B and -L',
        'timm_vit',
        'MobileCLIP',
        'MobileCLIP-B',
        "Apple's, for research",
    ),
    Kind(
        'SigLIP',
        'siglip',
        r'.*-SigLIP(?!2)|nllb',
        'ViT-B-16-SigLIP',
        'Apache-2.0; CC-BY-NC-4.0 (NLLB-CLIP)',
        'OpenImages V7 p-mIoU 25.4 of B/16 (LeGrad), beside 48.4 of CLIP',
    ),
    Kind(
        'SigLIP 2 at fixed resolution',
        'siglip',
        '.*-SigLIP2',
        'ViT-B-16-SigLIP2',
        'Apache-2.0',
        'worse than CLIP, says the author of CorrCLIP',
    ),
    Kind('Perception Encoder, PE-Core', 'perception_encoder', 'PE-Core', 'PE-Core-B-16', 'Apache-2.0'),
)


def names_of(kind: Kind) -> list[str]:
    """open_clip's names that belong to a row."""
    return [name for name in FAMILIES[kind.family].supported_archs() if re.match(kind.names, name)]


def tower_of(kind: Kind) -> ImageTower:
    """The example of a row, without numbers."""
    with torch.device('meta'):
        return build_tower(kind.example, 'random', surgery='clip')


def embedding_of(tower: ImageTower) -> str:
    """What the image embedding is made by, in words."""
    if tower.has_class_token:
        return 'class token'
    if isinstance(tower, CLIPSurgeryAverageViT):
        return 'mean of the patches'
    if tower.depth is None:
        return 'attention pool, the one attention that is read'
    return 'attention pool' if tower.before == 0 else 'attention pool, over a class token too'


def surgeries_of(tower: ImageTower) -> str:
    """Which surgeries the tower can be read by, in words."""
    refused = []
    for name, row in SURGERIES.items():
        try:
            tower.accepts(row)
        except ValueError:
            refused.append(f'`{name}`')
    count = len(SURGERIES) - len(refused)
    return f'all {count}' if not refused else f'{count}: all but {", ".join(refused)}'


def table() -> str:
    """The table, in Markdown."""
    lines = [HEADS, ('---',) * len(HEADS)]
    for kind in KINDS:
        tower = tower_of(kind)
        made = (embedding_of(tower), surgeries_of(tower))
        count = str(len(names_of(kind)))
        lines.append((kind.title, f'`{type(tower).__name__}`', count, *made, kind.licence, kind.published))
    total = sum(len(names_of(kind)) for kind in KINDS)
    lines.append(('all', '', str(total), '', '', '', ''))
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def page() -> str:
    """docs/towers.md with the table of today."""
    return with_blocks(PAGE.read_text(encoding='utf-8'), {'towers': table()})


def main() -> int:
    """Exit status: 0."""
    text = page()
    atomic_write(PAGE, lambda path: Path(path).write_text(text, encoding='utf-8'))
    print(f'wrote {PAGE}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
