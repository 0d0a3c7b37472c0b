"""Train the tiny CLIP of the scenes benchmark, from scratch, with the image-caption contrastive loss only.

    python tools/train_scenes_clip.py --work-dir work_dirs/scenes_clip --out mmseg_clipsurgery/data/scenes

Training scenes are drawn on the fly and follow from --seed and the step alone. The number of steps is fixed; a run that is
started again with the same --work-dir goes on from its last checkpoint. Masks are never trained on. They serve once in
a while to measure mIoU on split `dev` (never `val`): it decides which of the late weight averages is written to --out,
in open_clip's `local-dir` form, with a card of the run.

The curriculum: the first 15 % of the steps show one object on one ground; a part of the batches is hard: their scenes share a
ground and one or two tints (so only objects tell them apart), or a ground and two object classes (so tints must).
"""

import argparse
import json
import math
import os
import platform
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import mmseg_clipsurgery  # noqa: F401  (before open_clip: it may have to mend torchvision)
import open_clip
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file

from mmseg_clipsurgery.scenes import spec
from mmseg_clipsurgery.scenes.draw import Plan, draw_scene
from mmseg_clipsurgery.scenes.words import CONTEXT_LENGTH, caption, vocabulary_size, write_merges

MODEL_CFG = {
    'embed_dim': 128,
    'quick_gelu': False,
    'vision_cfg': {'image_size': spec.SIZE, 'patch_size': 8, 'width': 128, 'layers': 6, 'head_width': 64},
    'text_cfg': {
        'context_length': CONTEXT_LENGTH,
        'vocab_size': vocabulary_size(),
        'width': 128,
        'heads': 2,
        'layers': 3,
        'tokenizer_kwargs': {'bpe_path': 'merges.txt.gz'},
    },
}
PREPROCESS_CFG = {'mean': [0.5, 0.5, 0.5], 'std': [0.25, 0.25, 0.25]}

PATCH_DROPOUT = 0.5
FULL_IMAGES_AFTER = 0.94  # share of the steps after which no patch is dropped
EASY_UNTIL = 0.15
SHARED_TINTS, SHARED_OBJECTS = 0.30, 0.12  # shares of the two kinds of hard batches
WARM_UP_STEPS = 60
DECAY_FROM = 0.65  # share of the steps after which the learning rate falls to zero
EMA_DECAY = 0.995
CHOOSE_AFTER = 0.8  # share of the steps after which an evaluated average may be chosen


def main(argv: list[str] | None = None) -> None:
    args = parse_arguments(argv)
    work_dir = Path(args.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    write_merges(work_dir / 'merges.txt.gz')
    tokenizer = SimpleTokenizer(bpe_path=str(work_dir / 'merges.txt.gz'), context_length=CONTEXT_LENGTH)
    run = Run(args)
    run.resume(work_dir / 'last.pt')
    for batch in batches(args, run.step, tokenizer):
        run.train_step(batch)
        if run.step % args.evaluate_every == 0 or run.step == args.steps:
            run.evaluate(tokenizer, args.dev_scenes)
        if run.step % args.save_every == 0 or run.step == args.steps:
            run.save(work_dir / 'last.pt')
    write_folder(Path(args.out), run)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--work-dir', required=True, help='checkpoint of the run')
    parser.add_argument('--out', required=True, help='folder for the finished model')
    parser.add_argument('--steps', type=int, default=4000)
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--learning-rate', type=float, default=1e-3)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--precision', choices=('bfloat16', 'float32'), default='bfloat16')
    parser.add_argument('--compile', action='store_true', help='torch.compile both towers (needs a C++ compiler)')
    parser.add_argument('--evaluate-every', type=int, default=250)
    parser.add_argument('--save-every', type=int, default=100)
    parser.add_argument('--dev-scenes', type=int, default=spec.SCENES['dev'])
    return parser.parse_args(argv)


