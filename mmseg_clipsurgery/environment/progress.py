"""How far a run is and what time is left: one line rewritten on a terminal, else a line now and then."""

import sys
import time


def progress_line(done: int, total: int, rate: float) -> str:
    """Images done, speed and time left: '120/1449 images, 3.2 images/s, 6 min 55 s left'.

    Args:
        done: images finished so far.
        total: images of the whole run.
        rate: images per second, positive; below 1 it is shown as seconds per image.
    """
    left = round((total - done) / rate)
    minutes = f'{left // 60} min ' if left >= 60 else ''
    speed = f'{rate:.1f} images/s' if rate >= 1 else f'{1 / rate:.1f} s/image'
    return f'{done}/{total} images, {speed}, {minutes}{left % 60} s left'


class Progress:
    """Tells on stderr how far a run over photos is.

    Args:
        total: number of photos.
        interval: seconds between two lines where stderr is no terminal; None: nothing is told.
    """

    def __init__(self, total: int, interval: float | None = 10.0):
        self.total, self.interval = total, interval
        self.done = self.tried = 0
        self.start = self.last = time.perf_counter()

    def step(self, skipped: bool = False) -> None:
        """One photo more; skipped ones don't count for the speed."""
        self.done, self.tried = self.done + 1, self.tried + (not skipped)
        if self.interval is None:
            return
        now, live = time.perf_counter(), sys.stderr.isatty()
        over = self.done == self.total
        due = over or now - self.last >= (0.2 if live else self.interval)
        if not self.tried or self.total == 1 or not due:
            return
        self.last = now
        line = progress_line(self.done, self.total, self.tried / max(now - self.start, 1e-3))
        text, end = (f'\r{line}  ', '\n' if over else '') if live else (line, '\n')
        print(text, end=end, file=sys.stderr, flush=True)
