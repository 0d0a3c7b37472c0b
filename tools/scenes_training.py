"""A training run of the scenes CLIP: model, loss, schedule, dev scores, and the folder that is written at the end.

Masks are never trained on. They serve once in a while to measure mIoU on split `dev` (never `val`): it decides which of
the late weight averages is written, in open_clip's `local-dir` form, with a card of the run.
"""

import argparse
import json
import logging
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.scenes import draw_scene, spec
from mmseg_clipsurgery.scenes.curriculum import Batch, training_batch
from mmseg_clipsurgery.scenes.words import CONTEXT_LENGTH, vocabulary_size, write_merges

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from torch import Tensor

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
WARM_UP_STEPS = 60
DECAY_FROM = 0.65  # share of the steps after which the learning rate falls to zero
EMA_DECAY = 0.995
CHOOSE_AFTER = 0.8  # share of the steps after which an evaluated average may be chosen


def train(args: argparse.Namespace) -> None:
    """Train, going on from the last checkpoint of the work folder, and write the model.

    Args:
        args: of `train_scenes_clip.parse_arguments`.
    """
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    logging.getLogger('mmseg_clipsurgery').setLevel(logging.ERROR)  # that weights are random is no news here
    work_dir = Path(args.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    run = Run(args, make_tokenizer(work_dir))
    run.resume(work_dir / 'last.pt')
    for batch in batches(args, run.step):
        run.train_step(batch)
        if run.step % args.evaluate_every == 0 or run.step == args.steps:
            run.evaluate()
        if run.step % args.save_every == 0 or run.step == args.steps:
            run.save(work_dir / 'last.pt')
    write_folder(Path(args.out), run)


class Run:
    """Model, weight average, optimiser and the place in the run: everything a checkpoint holds."""

    def __init__(self, args: argparse.Namespace, tokenizer: SimpleTokenizer) -> None:
        self.args, self.tokenizer = args, tokenizer
        self.step, self.seconds, self.history = 0, 0.0, []
        self.best: dict = {'miou': -1.0}
        torch.manual_seed(args.seed)
        self.model = build_model().to(args.device)
        compiled = torch.compile if args.compile else lambda function: function
        self.encode_image, self.encode_text = (
            compiled(self.model.encode_image),
            compiled(self.model.encode_text),
        )
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.dev = DevSet(tokenizer, args.dev_scenes, args.device)
        self.optimiser = build_optimiser(self.model, args.learning_rate)

    def train_step(self, batch: Batch) -> None:
        start, args = time.perf_counter(), self.args
        for group in self.optimiser.param_groups:
            group['lr'] = args.learning_rate * rate(self.step, args.steps)
        dropping = self.step < FULL_IMAGES_AFTER * args.steps
        self.model.train().visual.patch_dropout.prob = PATCH_DROPOUT if dropping else 0.0
        torch.manual_seed(args.seed * 1_000_003 + self.step)  # patch dropout: the same after a resumption
        loss = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.follow()
        self.step += 1
        self.seconds += time.perf_counter() - start
        if self.step % 25 == 0:
            self.report(float(loss.detach()))

    def loss(self, batch: Batch) -> Tensor:
        device, bfloat16 = self.args.device, self.args.precision == 'bfloat16'
        images = to_tensor(batch.images).to(device)
        texts = self.tokenizer(batch.captions).to(device)
        with torch.autocast(device.split(':')[0], torch.bfloat16, enabled=bfloat16):
            image = self.encode_image(images, normalize=True)
            text = self.encode_text(texts, normalize=True)
        same = torch.from_numpy(batch.same).to(device)
        return contrastive_loss(image.float(), text.float(), self.model.logit_scale.exp(), same)

    @torch.no_grad()
    def follow(self) -> None:
        """After a step: keep the logit scale in CLIP's range and move the weight average."""
        self.model.logit_scale.clamp_(max=math.log(100))
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def report(self, loss: float) -> None:
        steps, speed = self.args.steps, self.args.batch_size * self.step / self.seconds
        left = (steps - self.step) * self.seconds / self.step / 60
        line = f'step {self.step}/{steps}  loss {loss:.3f}  {speed:.0f} images/s  ETA {left:.1f} min'
        print(line, flush=True)

    def evaluate(self) -> None:
        """Score the weight average on dev, and keep it if the run is late and no earlier one was better."""
        model = build_model().to(self.args.device).eval()
        model.load_state_dict(self.average)
        scores = {'step': self.step, **self.dev.scores(model)}
        self.history.append(scores)
        print('dev  ' + '  '.join(f'{name} {value:.4g}' for name, value in scores.items()), flush=True)
        if self.step > CHOOSE_AFTER * self.args.steps and scores['miou'] > self.best['miou']:
            weights = {name: value.clone() for name, value in self.average.items()}
            self.best = {**scores, 'weights': weights}

    def save(self, path: Path) -> None:
        kept = ('step', 'seconds', 'history', 'best', 'average')
        state = {name: getattr(self, name) for name in kept}
        state |= {'model': self.model.state_dict(), 'optimiser': self.optimiser.state_dict()}
        torch.save(state | {'recipe': self.recipe()}, path.with_suffix('.tmp'))
        os.replace(path.with_suffix('.tmp'), path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint if there is one; ValueError: it is of a run with other settings."""
        if not path.exists():
            return
        state = torch.load(path, map_location=self.args.device, weights_only=True)
        if (found := state.pop('recipe')) != self.recipe():
            raise ValueError(
                f'{path} is of a run with {found}, not {self.recipe()}: name another --work-dir.'
            )
        self.model.load_state_dict(state.pop('model'))
        self.optimiser.load_state_dict(state.pop('optimiser'))
        self.__dict__.update(state)
        print(f'going on from step {self.step}', flush=True)

    def recipe(self) -> dict:
        """What a resumed run must share with its beginning."""
        names = ('steps', 'batch_size', 'learning_rate', 'seed', 'precision')
        return {**{name: getattr(self.args, name) for name in names}, 'scenes': spec.VERSION}


def build_model() -> torch.nn.Module:
    vision = open_clip.CLIPVisionCfg(**MODEL_CFG['vision_cfg'], patch_dropout=PATCH_DROPOUT)
    text = open_clip.CLIPTextCfg(**MODEL_CFG['text_cfg'])
    return open_clip.model.CLIP(MODEL_CFG['embed_dim'], vision, text, MODEL_CFG['quick_gelu'])


def build_optimiser(model: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{'params': matrices, 'weight_decay': 0.05}, {'params': others, 'weight_decay': 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-6)


def make_tokenizer(folder: Path) -> SimpleTokenizer:
    write_merges(folder / 'merges.txt.gz')
    return SimpleTokenizer(bpe_path=str(folder / 'merges.txt.gz'), context_length=CONTEXT_LENGTH)


def rate(step: int, steps: int) -> float:
    """Share of the learning rate: warm-up, plateau, linear fall to zero."""
    return min((step + 1) / WARM_UP_STEPS, 1.0, (steps - step) / ((1 - DECAY_FROM) * steps))


def batches(args: argparse.Namespace, step: int) -> Iterator[Batch]:
    """The batches of the steps from `step` on; the next one is drawn while one is trained on."""
    if step == args.steps:
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(training_batch, args.seed, step, args.steps, args.batch_size)
        for following in range(step + 1, args.steps):
            batch = coming.result()
            coming = pool.submit(training_batch, args.seed, following, args.steps, args.batch_size)
            yield batch
        yield coming.result()


def to_tensor(images: np.ndarray) -> Tensor:
    """uint8 "b h w 3" -> normalised "b 3 h w"."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(PREPROCESS_CFG[name]).view(3, 1, 1) for name in ('mean', 'std'))
    return (pixels - mean) / std


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, same: Tensor) -> Tensor:
    """CLIP's loss, image and text "b c"; captions that say the same (`same` "b b") share the target."""
    logits, target = scale * image @ text.T, same.float() / same.float().sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class DevSet:
    """The first `count` scenes of split `dev` and how a model does on them, with bare names."""

    def __init__(self, tokenizer: SimpleTokenizer, count: int, device: str) -> None:
        self.tokenizer, self.device = tokenizer, device
        scenes = [draw_scene('dev', index) for index in range(count)]
        self.images = to_tensor(np.stack([scene.image for scene in scenes])).to(device)
        self.masks = torch.from_numpy(np.stack([scene.mask for scene in scenes])).long().to(device)
        self.objects = [scene.objects for scene in scenes]
        self.towers = {
            name: CLIPSurgeryViT(arch=MODEL_CFG, surgery=name) for name in ('clip', 'clip_surgery')
        }

    @torch.no_grad()
    def scores(self, model: torch.nn.Module) -> dict[str, float]:
        """In percent: mIoU of CLIP Surgery (all, objects, grounds), of raw CLIP, and tints rightly named."""
        names = self.embed(model, list(spec.CLASSES))
        tokens = {name: self.read(name, model) for name in self.towers}
        surgery, raw = (100 * self.ious(tokens[name], names) for name in ('clip_surgery', 'clip'))
        objects, grounds = surgery[: len(spec.OBJECTS)], surgery[len(spec.OBJECTS) :]
        means = {'miou': surgery, 'objects': objects, 'grounds': grounds, 'raw_miou': raw}
        means_of = {name: float(values.nanmean()) for name, values in means.items()}
        return means_of | {'tints': self.tint_accuracy(model, tokens['clip_surgery'])}

    def embed(self, model: torch.nn.Module, words: list[str]) -> Tensor:
        return model.encode_text(self.tokenizer(words).to(self.device), normalize=True)

    def read(self, surgery: str, model: torch.nn.Module) -> Tensor:
        """Normalised patch tokens "b c h w"."""
        tower = self.towers[surgery].to(self.device)
        tower.visual.load_state_dict(model.visual.state_dict())
        return torch.cat([F.normalize(tower(part).patch_tokens, dim=1) for part in self.images.split(50)])

    def ious(self, tokens: Tensor, names: Tensor) -> Tensor:
        """IoU of each class "k"; NaN for one that is nowhere."""
        logits = torch.einsum('bchw,kc->bkhw', tokens, names)
        predicted = F.interpolate(logits, size=self.masks.shape[1:], mode='bilinear').argmax(1)
        k = len(names)
        table = torch.bincount((self.masks * k + predicted).flatten(), minlength=k * k).view(k, k).double()
        return table.diag() / (table.sum(0) + table.sum(1) - table.diag())

    def tint_accuracy(self, model: torch.nn.Module, tokens: Tensor) -> float:
        """Share of objects whose mean token is nearest to the right one of "red fish", "blue fish", ..."""
        tints = list(spec.TINTS)
        words = self.embed(model, [f'{tint} {name}' for name in spec.OBJECTS for tint in tints])
        words = words.unflatten(0, (len(spec.OBJECTS), len(tints)))
        right = []
        for objects, mask, token in zip(self.objects, self.masks, tokens, strict=True):
            for name, tint in objects:
                label = spec.CLASSES.index(name)
                cover = F.adaptive_avg_pool2d((mask == label).float()[None], token.shape[1:])[0]
                said = words[label] @ torch.einsum('hw,chw->c', cover, token)
                right.append(tints[int(said.argmax())] == tint)
        return 100 * sum(right) / len(right)


def write_folder(folder: Path, run: Run) -> None:
    """The model in open_clip's `local-dir` form (weights in half precision) and the card of its training."""
    folder.mkdir(parents=True, exist_ok=True)
    write_merges(folder / 'merges.txt.gz')
    write_json(folder / 'open_clip_config.json', {'model_cfg': MODEL_CFG, 'preprocess_cfg': PREPROCESS_CFG})
    weights = run.best.get('weights', run.average)
    half = {name: value.half().contiguous().cpu() for name, value in weights.items()}
    save_file(half, folder / 'open_clip_model.safetensors')
    write_json(folder / 'card.json', card(run))
    print(f'wrote {folder}')


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + '\n')


def card(run: Run) -> dict:
    versions = {'torch': torch.__version__, 'open_clip': version('open_clip_torch'), 'numpy': np.__version__}
    return {
        'what': 'a tiny CLIP for the scenes benchmark; it says nothing about real photos',
        'scenes_version': spec.VERSION,
        'command': ' '.join(['python tools/train_scenes_clip.py', *sys.argv[1:]]),
        'settings': {
            name: value for name, value in vars(run.args).items() if name not in ('work_dir', 'out')
        },
        'seconds': round(run.seconds),
        'images_per_second': round(run.args.batch_size * run.step / run.seconds, 1),
        'machine': machine(run.args.device),
        'versions': {'python': platform.python_version(), **versions},
        'chosen_on_dev': {name: value for name, value in run.best.items() if name != 'weights'},
        'dev_history': run.history,
    }


def machine(device: str) -> str:
    if device == 'cpu':
        return f'{os.cpu_count()} CPU cores, {torch.get_num_threads()} of them used'
    return torch.cuda.get_device_name(device)
