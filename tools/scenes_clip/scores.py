"""How a scenes CLIP does on a split: mIoU of CLIP Surgery and of raw CLIP, and the tints that it names rightly."""

from collections.abc import Sequence

from mmseg_clipsurgery.clip.vit import CLIPSurgeryViT
from mmseg_clipsurgery.scenes import Scene, draw_scene, spec

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn

from .model import MODEL_CFG, to_tensor


class ScenesOfSplit:
    """The first `count` scenes of a split and how a model does on them, with bare names."""

    def __init__(self, split: str, tokenizer: SimpleTokenizer, count: int, device: str) -> None:
        self.tokenizer, self.device = tokenizer, device
        scenes = [draw_scene(split, index) for index in range(count)]
        self.groups = [Group(scenes, size, device) for size in sorted({scene.mask.shape for scene in scenes})]
        self.towers = {
            name: CLIPSurgeryViT(arch=MODEL_CFG, surgery=name) for name in ('clip', 'clip_surgery')
        }

    @torch.no_grad()
    def scores(self, model: nn.Module) -> dict[str, float]:
        """In percent: mIoU of CLIP Surgery (all, objects, grounds), of raw CLIP, and tints rightly named."""
        names = self.embed(model, list(spec.CLASSES))
        tokens = {name: self.read(name, model) for name in self.towers}
        surgery, raw = (100 * self.ious(tokens[name], names) for name in ('clip_surgery', 'clip'))
        objects, grounds = surgery[: len(spec.OBJECTS)], surgery[len(spec.OBJECTS) :]
        means = {'miou': surgery, 'objects': objects, 'grounds': grounds, 'raw_miou': raw}
        means_of = {name: float(values.nanmean()) for name, values in means.items()}
        return means_of | {'tints': self.tint_accuracy(model, tokens['clip_surgery'])}

    def embed(self, model: nn.Module, words: list[str]) -> Tensor:
        return model.encode_text(self.tokenizer(words).to(self.device), normalize=True)

    def read(self, surgery: str, model: nn.Module) -> list[Tensor]:
        """Normalised patch tokens "b c h w" of each group."""
        tower = self.towers[surgery].to(self.device)
        tower.visual.load_state_dict(model.visual.state_dict())
        return [
            torch.cat([F.normalize(tower(part).patch_tokens, dim=1) for part in group.images.split(50)])
            for group in self.groups
        ]

    def ious(self, tokens: list[Tensor], names: Tensor) -> Tensor:
        """IoU of each class "k"; NaN for one that is nowhere."""
        k = len(names)
        table = torch.zeros(k, k, dtype=torch.double, device=self.device)
        for group, grid in zip(self.groups, tokens, strict=True):
            logits = torch.einsum('bchw,kc->bkhw', grid, names)
            predicted = F.interpolate(logits, size=group.masks.shape[1:], mode='bilinear').argmax(1)
            table += torch.bincount((group.masks * k + predicted).flatten(), minlength=k * k).view(k, k)
        return table.diag() / (table.sum(0) + table.sum(1) - table.diag())

    def tint_accuracy(self, model: nn.Module, tokens: list[Tensor]) -> float:
        """Share of objects whose mean token is nearest to the right one of "red fish", "blue fish", ..."""
        tints = list(spec.TINTS)
        words = self.embed(model, [f'{tint} {name}' for name in spec.OBJECTS for tint in tints])
        words = words.unflatten(0, (len(spec.OBJECTS), len(tints)))
        right = []
        for group, grids in zip(self.groups, tokens, strict=True):
            for objects, mask, token in zip(group.objects, group.masks, grids, strict=True):
                for name, tint in objects:
                    label = spec.CLASSES.index(name)
                    cover = F.adaptive_avg_pool2d((mask == label).float()[None], token.shape[1:])[0]
                    said = words[label] @ torch.einsum('hw,chw->c', cover, token)
                    right.append(tints[int(said.argmax())] == tint)
        return 100 * sum(right) / len(right)


class Group:
    """The scenes of one size: `images` "b 3 h w", `masks` "b h w", and the (name, tint) of their `objects`."""

    def __init__(self, scenes: Sequence[Scene], size: tuple[int, ...], device: str) -> None:
        scenes = [scene for scene in scenes if scene.mask.shape == size]
        self.images = to_tensor(np.stack([scene.image for scene in scenes])).to(device)
        self.masks = torch.from_numpy(np.stack([scene.mask for scene in scenes])).long().to(device)
        self.objects = [scene.objects for scene in scenes]
