"""The words of docs/performance.md; `report` fills the figures in."""

HEAD = """# What it costs

Made from `{file}` by `python tools/benchmark.py --report {file}`; don't edit. Measured on {date} by `python
tools/benchmark.py --photos VOC_FOLDER --out {file}`.

- Machine: {processor}; {cores} cores, {threads} threads, {memory_gib:.0f} GiB. At best a large fp32 matrix
  product reached {peak_gflops:.0f} GFLOP/s here, a copy {copy_gb_per_s:.0f} GB/s (reads and writes).
- Versions: {versions}.
- Commits (sections): {commit}.
- Model: {arch}, fp32, **random weights** (CLIP's own were not at hand): it costs what the real one costs, its
  labels mean nothing. Words: the shipped vocabularies, encoded by the text tower of the same random weights.
- Images: {photos}.
- Seconds are processor seconds over all threads, unless they are called wall. Variants take turns in rounds of
  one run, and ratios are taken within a round. Rounds (sections): {rounds}.
- Given are medians and, in brackets, the interval between two order statistics that holds the true median with at
  least 95 % (below 6 rounds: the label_range).
- Meanwhile other processes took {others} of the cores.

## Aims

{aims}"""

IMAGE = """## One image, whole

512 x 512, no rules. "Published steps" are the dual path with its softmax matrices, feature surgery by way of
(b, n, k, c), min-max, resize and argmax, written plainly from the formulas (`benchmarks/published.py`). They
read the same tokens as our tower (unit length; largest difference {difference:.1g}).

{variants}

{pairs}

GFLOP and GB are counted on paper (`benchmarks/counts.py`); GFLOP/s is their quotient with wall seconds. The
plain tower reaches {plain_rate:.0%} and ours {tower_rate:.0%} of the rate of a large matrix product:
arithmetic bounds them. From grid logits to labels it is not arithmetic but how fast a core writes logits to
its cache and searches them for the largest; nothing of the size classes x H x W exists. White noise is the
worst case of whatever depends on the data."""

SLIDE = """## Sliding windows

The leaderboard's protocol on VOC: photos of 336 x 448, six windows of 224 x 224, the 56 words of `voc21`,
both rules, labels at the original size, from the pixels that a data loader hands over. The area rule draws
those rows again in which it drops a class: white noise for logits makes that every row. "One window at a
time" is a plain loop over our tower that holds whole tensors, as public evaluation code does; {same:.2%} of
its labels are ours.

{variants}

{pairs}"""

MEMORY = """## Memory

{width} x {height} (width x height), windows of 224 every 112, batches of {window_batch}, labels only. MiB
above what the process held before, at the high-water mark, each in a fresh process.

{rows}"""

TEXT = """## Text

{templates} templates, context length {context}; a text has {tokens:.0f} tokens on average. A round encodes
one class by the published loop (all templates at full length) and {group} classes by ours; the last column
scales to {words} classes.

{rows}

- faster: {faster} x; largest difference of unit vectors {difference:.1g}
- the whole list of {words} words at once, by ours: {seconds:.0f} s of processor, {wall:.0f} s on the wall
- second start, a fresh process that finds them in the disk cache: {second} s on the wall, tokenizing and the
  key over all weights included; difference {second_difference:.1g}"""

PROCESSES = """## Processes

`tools/test.py` on {images} photos with the settings of `configs/clipsurgery_voc.py`; every process has a core
of its own and one thread; runs alternate. Images a second are those of the test loop; the command also starts
Python, makes random weights and gathers results. What two cores give at best is shown by the plain tower alone
on six windows, without data, metrics or a process group, in the same rounds.

{rows}

- two to one: {faster} x; the whole command {command} x; the plain tower alone {tower} x
- mIoU is {same} in every run; peak memory of a process: {memory:.0f} MiB, weights included"""

SCALING = """## Cost against size

![cost against tokens, classes, templates, images and processes](performance_scaling.svg)

Counts are those of `benchmarks/counts.py`; what bounds a part shows in how near its GFLOP/s (wall) are to the
{peak_gflops:.0f} of a large matrix product, and its GB/s to the {copy_gb_per_s:.0f} of a copy.

Whole images, seconds. Arithmetic bounds them, and attention grows with the square of the tokens:

{tokens}

From grid logits to labels of a 512 x 512 image, milliseconds. GB are logits written and read again, in cache if all
goes well. Neither arithmetic nor memory is near its bound: the search for the largest logit takes the time. Under
random weights a photo's similarities lie so close together that few queries can be ruled out beforehand, so both
columns are near the worst case:

{classes}

{words} words times templates, seconds. Arithmetic bounds them, once there are enough texts for large products:

{templates}

Photos in one batch of the data loader, slide protocol, seconds an image. Arithmetic bounds them; a batch does not
make an image cheaper, since six windows fill the cores already:

{batches}

Photos one after the other, slide protocol, in a fresh process; memory is the high-water mark above the weights:

{run}"""

LOOP = """## From photos on disk to figures

`tools/test.py` with the settings of `configs/clipsurgery_voc.py` in {precision}, loader and metrics included,
{images} images ({photos} photos, {windows:.3g} windows each) in batches of {batch}, {window_batch} windows at
once; against open_clip's own forward alone of the same windows, and against the plain loop that reads one
window at a time ({looped} images, loaded before). Images a second on the wall, {rounds} rounds.

{rows}

- the test tool to the plain tower alone: {tower} x
- the test tool to one window at a time: {one} x"""

GPU = """## GPU

Not measured: no machine with one was at hand. `python tools/benchmark.py --device cuda --photos VOC_FOLDER --out
results/performance_cuda.json` measures all of the above there, and `--report` adds it here."""

GPU_MEASURED = """## GPU

{device}, torch {torch}; measured on {date} by `python tools/benchmark.py --device cuda --photos VOC_FOLDER --out
{file}`. Seconds are those of the device.

{aims}

{parts}"""
