"""A training run of the scenes CLIP: model, loss, schedule, dev scores, and the folder that is written at the end.

Masks are never trained on. They serve once in a while to measure mIoU on split `dev` (never `val`): it decides which of
the late weight averages is written, in open_clip's `local-dir` form, with a card of the run.
"""

import argparse
import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from mmseg_clipsurgery.environment import torchvision_ready  # noqa: F401 - before open_clip
from mmseg_clipsurgery.scenes import spec
from mmseg_clipsurgery.scenes.curriculum import Batch, training_batch

import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn

from .cards import card_of_run
from .model import build_model, make_tokenizer, skip_sleepers, to_tensor, write_folder
from .scores import ScenesOfSplit

# until which share of the steps -> share of an image's patches that is dropped
PATCH_DROPOUT = {0.08: 0.5, 0.97: 0.8, 1.0: 0.0}
ASLEEP_UNTIL = 0.75  # share of the steps during which most of the image tower sleeps, see `model`
WARM_UP_STEPS = 60
DECAY_FROM = 0.65  # share of the steps after which the learning rate falls to zero
EMA_DECAY = 0.995
# CLIP's own is 100, with which a small difference of cosines is enough, and a few patches of an object make one
MOST_LOGIT_SCALE = 10
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
    write_folder(Path(args.out), run.best.get('weights', run.average), run.card())


class Run:
    """Model, weight average, optimiser and the place in the run: everything a checkpoint holds."""

    def __init__(self, args: argparse.Namespace, tokenizer: SimpleTokenizer) -> None:
        self.args, self.tokenizer = args, tokenizer
        self.step, self.seconds, self.history = 0, 0.0, []
        self.best: dict = {'miou': -1.0}
        torch.manual_seed(args.seed)
        self.model = build_model(patch_dropout=0.5).to(args.device)
        self.working: tuple[bool, float] | None = None
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.dev = ScenesOfSplit('dev', tokenizer, args.dev_scenes, args.device)
        self.optimiser = build_optimiser(self.model, args.learning_rate)

    def set_work(self) -> None:
        """Let the image tower do what the step wants: which of it sleeps, and how many patches it sees."""
        done = self.step / self.args.steps
        asleep, dropout = done < ASLEEP_UNTIL, next(PATCH_DROPOUT[end] for end in PATCH_DROPOUT if done < end)
        if self.working != (asleep, dropout):
            self.working = asleep, dropout
            skip_sleepers(self.model, asleep)
            self.model.visual.patch_dropout.prob = dropout
            torch.compiler.reset()
            compiled = torch.compile if self.args.compile else lambda function: function
            self.encode_image = compiled(self.model.encode_image)
            self.encode_text = compiled(self.model.encode_text)

    def train_step(self, batch: Batch) -> None:
        start, args = time.perf_counter(), self.args
        self.model.train()
        self.set_work()
        for group in self.optimiser.param_groups:
            group['lr'] = args.learning_rate * rate(self.step, args.steps)
        torch.manual_seed(args.seed * 1_000_003 + self.step)  # patch dropout: the same after a resumption
        loss = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
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
        """After a step: keep the logit scale below its limit and move the weight average."""
        self.model.logit_scale.clamp_(max=math.log(MOST_LOGIT_SCALE))
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
            raise ValueError(f'{path} is of a run with {found}, not {self.recipe()}: name another --work-dir')
        self.model.load_state_dict(state.pop('model'))
        self.optimiser.load_state_dict(state.pop('optimiser'))
        self.__dict__.update(state)
        print(f'going on from step {self.step}', flush=True)

    def card(self) -> dict:
        chosen = {name: value for name, value in self.best.items() if name != 'weights'}
        return card_of_run(self.args, self.seconds, chosen, self.history)

    def recipe(self) -> dict:
        """What a resumed run must share with its beginning."""
        names = ('steps', 'batch_size', 'learning_rate', 'seed', 'precision')
        return {**{name: getattr(self.args, name) for name in names}, 'scenes': spec.VERSION}


def build_optimiser(model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{'params': matrices, 'weight_decay': 0.05}, {'params': others, 'weight_decay': 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-6)


def rate(step: int, steps: int) -> float:
    """Share of the learning rate: warm-up, plateau, linear fall to zero."""
    return min((step + 1) / WARM_UP_STEPS, 1.0, (steps - step) / ((1 - DECAY_FROM) * steps))


def batches(args: argparse.Namespace, step: int) -> Iterator[Batch]:
    """The batches of the steps from `step` on; the next ones are drawn while one is trained on."""
    pool = ProcessPoolExecutor(args.workers, get_context('spawn')) if args.workers else ThreadPoolExecutor(1)
    with pool:
        coming: deque[Future[Batch]] = deque()
        for following in range(step, args.steps):
            coming.append(pool.submit(training_batch, args.seed, following, args.steps, args.batch_size))
            if len(coming) > 2 * max(args.workers, 1):
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, same: Tensor) -> Tensor:
    """CLIP's loss, image and text "b c"; captions that say the same (`same` "b b") share the target."""
    logits, target = scale * image @ text.T, same.float() / same.float().sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
