"""Progress of a test run: images done, speed and time left, counted over all processes."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...environment import interrupts
from ...environment.numbers import check_number
from ...environment.progress import progress_line
from ...models.variants import by_variant


@HOOKS.register_module()
class ProgressHook(Hook):
    """Images done, images per second and time left: one line rewritten on a terminal, else a log line now and then.

    After the run, `seconds` is the duration of the test loop without the metric's summary, and `first_batch_seconds`
    its part in which text is embedded and memory is allocated.

    Args:
        interval: seconds between two log lines.
    """

    priority = 'VERY_LOW'

    def __init__(self, interval: float = 10.0) -> None:
        check_number('interval', interval, 0)
        self.interval = interval
        self.seconds = self.first_batch_seconds = 0.0
        self._done = self._first_batch = 0

    def before_test_epoch(self, runner: Runner) -> None:
        interrupts.check()
        self._start = self._last = time.perf_counter()
        self._done = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        interrupts.check()
        now = time.perf_counter()
        self.seconds = now - self._start
        self._done += images_in(outputs or [])
        if batch_idx == 0:
            self.first_batch_seconds, self._first_batch = self.seconds, self._done
        rank, world = get_dist_info()
        total = len(runner.test_dataloader.dataset)
        last = batch_idx + 1 == len(runner.test_dataloader)
        live = sys.stderr.isatty()
        if rank != 0 or not (last or now - self._last >= (0.2 if live else self.interval)):
            return
        self._last = now
        line = progress_line(min(self._done * world, total), total, self._rate() * world)
        if live:
            print(f'\r{line}  ', end='\n' if last else '', file=sys.stderr, flush=True)
        else:
            runner.logger.info(line)

    def _rate(self) -> float:
        """Images per second of this process, without the first batch (which is slow) as soon as there is another."""
        if self._done > self._first_batch:
            return (self._done - self._first_batch) / (self.seconds - self.first_batch_seconds)
        return self._done / self.seconds

    def speed(self, images: int) -> dict[str, float | None]:
        """Seconds and images per second of the run, also without the first batch.

        Args:
            images: number of images of all processes together.
        """
        rest = self.seconds - self.first_batch_seconds
        later = images - min(images, self._first_batch * get_dist_info()[1])
        return {
            'seconds': round(self.seconds, 3),
            'images_per_second': round(images / self.seconds, 3) if self.seconds else None,
            'first_batch_seconds': round(self.first_batch_seconds, 3),
            'images_per_second_after_first_batch': round(later / rest, 3) if later and rest else None,
        }


def images_in(samples: Sequence[Any]) -> int:
    """How many images a batch's samples are of; a model with variants gives several for each."""
    return max(map(len, by_variant(samples).values()), default=0)
