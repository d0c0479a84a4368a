#!/usr/bin/env python3
"""Finds phrases that STYLE.md replaces, in code, comments, docs and test names.

Input: the files and folders named as arguments, or the whole project. Output: file, line, phrase and replacement for
each hit, and status 1. The check first runs on its own examples, and fails if it misses one or flags a good sentence.
Add a phrase only if plain technical English has no use for it: a false alarm costs more than a missed phrase.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
KINDS = {".rs", ".md", ".tf", ".hcl", ".py", ".sh", ".yml", ".yaml", ".toml", ".js", ".mjs"}
NAMES = {"Makefile", "run"}
# They list the phrases, or are not ours.
EXEMPT = {"STYLE.md", "tests/style.py"}

VENDOR = "GitHub|SSM|KMS|Lambda|AWS|Terraform|Rust|cargo|Debian"
# Pattern, replacement, and a text that must be found. A space also matches an underscore and a line break in a comment.
PHRASES = [
    (r"h[eo]ld(s|ing)? (\w+ ){0,4}against", "compare with, check against", "The result is held against the limit."),
    (r"held (to|by)", "checked against, limited to, tested by", "each mention is held to them"),
    (r"anew", "again", "sign\n// anew"),
    (r"left out|lea(ve|ves|ving) out", "omit, skip", "fn what_the_answer_left_out() {"),
    (r"in (its|their) place|in place of", "instead of", "our own date format, in place of a library"),
    (r"who(so)?ever", "anyone who", "Whoever may invoke it"),
    (r"asked for(?=[.,;:)]| (and|again|too))", "request", "its revocation is asked for;"),
    (r"(was|were|is|are|be|been) (\w+ )?asked for", "request", "more than was asked for"),
    (r"beside(?!s)", "next to, in addition to", "another program beside ours"),
    (r"(is|are|was|were|be|been) (also |then |not |never )?told|tells? (a|no) (person|one)", "report, return, log", "a caller who is told"),
    (r"by turns", "alternately", "run by turns"),
    (r"see that (the|it|its|no|every|each)", "make sure", "See that the parameter names are valid"),
    (r"(is|are|be) (of )?no use", "is pointless", "a retry is no use"),
    (r"if (it|this|that) stays", "if it persists", "Try again; if it stays, check the clock"),
    (r"(comes|goes) (in|out):|(goes|comes) out (the|what|a|an|one)", "Input:, Output:", "Comes in: a process. Goes out: its CPU time"),
    (r"so many (of|are|is|were|have|bytes|times|warm|at)", "the number of", "So many bytes have been read"),
    (r"some (seconds|milliseconds|microseconds|minutes|hours)", "a few", "for some seconds"),
    (r"sp(eak|eaks|oke) of|sp(eak|eaks) to a", "mention, describe, print", "the changelog speaks of it"),
    (r"what of", "text from ..., the part that", "What of GitHub's could be another text"),
    (r"(nobody|or|and|,) who has|^who has", "a principal that has", "nobody, or who has `lambda:InvokeFunction`"),
    (r"ends? well", "succeed", "that line ends well"),
    (r"rings (the|an?|it)", "triggers", "a bad payload rings the alarm"),
    (rf"of ({VENDOR})'s(?=\s*[.,;:)|]| (is|are|was|and|or|that|could|has|have)\b)", "from ..., ...'s own", "a fault of SSM's."),
    (r"(not|is|was|be) believed", "rejected, accepted", "GitHub's time was not believed"),
    (r"but for|all but (the|a|one|its)", "except for", "wiped, but for the last record"),
    (r"lets (in|through)|(is|are|be|been) let (in|through)", "allow", "nobody is let in"),
    (r"has (an)?other shape|another shape", "does not match the schema", "it has another shape than GitHub documents"),
    (r"another (\w+ )?than|other \w+ than", "different from, a ... that is not", "another account than the owner"),
    (r"round (it|them|the|a)\b(?! trip)", "around", "with the folders round it"),
    (r"licen[c]e[sd]?|(behaviour|colour|neighbour|organisation|optimis|initialis|recognis|serialis|authoris|normalis)\w*", "US spelling", "its licence"),
    (r"time-outs?", "timeout", "Lambda's time-out"),
    (r"headway|heed|thereof|herein|hitherto|aforesaid", "a plain word", "take heed"),
]
GOOD = [
    "The broker asks GitHub to revoke the token, and it checks the response against the schema.",
    "Besides, `ask_for_nothing` holds a lock; each round trip takes 20 ms. Strings, not rings around them.",
    "An alarm triggers. Lambda's behavior, SSM's error, the text of GitHub's response and of AWS's SDK.",
    "// A principal who has access is allowed to invoke it. Return the size, in place, of the file.",
    "If the caller asks for a scope, the function rejects the payload. It tolerates that. `let in_region = 1;`",
]
FINDERS = [
    (re.compile(rf"(?<![A-Za-z])(?:{pattern.replace(' ', ' +')})(?![A-Za-z])", re.IGNORECASE), better)
    for pattern, better, _ in PHRASES
]
# What counts as one space: an underscore, or a line break with what a comment or a table begins its lines with.
SPACE = re.compile(r"[ \t_]|\n(?![ \t]*(?://[/!]?|#|>|\|)?[ \t]*\n)[ \t]*(?://[/!]?|#|>|\|)?")


def findings(text):
    """(line, phrase, replacement) of each phrase in a text."""
    spaced = SPACE.sub(lambda found: " " * len(found[0]), text)
    for finder, better in FINDERS:
        for found in finder.finditer(spaced):
            yield text.count("\n", 0, found.start()) + 1, " ".join(found[0].split()), better


def self_test():
    for pattern, better, example in PHRASES:
        if better not in [found for _, _, found in findings(example)]:
            sys.exit(f"self-test of the style check: {pattern!r} does not find {example!r}")
    for sentence in GOOD:
        if found := list(findings(sentence)):
            sys.exit(f"self-test of the style check: a good sentence is flagged: {sentence!r}: {found}")


def files(only):
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *only]
    for name in subprocess.check_output(command, cwd=ROOT, text=True).split("\0"):
        path = pathlib.PurePath(name)
        if name and name not in EXEMPT and (path.suffix in KINDS or path.name in NAMES) and (ROOT / name).is_file():
            yield name


def main():
    self_test()
    seen = hits = 0
    for name in files(sys.argv[1:]):
        seen += 1
        for line, phrase, better in sorted(findings((ROOT / name).read_text(errors="replace"))):
            hits += 1
            print(f"{name}:{line}: \"{phrase}\": write {better}")
    print(f"style: {seen} files, {hits} phrases that STYLE.md replaces")
    return 1 if hits or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
