"""A tokenizer in transformers' form that knows a few words, in place of one that only the hub has."""

from collections.abc import Sequence
from pathlib import Path

END = '</s>'  # id 1, as SigLIP's and mT5's


def write(folder: Path, words: Sequence[str]) -> None:
    """Write a tokenizer whose texts are words, then the end token, which pads them too."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {word: place for place, word in enumerate(['<unk>', END, *words])}
    tokenizer = Tokenizer(models.WordLevel(ids, '<unk>'))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f'$A {END}', special_tokens=[(END, ids[END])]
    )
    marks = dict(pad_token=END, eos_token=END, unk_token='<unk>')
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