class Run:
    """Model, weight average, optimiser and the place in the run: everything a checkpoint holds."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.step, self.seconds, self.history = args, 0, 0.0, []
        self.best: dict = {'miou': -1.0}
        torch.manual_seed(args.seed)
        self.model = build_model().to(args.device)
        compiled = torch.compile if args.compile else lambda function: function
        self.encode_image, self.encode_text = compiled(self.model.encode_image), compiled(self.model.encode_text)
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{'params': matrices, 'weight_decay': 0.05}, {'params': others, 'weight_decay': 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=args.learning_rate, betas=(0.9, 0.98), eps=1e-6)

    def train_step(self, batch) -> None:
        start, args, (images, texts, same) = time.perf_counter(), self.args, batch
        for group in self.optimiser.param_groups:
            group['lr'] = args.learning_rate * rate(self.step, args.steps)
        dropping = self.step < FULL_IMAGES_AFTER * args.steps
        self.model.train().visual.patch_dropout.prob = PATCH_DROPOUT if dropping else 0.0
        torch.manual_seed(args.seed * 1_000_003 + self.step)
        with torch.autocast(args.device.split(':')[0], torch.bfloat16, enabled=args.precision == 'bfloat16'):
            image = self.encode_image(images.to(args.device), normalize=True)
            text = self.encode_text(texts.to(args.device), normalize=True)
        loss = contrastive_loss(image.float(), text.float(), self.model.logit_scale.exp(), same.to(args.device))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self._after_step(float(loss.detach()), time.perf_counter() - start)

    def _after_step(self, loss: float, seconds: float) -> None:
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=math.log(100))
            decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        self.step += 1
        self.seconds += seconds
        if self.step % 25 == 0:
            left = (self.args.steps - self.step) * self.seconds / self.step
            speed = self.args.batch_size * self.step / self.seconds
            print(f'step {self.step}/{self.args.steps}  loss {loss:.3f}  {speed:.0f} images/s  ETA {left / 60:.1f} min', flush=True)

    def evaluate(self, tokenizer, scenes: int) -> None:
        model = build_model().to(self.args.device)
        model.load_state_dict(self.average)
        scores = {'step': self.step, **dev_scores(model.eval(), tokenizer, scenes, self.args.device)}
        self.history.append(scores)
        print('dev  ' + '  '.join(f'{name} {value:.4g}' for name, value in scores.items()), flush=True)
        if self.step > CHOOSE_AFTER * self.args.steps and scores['miou'] > self.best['miou']:
            self.best = {**scores, 'weights': {name: value.clone() for name, value in self.average.items()}}

    def save(self, path: Path) -> None:
        kept = ('step', 'seconds', 'history', 'best', 'average')
        state = {name: getattr(self, name) for name in kept}
        state |= {'model': self.model.state_dict(), 'optimiser': self.optimiser.state_dict(), 'recipe': self._recipe()}
        torch.save(state, path.with_suffix('.tmp'))
        os.replace(path.with_suffix('.tmp'), path)

    def resume(self, path: Path) -> None:
        if not path.exists():
            return
        state = torch.load(path, map_location=self.args.device, weights_only=True)
        if state.pop('recipe') != self._recipe():
            raise ValueError(f'{path} is of another run (steps, batch size, rate or seed differ): choose another --work-dir.')
        self.model.load_state_dict(state.pop('model'))
        self.optimiser.load_state_dict(state.pop('optimiser'))
        self.__dict__.update(state)
        print(f'going on from step {self.step}', flush=True)

    def _recipe(self) -> list:
        return [self.args.steps, self.args.batch_size, self.args.learning_rate, self.args.seed, spec.VERSION]


def build_model() -> torch.nn.Module:
    vision, text = {**MODEL_CFG['vision_cfg'], 'patch_dropout': PATCH_DROPOUT}, MODEL_CFG['text_cfg']
    return open_clip.model.CLIP(
        MODEL_CFG['embed_dim'], open_clip.CLIPVisionCfg(**vision), open_clip.CLIPTextCfg(**text), MODEL_CFG['quick_gelu']
    )


def rate(step: int, steps: int) -> float:
    """Share of the learning rate: warm-up, plateau, linear fall to zero."""
    return min((step + 1) / WARM_UP_STEPS, 1.0, (steps - step) / ((1 - DECAY_FROM) * steps))


def batches(args: argparse.Namespace, step: int, tokenizer):
    """The batches of the steps from `step` on; the next one is drawn while one is trained on."""
    with ThreadPoolExecutor(1) as pool:
        settings = (args.steps, args.batch_size, tokenizer)
        coming = pool.submit(make_batch, args.seed, step, *settings)
        for following in range(step + 1, args.steps + 1):
            batch = coming.result()
            coming = pool.submit(make_batch, args.seed, following, *settings)
            yield batch


def make_batch(seed: int, step: int, steps: int, size: int, tokenizer):
    """Images "b 3 h w", token ids "b t", and which captions say the same as which, bool "b b"."""
    random = np.random.RandomState([seed, step])
    plan, tint_probability = choose_plan(random, step / steps)
    first = (seed * steps + step) * size
    scenes = [draw_scene('train', first + k, plan) for k in range(size)]
    captions = [caption(scene, random, tint_probability) for scene in scenes]
    said = [contents(text) for text in captions]
    same = torch.tensor([[one == other for one in said] for other in said])
    return to_tensor(scenes), tokenizer(captions), same


def choose_plan(random, progress: float) -> tuple[Plan, float]:
    """What the scenes of a batch have in common, and how often their captions name a tint."""
    settings: dict = {'most_objects': 1, 'two_grounds': 0.0} if progress < EASY_UNTIL else {}
    tint_probability = random.choice([1.0, 0.5, 0.0], p=[0.4, 0.3, 0.3])
    kind = random.random_sample()
    if kind < SHARED_TINTS + SHARED_OBJECTS:
        settings['grounds'] = (str(random.choice(spec.GROUNDS)),)
    if kind < SHARED_TINTS:
        settings['tints'] = tuple(map(str, random.choice(list(spec.TINTS), random.randint(1, 3), replace=False)))
    elif kind < SHARED_TINTS + SHARED_OBJECTS:
        settings['objects'] = tuple(map(str, random.choice(spec.OBJECTS, 2, replace=False)))
        tint_probability = 1.0
    return Plan(**settings), tint_probability


def contents(text: str) -> tuple[str, ...]:
    """What a caption names, whatever its form: ('grass', 'red fish')."""
    parts = (part.strip() for part in re.split(r'\b(?:a|photo|of|on|with|and)\b|,', text))
    return tuple(sorted(part for part in parts if part))


def to_tensor(scenes) -> torch.Tensor:
    pixels = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(PREPROCESS_CFG[name]).view(3, 1, 1) for name in ('mean', 'std'))
    return (pixels - mean) / std


def contrastive_loss(image, text, scale, same) -> torch.Tensor:
    """CLIP's loss; captions that say the same share the target."""
    logits, target = scale * image @ text.T, same.float() / same.float().sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


