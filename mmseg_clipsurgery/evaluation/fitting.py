"""What MMEngine and MMSeg raise while a run is built from a config, as one sentence that names the config.

Registries raise KeyError for a type that is not there, classes TypeError for a setting they don't know or of another
type, and so on; all of it is something that the config says. `--debug` shows where it came from.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config


@contextmanager
def fits(cfg: Config | str) -> Iterator[None]:
    """Build something from a config in this block.

    Args:
        cfg: the config, or its name.

    Raises:
        ValueError: it doesn't fit; ValueError, OSError and ImportError have sentences of their own and pass.
    """
    try:
        yield
    except (ValueError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        name = cfg if isinstance(cfg, str) else cfg.filename or 'that was given'
        raise ValueError(f'the config {name} does not fit: {what(error)}') from error


def what(error: Exception) -> str:
    """An error's kind and message on one line, without a registry's advice."""
    text = ' '.join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    return f'{type(error).__name__}: {text.partition(". Please check")[0]}'
