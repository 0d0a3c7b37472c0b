"""timm's ViTs whose image embedding an attention pool makes: SigLIP and Perception Encoder.

    x = LN(tokens after the last block);   u = O( softmax(s q k^T) v ) + bias,   q of one learned query, k and v of x
    image embedding = head( u + MLP(LN(u)) )

What the pool makes of one token alone is that token in the joint space: its value path, and the MLP. The image
embedding stands in the class token's place.
"""

from torch import Tensor, nn

from .timm_vit import CLIPSurgeryTimmViT

POOL_PARTS = {'latent', 'q', 'kv', 'proj', 'norm', 'mlp'}


class PooledViT(CLIPSurgeryTimmViT):
    """What SigLIP and Perception Encoder share; arguments as `ImageTower`."""

    pools = True

    def set_up(self) -> None:
        super().set_up()
        check_pool(self.trunk.attn_pool, self.label)

    @property
    def has_class_token(self) -> bool:
        return False

    def to_joint(self, tokens: Tensor) -> Tensor:
        pool = self.trunk.attn_pool
        values = pool.kv(self.trunk.norm(tokens)).chunk(2, dim=-1)[1]
        u = pool.proj(values)
        return self.headed(u + pool.mlp(pool.norm(u)))

    def embedding(self, x: Tensor) -> Tensor:
        return self.headed(self.trunk.attn_pool(self.trunk.norm(x)))

    def headed(self, pooled: Tensor) -> Tensor:
        """What the pool gives, "... d", in the joint space, "... c"."""
        return self.trunk.head(self.trunk.fc_norm(pooled))


def check_pool(pool: nn.Module | None, label: str) -> None:
    """Refuse another pool than that of one learned query. Raises ValueError."""
    parts = set() if pool is None else {name.partition('.')[0] for name, _ in pool.named_parameters()}
    if pool is None or parts != POOL_PARTS or pool.latent_len != 1 or pool.pool != 'token':
        raise ValueError(
            f'{label} has no attention pool of one query ({", ".join(sorted(parts)) or "none"}), which is what is read'
        )
