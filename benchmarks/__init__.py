"""What the package costs, measured against CLIP itself and against the published steps. Not part of the wheel.

python tools/benchmark.py [--photos VOC_FOLDER]        every section, a table and a JSON file
python tools/benchmark.py --report FILE.json           docs/performance.md and its figures from such a file

clock       CPU or device seconds, rounds of interleaved variants, medians and their intervals
subjects    towers of random weights, real encoded words, photos
published   the published steps, written out from their formulas
counts      floating-point operations and bytes, on paper
prediction, memory, text, processes, scaling, loop      the sections
yardstick   what two cores give to a tower alone
aims        what is promised, and whether it is kept
report      the page
"""
