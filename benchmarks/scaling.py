"""Sections on cost against size, on words times templates, and what the machine gives at best."""

import tempfile
from collections.abc import Callable
from typing import Any

from mmseg_clipsurgery.vocabulary import Vocabulary, read_templates

import torch
import torch.nn.functional as F
from torch import Tensor

from .measure import Measured, Row, cost_of, figure, in_fresh_processes, rounded
from .workload import PLAIN, Workload

SIDES = (224, 320, 448, 512, 640, 768, 896)
VOCABULARIES = {20: 'voc20', 59: 'context59', 171: 'coco_stuff164k', 459: 'context459', 847: 'ade20k_847'}
WORDS, TEMPLATES = Vocabulary.read('coco_stuff164k').queries, read_templates('clip_surgery85')


def tokens(load: Workload) -> dict[str, Row]:
    """Seconds of whole images; `wall`, counts and ratio are those of the way to labels."""
    words, predictor, variants, rows = load.encoders.text('context59'), load.predictor(), {}, {}
    for side in SIDES[: load.size(7, 2)]:
        image, plain = load.image(0, (side, side)), load.plain((side, side))
        variants |= {
            f'{side} plain': lambda r, plain=plain, image=image: plain(image),
            f'{side} tower': lambda r, image=image: load.tower(image, class_token=False),
            f'{side} labels': lambda r, image=image: predictor.predict(image, words),
        }
        rows[f'{side} pixels a side'] = {'tokens': 1 + (side // load.tower.patch) ** 2}
    measured = Measured(variants, load.few, load.device)
    for side, row in zip(SIDES, rows.values(), strict=False):
        plain, labels = measured.row(f'{side} plain'), measured.row(f'{side} labels', to=f'{side} plain')
        row |= {PLAIN: plain['seconds'], 'our tower': measured.row(f'{side} tower')['seconds']}
        row |= {'to labels': labels.pop('seconds'), 'GFLOP of the plain forward': plain['GFLOP'], **labels}
    return rows


def classes(load: Workload) -> dict[str, Row]:
    """Grid logits to labels, no rules: what a larger vocabulary costs. Counts are those of the photo."""
    image, variants, rows = load.image(0, (load.size(512, 128),) * 2), {}, {}
    for k, vocabulary in VOCABULARIES.items():
        words = load.encoders.text(vocabulary)
        for name, predictor in {'photo': load.predictor(), 'noise': load.predictor(noise=True)}.items():
            (logits,), rule = predictor.logits(image, words), predictor.post_process(words)
            variants[f'{k} {name}'] = lambda r, rule=rule, logits=logits: rule.label_logits(logits)
    measured = Measured(variants, load.rounds, load.device)
    for k in VOCABULARIES:
        photo, noise = measured.row(f'{k} photo'), measured.row(f'{k} noise')
        rows[f'{k} classes'] = {'photo': photo.pop('seconds'), 'white noise': noise['seconds'], **photo}
    return rows


def best(load: Workload) -> dict[str, Row]:
    """A large matrix product, and a copy too large for any cache."""
    matrix, source = torch.ones(2048, 2048, device=load.device), torch.ones(64 << 20, device=load.device)
    target, product, copy = torch.empty_like(source), 'fp32 matrix product, 2048 x 2048', 'copy of 256 MiB'
    variants = {product: lambda r: matrix @ matrix, copy: lambda r: target.copy_(source)}
    measured = Measured(variants, load.rounds, load.device)
    return {name: measured.row(name) for name in variants}


def templates(load: Workload) -> dict[str, Row]:
    """19 words times templates, neither kept nor cached."""
    encoder, counts = load.encoders.text, (1, 7, 20, 40, 85)[: load.size(5, 2)]
    ids = {n: token_ids(encoder, WORDS[: load.size(19, 4)], TEMPLATES[:n]) for n in counts}
    variants = {n: lambda r, n=n: averaged(encoder.encode_tokens, ids[n]) for n in ids}
    measured = Measured(variants, load.few, load.device)
    return {f'{n} templates': measured.row(n) for n in ids}


def text(load: Workload) -> dict[str, Row]:
    """Seconds a class by the published loop and, 19 classes at once, by ours; a start from the disk cache."""
    words, sentences, group = WORDS[: load.size(171, 4)], TEMPLATES[: load.size(85, 5)], load.size(19, 4)
    with tempfile.TemporaryDirectory() as cache:
        encoder = load.built(sentences, cache).text
        ids = token_ids(encoder, words, sentences)
        groups = [ids[(r * group) % (len(words) - group + 1) :][:group] for r in range(load.rounds)]
        ways = {
            'one class, at full length': lambda r: averaged(encoder.encode_whole, groups[r][:1]),
            'one class of a group, ours': lambda r: averaged(encoder.encode_tokens, groups[r]),
        }
        measured, (loop, ours) = Measured(ways, load.rounds, load.device), ways
        rows = {loop: measured.row(loop), ours: measured.row(ours, per=group)}
        rows[loop]['to ours'] = measured.ratio(loop, ours, per=group)
        rows[loop]['largest difference'] = float((ways[loop](0)[0] - ways[ours](0)[0]).abs().max())
        seconds, wall = cost_of(encoder.embed_words, load.device, words)
        rows['all words, ours'] = {'seconds': rounded(seconds), 'wall': rounded(wall)}
        tasks = [(load, words, sentences, cache)] * load.size(3, 1)
        starts = [in_fresh_processes(second_start, task)[0] for task in tasks]
    return {**rows, 'all words, from the disk cache': {'wall': figure(starts)}}


@torch.inference_mode()
def second_start(load: Workload, words: list[str], sentences: list[str], cache: str) -> float:
    """Wall seconds from a built encoder to its cached words."""
    return cost_of(load.built(sentences, cache).text.embed_words, load.device, words)[1]


def token_ids(encoder: Any, words: list[str], sentences: list[str]) -> Tensor:
    """Every word in every template: "k t l"."""
    ids = encoder.tokenizer(encoder.texts(words, sentences))
    return ids.to(encoder.text_device).unflatten(0, (len(words), -1))


def averaged(encode: Callable[[Tensor], Tensor], ids: Tensor) -> Tensor:
    """Token ids "k t l" -> embeddings "k c", neither kept nor cached; encode: ids "t l" -> features "t c"."""
    encoded = F.normalize(encode(ids.flatten(0, 1)), dim=-1)
    return F.normalize(encoded.unflatten(0, ids.shape[:2]).mean(dim=1), dim=-1)
