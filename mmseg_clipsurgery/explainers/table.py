"""The table of explainers. It is open: an own file adds a row under a name that is free.

    SURGERY              cosine under a surgery, such as `clip` (raw CLIP) and `clip_surgery`
    SURGERY:released     feature surgery under it (also SURGERY:paper)
    rclip                raw CLIP reversed
    attention, rollout   which patches the class token looks at, whatever the text
    grad_cam, relevance, relevance_all, grad_eclip, grad_eclip_one_head, legrad, legrad_all        by gradients

Surgeries that own files add are explainers too, by the same names. docs/explain.md says which question each answers.
"""

from functools import partial
from typing import cast

from ..environment.extensions import open_table
from ..similarity import SIMILARITIES, Similarity
from ..surgery import SURGERIES, Surgery
from .attention_maps import attention, rollout
from .explainer import Explainer
from .grad_cam import grad_cam
from .grad_eclip import grad_eclip
from .legrad import legrad
from .relevance import last_relevance, relevance
from .surgery_maps import reversed_map, surgery_map


def of_surgery(name: str, surgery: Surgery, similarity: Similarity) -> Explainer:
    """The row of a surgery's maps."""
    title = name if similarity == 'cosine' else f'{name} + feature surgery ({similarity})'
    maps = partial(surgery_map, surgery=surgery, similarity=similarity)
    compares = similarity != 'cosine'
    return Explainer(title, maps, surgery=surgery, similarity=similarity, compares=compares)


CLIP = SURGERIES['clip']
# Name -> explainer.
EXPLAINERS: dict[str, Explainer] = {
    **{name: of_surgery(name, surgery, 'cosine') for name, surgery in SURGERIES.items()},
    **{f'{name}:released': of_surgery(name, surgery, 'released') for name, surgery in SURGERIES.items()},
    'rclip': Explainer(
        'raw CLIP, reversed', partial(reversed_map, surgery=CLIP), surgery=CLIP, similarity='cosine'
    ),
    'attention': Explainer('attention', attention, reads_text=False),
    'rollout': Explainer('attention rollout', rollout, reads_text=False),
    'grad_cam': Explainer('Grad-CAM', grad_cam, differentiates=True),
    'relevance': Explainer('relevance, last block', last_relevance, differentiates=True),
    'relevance_all': Explainer('relevance, all blocks', relevance, differentiates=True),
    'grad_eclip': Explainer('Grad-ECLIP', grad_eclip, differentiates=True),
    'grad_eclip_one_head': Explainer(
        'Grad-ECLIP, one head (as released)', partial(grad_eclip, one_head=True), differentiates=True
    ),
    'legrad': Explainer(
        'LeGrad, last 2 blocks',
        partial(legrad, blocks=2),
        differentiates=True,
        position='bicubic_antialias',
    ),
    'legrad_all': Explainer('LeGrad, all blocks', legrad, differentiates=True, position='bicubic_antialias'),
}
open_table('explainer', EXPLAINERS)


def explainer_asked(explainer: str | Explainer | None, form: Similarity = 'released') -> Explainer | None:
    """The explainer that is asked for beside a form of feature surgery; None: a surgery in that form.

    Raises:
        ValueError: an unknown name or form, or a form beside an explainer.
    """
    if form not in SIMILARITIES:
        raise ValueError(f'form must be one of {", ".join(SIMILARITIES)}, got {form!r}')
    if explainer is None:
        return None
    if form != 'released':
        raise ValueError(
            f'got the explainer {explainer!r} and the form {form!r}; a form is part of an explainer, such as '
            "'clip_surgery:paper'"
        )
    return explainer if isinstance(explainer, Explainer) else explainer_named(explainer)


def explainer_named(name: str) -> Explainer:
    """The explainer of a name: a row of `EXPLAINERS`, SURGERY or SURGERY:SIMILARITY.

    Raises:
        ValueError: an unknown one; the sentence lists those that are there.
    """
    if isinstance(name, str):
        if name in EXPLAINERS:
            return EXPLAINERS[name]
        surgery, _, similarity = name.partition(':')
        if surgery in SURGERIES and (similarity or 'cosine') in SIMILARITIES:
            return of_surgery(surgery, SURGERIES[surgery], cast(Similarity, similarity or 'cosine'))
    own = ', '.join(row for row in EXPLAINERS if EXPLAINERS[row].surgery is None)
    raise ValueError(
        f'unknown explainer {name!r}; choose one of rclip, {own}, or a surgery, alone or as in clip_surgery:released'
    )
