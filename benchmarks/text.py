"""Section `text`: words times templates, encoded once.

Class by class at full context length (the published loop) against the encoder's batches cut to their longest text. The
loop takes seconds a class, so each round encodes one class by it and `GROUP` classes, that one among them, by ours; the
ratio is per class. All 171 words by 85 templates are encoded by ours once, as a whole. The second start is a fresh
process that finds them in the disk cache: tokenizing, the key over all weights, reading.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from mmseg_clipsurgery.clip.text_encoder import OpenCLIPTextEncoder
from mmseg_clipsurgery.vocabulary import Vocabulary, read_templates

import torch
import torch.nn.functional as F

from . import published
from .clock import Clock, ratios, rounded, summary
from .memory import in_fresh_process
from .subjects import SEED

VOCABULARY = 'coco_stuff164k'
TEMPLATES = 'clip_surgery85'
GROUP = 19  # of 171 words, nine groups


def section(task: dict[str, Any], clock: Clock, rounds: int) -> dict[str, Any]:
    """Both ways in interleaved rounds, then the whole list, then the second start.

    Args:
        task: arch, device, threads; templates: how many of the 85 (all by default); words: how many of the 171.
    """
    words = Vocabulary.read(VOCABULARY).queries[: task.get('words')]
    with tempfile.TemporaryDirectory() as folder:
        task = {**task, 'cache': folder, 'words': len(words)}
        encoder = encoder_of(task)
        result = interleaved(encoder, words, clock, rounds)
        with torch.inference_mode():
            first = clock.measure(lambda: encoder.embed_words(words))
        result['whole list'] = {
            'words': len(words),
            'seconds': rounded(first.seconds),
            'wall': rounded(first.wall),
        }
        starts = [in_fresh_process('benchmarks.text', task) for _ in range(3)]
    result['second start'] = {
        'wall': summary([start['wall'] for start in starts]),
        'largest difference': max(start['difference'] for start in starts),
    }
    return result


def encoder_of(task: dict[str, Any]) -> OpenCLIPTextEncoder:
    torch.manual_seed(SEED)
    templates = read_templates(TEMPLATES)[: task.get('templates')]
    encoder = OpenCLIPTextEncoder(task['arch'], None, templates=templates, text_cache=task['cache'])
    return encoder.to(task['device'])


def token_ids(
    encoder: OpenCLIPTextEncoder, words: Sequence[str], templates: Sequence[str] | None = None
) -> torch.Tensor:
    """Every word in every template (the encoder's own by default): "k t l"."""
    return (
        encoder.tokenizer(encoder.texts(words, templates))
        .to(encoder.text_device)
        .unflatten(0, (len(words), -1))
    )


@torch.inference_mode()
def interleaved(
    encoder: OpenCLIPTextEncoder, words: Sequence[str], clock: Clock, rounds: int
) -> dict[str, Any]:
    """Seconds a class by both ways, their ratio, and how far the results are apart."""
    count, group = len(encoder.templates), min(GROUP, len(words))
    ids = token_ids(encoder, words)
    kept: dict[str, torch.Tensor] = {}

    def start(r: int) -> int:
        return (r * group) % (len(words) - group + 1)

    def loop(r: int) -> None:
        kept['loop'] = published.text_by_class(encoder.encode_whole, ids[start(r) : start(r) + 1])

    def ours(r: int) -> None:
        kept['ours'] = averaged(encoder, ids[start(r) : start(r) + group])

    costs = clock.rounds({'class by class': loop, 'ours': ours}, rounds, 'text')
    costs['ours'] = [type(cost)(*(value / group for value in cost)) for cost in costs['ours']]
    return {
        'templates': count,
        'words in a group': group,
        'context length': ids.shape[-1],
        'mean tokens': rounded(float((encoder.end_positions(ids.flatten(0, 1)) + 1).float().mean())),
        'seconds a class': {name: summary([cost.seconds for cost in list_]) for name, list_ in costs.items()},
        'faster': ratios(costs['class by class'], costs['ours']),
        'largest difference': rounded(float((kept['ours'][:1] - kept['loop']).abs().max())),
    }


def averaged(encoder: OpenCLIPTextEncoder, ids: torch.Tensor) -> torch.Tensor:
    """Token ids "k t l" -> embeddings "k c", by ours, neither kept nor cached."""
    encoded = F.normalize(encoder.encode_tokens(ids.flatten(0, 1)), dim=-1)
    return F.normalize(encoded.unflatten(0, ids.shape[:2]).mean(dim=1), dim=-1)


def second_start(task: dict[str, Any]) -> dict[str, float]:
    """Seconds from a built encoder to its words, found in the cache; their difference to words encoded anew."""
    torch.set_num_threads(task['threads'])
    encoder = encoder_of(task)
    words = Vocabulary.read(VOCABULARY).queries[: task['words']]
    with torch.inference_mode():
        begun = time.perf_counter()
        found = encoder.embed_words(words)
        wall = time.perf_counter() - begun
        anew = averaged(encoder, token_ids(encoder, words[:2]))
    return {'wall': wall, 'difference': float((found[: len(anew)] - anew).abs().max())}


if __name__ == '__main__':
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    print(json.dumps(second_start(json.loads(sys.argv[1]))))
