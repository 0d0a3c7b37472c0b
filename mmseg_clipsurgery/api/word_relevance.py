"""Which words of a sentence carry its match with an image.

With F_0 the normalised class token and T the normalised sentence:

    leave_out   r_i = <F_0, T> - <F_0, T without word i>
    tokens      r_i = mean over the tokens j of word i of  <F_0, E_j> - <F_0, E_j of the empty string>
                E_j: the text tower's token at position j, after its final LayerNorm and projection, normalised

A sentence is encoded as it is, through no template. Words are what stands between blanks, so punctuation goes with
its word. What the words of a sentence share is in every E_j; the empty string's tokens at the same positions take it
away.

Source: CLIP Surgery (arXiv 2304.05653), multimodal visualisation, which shows tokens and leaves out how those of one
word are put together and which token of the empty string is meant: both are our choice.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from ..clip.text_encoder import OpenCLIPTextEncoder
from ..similarity import normalize
from ..vocabulary import check_characters

RelevanceMethod = Literal['leave_out', 'tokens']


def embed_texts(encoder: OpenCLIPTextEncoder, texts: list[str]) -> Tensor:
    """Texts as they are -> "t c", L2-normalised, fp32."""
    return normalize(encoder.encode_tokens(encoder.tokenizer(texts)).float())


def words_of(sentence: str) -> list[str]:
    """What stands between blanks. Raises ValueError for a sentence without words, or with what is no text."""
    words = sentence.split() if isinstance(sentence, str) else None
    if not words:
        raise ValueError(f'got the sentence {sentence!r}; give one with at least one word')
    check_characters(sentence)
    return words


def word_relevance(
    encoder: OpenCLIPTextEncoder, cls: Tensor, sentence: str, method: RelevanceMethod = 'leave_out'
) -> tuple[list[str], Tensor]:
    """Words of a sentence and what each does for its match with an image.

    Args:
        encoder: the text tower; its templates are not used.
        cls: class token "c", L2-normalised, fp32.
        sentence: free text.
        method: 'leave_out' or 'tokens', see the module's head.

    Returns:
        words, and "w", a difference of cosines for each: above zero the word helps.

    Raises:
        ValueError: unknown method, no words, more words than the tower reads, or a tower whose tokens can't be told
            apart.
    """
    if method not in get_args(RelevanceMethod):
        raise ValueError(f'word relevance has the methods {get_args(RelevanceMethod)}, got {method!r}')
    words = words_of(sentence)
    counts = check_length(encoder, words)
    if method == 'tokens':
        return words, token_relevance(encoder, cls, words, counts)
    shorter = [' '.join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    whole, *parts = embed_texts(encoder, [' '.join(words), *shorter]) @ cls
    return words, whole - torch.stack(parts)


def check_length(encoder: OpenCLIPTextEncoder, words: list[str]) -> list[int]:
    """Number of tokens of each word. Raises ValueError where they don't fit into the tower's context."""
    ids = encoder.tokenizer(words)
    counts = (encoder.end_positions(ids) - 1).tolist() if encoder.cuts_text else [1] * len(words)
    whole = [' '.join(words)]
    most = ids.shape[1] - 2
    if sum(counts) > most or encoder.tokenizer.cut(whole, encoder.tokenizer(whole)):
        found = sum(counts) if sum(counts) > most else f'more than {most}'
        raise ValueError(f'the sentence has {found} tokens and the text tower reads {most}; shorten it')
    return counts


def token_relevance(encoder: OpenCLIPTextEncoder, cls: Tensor, words: list[str], counts: list[int]) -> Tensor:
    """Relevance "w" of words by the text tower's own tokens."""
    if not encoder.cuts_text:
        raise ValueError(
            'the words of this text tower are no tokens that could be read one by one (it is not causal, or not '
            "open_clip's own); use method='leave_out'"
        )
    ids, empty = encoder.tokenizer([' '.join(words), ''])
    separate = [row[1 : 1 + count] for row, count in zip(encoder.tokenizer(words), counts, strict=True)]
    if not torch.equal(torch.cat(separate), ids[1 : 1 + sum(counts)]):
        raise ValueError(
            "the tokenizer joins characters of neighbouring words; separate them, or use method='leave_out'"
        )
    tokens = token_embeddings(encoder, ids, sum(counts)) - token_embeddings(encoder, empty, sum(counts))
    return torch.stack([part.mean() for part in (tokens @ cls).split(counts)])


def token_embeddings(encoder: OpenCLIPTextEncoder, ids: Tensor, count: int) -> Tensor:
    """The first `count` tokens after the start, projected and normalised: ids "l" -> "count c".

    The tower is causal, so the text pooled at position j is the token at position j of the whole text.
    """
    rows = ids.to(encoder.text_device).expand(count, -1)
    ends = torch.arange(1, count + 1, device=rows.device)
    return normalize(encoder.encode_cut(rows, ends).float())