@torch.no_grad()
def dev_scores(model, tokenizer, count: int, device: str) -> dict[str, float]:
    """Scores on the dev split: mIoU of CLIP Surgery and of raw CLIP with bare names, and colour naming on object pixels."""
    scenes = [draw_scene('dev', k) for k in range(count)]
    masks = torch.from_numpy(np.stack([scene.mask for scene in scenes])).to(device)
    names = F.normalize(model.encode_text(tokenizer(list(spec.CLASSES)).to(device)), dim=-1)
    raw, surgery = (
        torch.cat([tokens[k] for tokens in (both_reads(model.visual, to_tensor(scenes[i : i + 50]).to(device)) for i in range(0, count, 50))])
        for k in (0, 1)
    )
    scores = {}
    for name, tokens in (('miou', surgery), ('raw_miou', raw)):
        each = class_ious(labels(tokens, names), masks)
        scores[name] = float(100 * each.nanmean())
        if name == 'miou':
            scores['objects'], scores['grounds'] = (float(100 * part.nanmean()) for part in (each[: len(spec.OBJECTS)], each[len(spec.OBJECTS) :]))
    scores['colours'] = colour_accuracy(model, tokenizer, surgery, scenes, masks)
    return scores


def both_reads(visual, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised patch tokens "b h w c" of raw CLIP and of CLIP Surgery (all blocks, value-value attention, no MLP)."""
    x = visual._embeds(images)
    y = x
    for block in visual.transformer.resblocks:
        weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
        value = F.linear(block.ln_1(x), weight, bias).chunk(3, -1)[2]
        value = value.unflatten(-1, (block.attn.num_heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(value, value, value).transpose(1, 2).flatten(2)
        y = y + block.attn.out_proj(mixed)
        x = block(x)
    side = spec.SIZE // MODEL_CFG['vision_cfg']['patch_size']
    return tuple(F.normalize((visual.ln_post(t) @ visual.proj)[:, 1:], dim=-1).unflatten(1, (side, side)) for t in (x, y))


def labels(tokens: torch.Tensor, names: torch.Tensor) -> torch.Tensor:
    logits = torch.einsum('bhwc,kc->bkhw', tokens, names)
    return F.interpolate(logits, size=(spec.SIZE, spec.SIZE), mode='bilinear').argmax(1)


def class_ious(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    k = len(spec.CLASSES)
    table = torch.bincount((truth.long() * k + predicted).flatten(), minlength=k * k).view(k, k).double()
    return table.diag() / (table.sum(0) + table.sum(1) - table.diag())


def colour_accuracy(model, tokenizer, tokens, scenes, masks) -> float:
    """Share of objects (percent) whose mean patch token is nearest to the right one of "red fish", "blue fish", ..."""
    tints, right, total = list(spec.TINTS), 0, 0
    words = [f'{tint} {name}' for name in spec.OBJECTS for tint in tints]
    text = F.normalize(model.encode_text(tokenizer(words).to(tokens.device)), dim=-1).unflatten(0, (-1, len(tints)))
    for scene, mask, token in zip(scenes, masks, tokens):
        for name, tint in scene.objects:
            label = spec.CLASSES.index(name)
            share = F.adaptive_avg_pool2d((mask == label).float()[None], token.shape[:2])[0]
            feature = torch.einsum('hw,hwc->c', share, token)
            right += tints[int((text[label] @ feature).argmax())] == tint
            total += 1
    return 100 * right / total


def write_folder(folder: Path, run: Run) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_merges(folder / 'merges.txt.gz')
    config = {'model_cfg': MODEL_CFG, 'preprocess_cfg': PREPROCESS_CFG}
    (folder / 'open_clip_config.json').write_text(json.dumps(config, indent=2) + '\n')
    weights = run.best.get('weights', run.average)
    save_file({name: value.half().contiguous().cpu() for name, value in weights.items()}, folder / 'open_clip_model.safetensors')
    (folder / 'card.json').write_text(json.dumps(card(run), indent=2) + '\n')
    print(f'wrote {folder}')


def card(run: Run) -> dict:
    chosen = {name: value for name, value in run.best.items() if name != 'weights'}
    return {
        'what': 'a tiny CLIP for the scenes benchmark; it says nothing about real photos',
        'scenes_version': spec.VERSION,
        'command': ' '.join(['python', 'tools/train_scenes_clip.py', *sys.argv[1:]]),
        'settings': {name: value for name, value in vars(run.args).items() if name not in ('work_dir', 'out')},
        'seconds': round(run.seconds),
        'images_per_second': round(run.args.batch_size * run.step / run.seconds, 1),
        'machine': f'{os.cpu_count()} CPU cores' if run.args.device == 'cpu' else torch.cuda.get_device_name(),
        'versions': {'python': platform.python_version(), 'torch': torch.__version__, 'open_clip': open_clip.__version__, 'numpy': np.__version__},
        'chosen_on_dev': chosen,
        'dev_history': run.history,
    }


if __name__ == '__main__':
    main()
