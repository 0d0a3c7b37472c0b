"""Code blocks of a page of docs: read in order, each run as its reader would run it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import forked

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r'(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```', re.DOTALL)


class DocBlock(NamedTuple):
    """A fenced block.

    Attributes:
        language: 'python', 'console', 'diff' or ''.
        text: what stands between the fences.
        file: the name under which the page says to save it; None: it is run.
        line: of the page, where the block begins.
    """

    language: str
    text: str
    file: str | None
    line: int


def blocks_of(page: Path) -> list[DocBlock]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding='utf-8')
    return [
        DocBlock(found['language'], found['text'], found['file'], text[: found.start()].count('\n') + 1)
        for found in FENCE.finditer(text)
    ]


def run_block(block: DocBlock, folder: Path, environment: dict[str, str]) -> None:
    """Save a block, or run it in a folder; raises AssertionError with what it printed where it fails.

    Commands are the lines that begin with `$`, each `python ...`; `tools/` is the checkout's. They run in forks,
    explainers in new processes.
    """
    if block.file is not None:
        (folder / block.file).write_text(block.text, encoding='utf-8')
        return
    commands = [['-c', block.text]]
    if block.language == 'console':
        lines = [line[2:] for line in block.text.splitlines() if line.startswith('$ ')]
        assert lines, f'line {block.line}: no command'
        commands = [words_of(line) for line in lines]
    for words in commands:
        # Where gradients were taken before, those of a fork fail: PyTorch's threads for them are gone.
        afresh = any('explainer' in word for word in words)
        done = (started if afresh else forked.run)(words, folder, environment)
        assert done.returncode == 0, f'line {block.line}: {shlex.join(words)[:200]}\n{done.stdout}'


def started(words: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As `forked.run`, in a new process."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def words_of(line: str) -> list[str]:
    """A command line without its `python`, in words."""
    python, *words = shlex.split(line)
    assert python == 'python', line
    return [str(ROOT / word) if word.startswith('tools/') else word for word in words]
