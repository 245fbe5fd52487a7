"""The list of phrases that the prose check reports, each with a replacement.

To add one, append a line. A pattern is a regular expression without regard to case; a space matches a line break too.
"""

import re
from typing import NamedTuple


class Phrase(NamedTuple):
    """An unusual phrase."""

    pattern: re.Pattern[str]
    replacement: str


def _phrases(pairs: dict[str, str], before: str = "") -> tuple[Phrase, ...]:
    return tuple(
        Phrase(re.compile(before + rf"\b(?:{pattern})\b".replace(" ", r"\s+"), re.IGNORECASE), replacement)
        for pattern, replacement in pairs.items()
    )


_BE = "(?:is|are|was|were|be|been)"

PHRASES = _phrases(
    {
        # verbs
        "told apart": "distinguished",
        "told(?! apart)": "reported, shown, printed",
        f"{_BE} said": "is reported, is called",
        f"{_BE} asked": "is checked, is requested, is called",
        f"{_BE} held(?! (?:against|beside))": "is compared, is limited, is stored",
        "held (?:against|beside)": "compared with",
        f"{_BE} looked (?:at|for)": "is examined, is searched",
        f"{_BE} come to": "is reached",
        f"{_BE} left out": "is omitted",
        f"{_BE} put right": "is corrected",
        f"{_BE} begun": "starts",
        f"{_BE} met": "occurs, is reached",
        f"{_BE} meant": "is intended, means",
        "comes? (?:of|to)|came (?:of|to)": "results from, becomes, reaches",
        "mend(?:s|ed|ing)?": "fix, repair, correct",
        # relations
        "beside": "next to, besides, compared with",
        "anew": "again, new",
        "apart(?! from)": "separately, different",
        "for itself": "separately",
        "of (?:its|their|his|your|our) own": "its own ..., a separate ...",
        "so (?:many|much)": "the number, as many",
        "so-manyth": "every N-th",
        "as (?:it|they) (?:is|are|was|were|has|have|stands?)": "unchanged, as written",
        "has it": "contains it, says",
        # clauses without a noun
        "what (?:is|are|was|were|has|does|comes)": "the noun: the value, the error",
        "what (?:a|an|the|no|one|it|they|nobody|somebody)": "the noun: the value, the error",
        "those (?:that|of|which|who)": "the noun again: the laws that",
        "(?<!the.)one (?:that|which)": "the noun again: a law that",
        "of (?:which|whom|what)": "a new sentence, or whose",
        # actors
        "(?:nobody|somebody|anybody)(?:'s)?": "the actor: the user, another process, no test",
        "whoever": "the actor: a user who",
    }
)
"""Unusual in any place of a sentence."""

OPENINGS = _phrases(
    {
        "what(?! if)|whatever|whoever|who|whose": "the subject, then the verb",
        "of|beside": "the subject: not 'Of two runs ...' but 'Two runs ...'",
        "those|that which": "the noun: not 'Those that fail' but 'Laws that fail'",
        "where": "if, or the subject",
        "so|nobody": "the subject, then the verb",
        "how(?! to)|which": "the noun: not 'How many laws ran is printed' but 'The number of laws'",
        "as(?! (?:a (?:result|rule)|in|before|an? example|soon|long|if)\\b)": "the subject, then the verb",
        "by (?:how|what|which)": "the subject, then the verb",
    },
    before=r"\A",
)
"""Unusual at the beginning of a sentence that is not a question."""

SPELLING = _phrases(
    {
        "catalogues?": "catalog",
        "cancell(?:ed|ing)": "canceled, canceling",
        "cent(?:re|red|res|ring)": "center, centered",
        "colours?": "color",
        "grey": "gray",
        "labell(?:ed|ing)": "labeled, labeling",
        "minimis(?:e|es|ed|ing)": "minimize",
        "neighbour(?:s|ing)?": "neighbor",
        "normalis(?:e|es|ed|ing)": "normalize",
        "summaris(?:e|es|ed|ing)": "summarize",
        "uninitialised|vectorised|optimisers?|daemonises": "-ize, -izer",
    }
)
"""British spellings that codespell ignores because they are names in code."""
