"""The type of a method that takes one photo or a list of photos: one result, or a list of results.

mypy and editors see which; at run time the method is as it was written. An array or tensor is taken for one photo;
those of a whole batch in one ("b H W 3") give a list all the same.
"""

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import torch

from .images import ImageLike, Images

P = ParamSpec('P')
R = TypeVar('R')


class OneOrMany(Protocol[P, R]):
    """A method as it is called: what comes back depends on the first argument."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a string is a sequence of strings, and a path here
        self, images: str | bytes, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def __call__(self, images: Sequence[ImageLike], *args: P.args, **kwargs: P.kwargs) -> list[R]: ...

    @overload
    def __call__(self, images: ImageLike, *args: P.args, **kwargs: P.kwargs) -> R: ...


def one_or_many(method: Callable[Concatenate[Any, Images, P], R | list[R]]) -> OneOrMany[P, R]:
    """A method that builds no graph, with the type above."""
    return cast('OneOrMany[P, R]', torch.no_grad()(method))
