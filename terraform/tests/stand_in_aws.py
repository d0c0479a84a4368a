"""A stand-in for version 2 of the AWS CLI around version 1, for machines that have no version 2.

It accepts `--cli-binary-format raw-in-base64-out`, which version 1 does not know but always does, and passes everything else on. If
STANDIN_LAMBDA_URL is set, `lambda` calls go there, to the functions that run. All other calls go to AWS_ENDPOINT_URL.
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
