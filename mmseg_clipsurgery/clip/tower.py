"""What every image tower shares: building, checking its input, one or many surgeries over one pass.

A family of towers (`vit`, `resnet`, ...) is a subclass in a file of its own and a row of `FAMILIES`, see `families`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..attention import Projections
from ..compatibility import check_feedback, check_surgery, walk_key
from ..methods.same_label import FeedbackRule
from ..structures import ImageTokens
from ..surgery import Surgery
from .archs import label_of, listed_archs, model_config, read_arch
from .building import build_image_tower
from .sources import resolve
from .tower_inputs import check_guide, check_layer, named


class ImageTower(nn.Module):
    """A CLIP's image tower, untouched, whose patch tokens are read by surgeries.

    Args:
        arch: an open_clip model name, a folder in open_clip's local-dir form, 'scenes', 'hf-hub:org/model' or a
            dict in the form of open_clip's model JSON.
        pretrained: an open_clip tag, a weights file, 'local-dir:FOLDER', 'hf-hub:org/model', 'scenes', or None (a
            folder's own weights where arch is one, else random weights).
        surgery: a name of `SURGERIES`, a dict of fields or a `Surgery`.
        quick_gelu: the activation, needed for a plain weights file that cannot tell it.
        checksum: SHA-256 the weights file must have.
        cache_dir: where downloads go.
        layer: the block at which patches are read, counted from 1; None: the last one. Not for ResNets.

    Attributes:
        visual: open_clip's tower, unmodified.
        surgery: what `forward` reads it by.
        patch: pixels per patch side (a ResNet's total stride).
        before: how many tokens stand before the patches in its blocks: 1, the class token, or 0.
        trained_grid: (h, w) in patches at the size it was trained at.
        mean, std: RGB pixel statistics the tower expects, for values in [0, 1].
        label: what the user wrote, for messages.

    Raises:
        ValueError, FileNotFoundError: see `sources.resolve` and `building.build_image_tower`; a tower of another
            family; a surgery that does not fit.
    """

    title: str  # what such a tower is, for messages: 'a ViT'
    patch: int
    before = 1
    trained_grid: tuple[int, int]

    def __init__(
        self,
        arch: str | Path | Mapping,
        pretrained: str | Path | None = None,
        surgery: str | Mapping | Surgery = 'clip_surgery',
        quick_gelu: bool | None = None,
        checksum: str | None = None,
        cache_dir: str | None = None,
        layer: int | None = None,
    ):
        super().__init__()
        row = Surgery.read(surgery)
        config = read_arch(arch, cache_dir)[0]
        if not self.recognises(config.get('vision_cfg') or {}):  # before its weights are fetched
            raise ValueError(refusal(config, str(label_of(arch)), [type(self)]))
        source = resolve(arch, pretrained, quick_gelu, checksum, cache_dir)
        self.label, self.mean, self.std = source.label, source.mean, source.std
        self.config = source.config
        self.visual = build_image_tower(source)
        self.layer: int | None = None
        self.set_up()
        self.layer = check_layer(layer, self.depth, self.label)
        self.surgery = self.accepts(row)
        self.eval()

    @classmethod
    def recognises(cls, vision: Mapping[str, Any]) -> bool:
        """Whether a `vision_cfg` of open_clip's model JSON is a tower of this family."""
        raise NotImplementedError

    @classmethod
    def patch_of(cls, vision: Mapping[str, Any]) -> int:
        """Pixels of a patch's side, the longer one, by the `vision_cfg` of a tower of this family."""
        size = getattr(cls, 'patch', None) or vision.get('patch_size', 16)
        return size if isinstance(size, int) else max(size)

    @classmethod
    def supported_archs(cls) -> list[str]:
        """Names of open_clip's models whose image tower is of this family."""
        configs = {name: model_config(name) or {} for name in listed_archs()}
        return [name for name, config in configs.items() if cls.recognises(config.get('vision_cfg') or {})]

    def set_up(self) -> None:
        """Check `visual` and set `patch`, `trained_grid` and what else the family needs. Raises ValueError."""
        raise NotImplementedError

    @property
    def depth(self) -> int | None:
        """How many blocks a surgery may read; None: any number means the same."""
        raise NotImplementedError

    def grid_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """The grid (h, w) in patches of images of a size (H, W)."""
        raise NotImplementedError

    @property
    def width(self) -> int | None:
        """Channels of a token; None: they are not what a surgery sees."""
        return None

    @property
    def has_class_token(self) -> bool:
        """Whether its image embedding is a class token that attention blocks carry along, as explainers need."""
        return False

    @property
    def stages(self) -> dict[str, list[nn.Parameter]]:
        """Its weights from the output down, each in one stage; a family that does not tell them apart has one."""
        return self.staged({})

    def staged(self, prefixes: Mapping[str, Sequence[str]]) -> dict[str, list[nn.Parameter]]:
        """Weights by stages, those of no stage in a last one, 'input'.

        Args:
            prefixes: stage -> how the names of its weights in `visual` begin.
        """
        found: dict[str, list[nn.Parameter]] = {stage: [] for stage in (*prefixes, 'input')}
        for name, weight in self.visual.named_parameters():
            stages = (stage for stage, starts in prefixes.items() if name.startswith(tuple(starts)))
            found[next(stages, 'input')].append(weight)
        return found

    def read_group(
        self,
        images: Tensor,
        surgeries: list[Surgery],
        grid: tuple[int, int],
        class_token: bool,
        guide: Tensor | None = None,
        feedbacks: Sequence[FeedbackRule | None] = (),
    ) -> list[ImageTokens]:
        """Tokens of checked images under surgeries that share one walk (`compatibility.walk_key`); CLIP is read once.

        Args:
            images: "b 3 H W".
            surgeries: rows that `accepts` returned.
            grid: (h, w) in patches.
            class_token: whether class tokens are wanted.
            guide: as for `forward`, checked.
            feedbacks: of each surgery, or none at all.
        """
        raise NotImplementedError

    def projections(
        self, images: Tensor, surgery: Surgery, block: int = -1, guide: Tensor | None = None
    ) -> Projections:
        """q, k and v of one block as a surgery reads it first, with all that its affinity needs.

        Args:
            images: "b 3 H W", checked.
            surgery: a row that `accepts` returned.
            block: counted from the end, -1 is the last.
            guide: as for `forward`.

        Raises:
            ValueError: a block that the tower does not have or the surgery does not read, or see `check_guide`.
        """
        raise NotImplementedError

    def train(self, mode: bool = True):
        """CLIP is only read: the tower stays in eval mode (its batch statistics and dropout with it)."""
        return super().train(False)

    def accepts(self, surgery: str | Mapping | Surgery) -> Surgery:
        """The row of a surgery that this tower can be read by.

        Raises:
            ValueError: an unknown surgery or affinity, or one that this tower does not fit.
        """
        return check_surgery(Surgery.read(surgery), self.depth, self.label, self.width, self.before > 0)

    def forward(
        self,
        images: Tensor,
        class_token: bool = True,
        surgery: str | Mapping | Surgery | None = None,
        guide: Tensor | None = None,
        feedback: FeedbackRule | None = None,
    ) -> ImageTokens:
        """Tokens of a batch of images under one surgery.

        Args:
            images: "b 3 H W", normalised, H and W any size of at least one patch; a remainder at right and bottom
                that fills no patch is not seen.
            class_token: whether the class token is wanted; without it the last block costs less.
            surgery: in place of the tower's own.
            guide: "b c h w", a second tower's features of the same images, for surgeries that read them
                (`proxyclip`); others don't look at it.
            feedback: makes of a first reading what a second one adds to its attention; the second one is returned.

        Returns:
            ImageTokens, on the grid of `grid_of`, or the guide's where the surgery reads one; not normalised, in the
            joint space.

        Raises:
            ValueError: see `check_images`, `check_guide`, `check_feedback` and `accepts`.
        """
        row = self.surgery if surgery is None else self.accepts(surgery)
        images = self.check_images(images)
        check_guide(guide, images, [row])
        check_feedback(feedback, row)
        grid = self.grid_of((images.shape[2], images.shape[3]))
        return self.read_group(images, [row], grid, class_token, guide, [feedback])[0]

    def read_many(
        self,
        images: Tensor,
        surgeries: Iterable[str | Mapping | Surgery] | Mapping[str, str | Mapping | Surgery],
        class_token: bool = True,
        guide: Tensor | None = None,
        feedback: Mapping[str, FeedbackRule] | None = None,
    ) -> dict[str, ImageTokens]:
        """Tokens of a batch of images under many surgeries, equal to the bit to reading them one by one.

        CLIP's own path is walked once; where the grid is not the trained one, once for each rule by which the
        surgeries resize the position table; and once more for those that change it (`Surgery.each_block`).

        Args:
            images: "b 3 H W", as for `forward`.
            surgeries: names of `SURGERIES`, dicts of fields or `Surgery`s; or a mapping from names of your own.
            class_token: whether class tokens are wanted.
            guide: as for `forward`.
            feedback: as for `forward`, by name, for those that are read twice.

        Returns:
            Name -> ImageTokens, in the order given. What has no name in `SURGERIES` is named by its fields.

        Raises:
            ValueError: no surgery, two of one name, feedback for a name that is not there, or see `forward`.
        """
        rows = {name: self.accepts(surgery) for name, surgery in named(surgeries).items()}
        feedback = feedback or {}
        if strange := [name for name in feedback if name not in rows]:
            raise ValueError(f'got feedback for {strange[0]!r}, the surgeries are {", ".join(rows)}')
        images = self.check_images(images)
        check_guide(guide, images, rows.values())
        grid = self.grid_of((images.shape[2], images.shape[3]))
        groups: dict[tuple, list[str]] = {}
        for name, row in rows.items():
            check_feedback(feedback.get(name), row)
            groups.setdefault(walk_key(row, grid == self.trained_grid), []).append(name)
        found: dict[str, ImageTokens] = {}
        for names in groups.values():
            group, rules = [rows[name] for name in names], [feedback.get(name) for name in names]
            tokens = self.read_group(images, group, grid, class_token, guide, rules)
            found.update(zip(names, tokens, strict=True))
        return {name: found[name] for name in rows}

    def check_images(self, images: Tensor) -> Tensor:
        """Images "b 3 H W" in the tower's dtype.

        Raises:
            ValueError: another shape, an image smaller than a patch, or NaN or infinite values.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f'images must be "b 3 H W", got shape {tuple(images.shape)}')
        if min(images.shape[2:]) < self.patch:
            raise ValueError(
                f'images must be at least one patch ({self.patch} pixels) high and wide, got '
                f'{images.shape[2]} x {images.shape[3]} (height x width)'
            )
        if not torch.compiler.is_compiling() and not torch.isfinite(images).all():
            raise ValueError('images hold NaN or infinite values; check the file and its normalisation')
        return images.to(self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """What images are converted to."""
        return self.visual.conv1.weight.dtype


# Name -> family; the first that recognises a tower has it. The rows stand in `families`.
FAMILIES: dict[str, type[ImageTower]] = {}


def family_of(config: Mapping[str, Any]) -> str | None:
    """The family of a model config's image tower; None: no family of the table recognises it."""
    vision = config.get('vision_cfg') or {}
    return next((name for name, family in FAMILIES.items() if family.recognises(vision)), None)


def refusal(config: Mapping[str, Any], label: str, wanted: Iterable[type[ImageTower]]) -> str:
    """A sentence that says what an image tower is, and what to use instead.

    Args:
        config: the model config.
        label: what the user wrote.
        wanted: the families that can't read it.
    """
    if family := family_of(config):
        remedy = f'use {FAMILIES[family].__name__}'
        return f'{label} is not supported here: it is {FAMILIES[family].title}, {remedy}'
    return (
        f'{label} is not supported here: it is {unsupported_kind(config)}. What works: {what_works(wanted)}'
    )


def what_works(families: Iterable[type[ImageTower]], most: int = 8) -> str:
    """Names of the installed open_clip that families read, the first few."""
    names = [name for family in families for name in family.supported_archs()]
    more = [f'{len(names) - most} more of open_clip.list_models()'] if len(names) > most else []
    return ', '.join([*names[:most], *more, f'{"and " if names else ""}dicts of that form'])


def unsupported_kind(config: Mapping[str, Any]) -> str:
    """What an image tower of no family is, in a clause."""
    vision = config.get('vision_cfg')
    if not vision:
        return 'a model without an image tower'
    if vision.get('timm_model_name'):
        return f'a timm tower ({vision["timm_model_name"]})'
    if vision.get('attentional_pool'):
        return 'a ViT with attention pooling'
    return f'a ViT with {vision.get("pool_type", "avg")!r} pooling'
