"""A stand-in for jq on machines that have none: the jq library from PyPI with the few options that the pages use.

`jq [-r] [-e] FILTER [FILE]`
"""

import json
import sys

import jq


def main() -> int:
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    program, *files = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    text = open(files[0], encoding="utf-8").read() if files else sys.stdin.read()
    result = None
    for result in jq.compile(program).input_text(text):
        raw = "-r" in options and isinstance(result, str)
        print(result if raw else json.dumps(result, indent=2, ensure_ascii=False))
    return 1 if "-e" in options and result in (None, False) else 0


if __name__ == "__main__":
    sys.exit(main())
