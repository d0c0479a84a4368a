"""A stand-in for version 2 of the AWS CLI around version 1, for machines that have no version 2.

It accepts `--cli-binary-format raw-in-base64-out`, which version 1 does not know and whose effect it always has, and hands
everything else over. Where STANDIN_LAMBDA_URL is set, `lambda` goes there, where functions run; all else to AWS_ENDPOINT_URL,
where they are configured.
"""

import os
import sys
from pathlib import Path


def main() -> None:
    given = sys.argv[1:]
    if "--cli-binary-format" in given:
        at = given.index("--cli-binary-format")
        del given[at : at + 2]
    if given[:1] == ["lambda"] and "STANDIN_LAMBDA_URL" in os.environ:
        os.environ["AWS_ENDPOINT_URL_LAMBDA"] = os.environ["STANDIN_LAMBDA_URL"]
    os.execv(Path(sys.executable).parent / "aws", ["aws", *given])


if __name__ == "__main__":
    main()
