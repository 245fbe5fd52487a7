"""``python -m unseen [FILE.toml] [WORD ...]``: judge the functions that were written before the harness saw them."""

import re
import sys
import time
import warnings

from unseen.blind import read
from unseen.catalogue import SOUND, WRONG
from unseen.judging import first_sentences, judge, verdict_on


def main() -> None:
    """Judge the functions whose name contains a word, and print a line for each, and the totals."""
    warnings.simplefilter("ignore")
    files = [word for word in sys.argv[1:] if word.endswith(".toml")]
    words = [word for word in sys.argv[1:] if word not in files]
    counts: dict[str, int] = {}
    for kind, listed in (("wrong", WRONG), ("sound", SOUND)):
        for one in read(files[0], kind) if files else listed:
            if words and kind not in words and not any(re.search(word, one.name) for word in words):
                continue
            started = time.process_time()
            verdicts = judge(one)
            result = verdict_on(one, verdicts, is_wrong=kind == "wrong")
            counts[result] = counts.get(result, 0) + 1
            sys.stdout.write(f"{result:<16} {time.process_time() - started:5.1f} {one.name}\n")
            for sentence in first_sentences(verdicts):
                sys.stdout.write(f"    {sentence}\n")
            sys.stdout.flush()
    sys.stdout.write("".join(f"{many:3} {result}\n" for result, many in sorted(counts.items())))


if __name__ == "__main__":
    main()
