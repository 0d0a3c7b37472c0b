"""A campaign of hostile and unlucky inputs: what the package does with files that nobody meant to give it.

    python tests/campaign --out build/campaign                 all kinds; what was interrupted goes on where it was
    python tests/campaign --kinds words images --inputs 100    so many inputs of these kinds
    python tests/campaign --replay images:731                  one input in this process, its traceback shown

Each kind is a file: what it needs (`prepare`), and one input with the oracle that judges what became of it (`trial`).
An input is a function of the seed, the kind and its number. What counts as a fault:

    traceback   an exception that no command prints as one sentence (see `environment.mistakes`), a sentence without
                words or with torch's advice to unpickle freely, or a process that dies
    hang        no end within the kind's limit
    wrong       accepted, and not what the file, the words or numpy say
    lost        results missing, or other bytes after a kill and a second start
    executed    code of an input ran: it left its mark
"""
