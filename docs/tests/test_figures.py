"""The results on "Scaling and cost" are calculated from the inputs on the same page.

To change an input, change its row. The test then fails and prints the rows that must change too.
"""

import re

from book import SRC

PAGE = "explanation/scaling-and-cost.md"
TEXT = (SRC / PAGE).read_text()
MINTS = (10, 1_000, 100_000)  # per hour


def value(name: str) -> float:
    """The number in the row of an input, without its unit."""
    found = re.search(rf"^\| {re.escape(name)} \| ([\d.,]+)", TEXT, re.MULTILINE)
    assert found, f"{PAGE} has no input {name!r}"
    return float(found[1].replace(",", ""))


def usd(amount: float) -> str:
    return "under 0.01" if amount < 0.005 else f"{amount:,.2f}"


def percent(share: float) -> str:
    return f"{share:.2g} %" if share < 1 else f"{share:,.0f} %"


def costs() -> str:
    seconds = value("memory") / 1024 * value("billed time of a mint") / 1000
    rows = ["| USD per month | " + " | ".join(f"{mints:,} mints per hour" for mints in MINTS) + " |", "|---|---|---|---|"]
    of_a_mint = {
        "Lambda, time": seconds * value("Lambda, arm64, for a GB-second"),
        "Lambda, requests": value("Lambda, for a million requests") / 1e6,
        "KMS": value("decryptions of a mint") * value("KMS, for 10,000 requests") / 10_000,
        "log": value("log of a mint") / 1e9 * value("CloudWatch Logs, for a GB taken in"),
        "SSM": value("SSM, standard throughput"),
    }
    of_a_mint["**all**"] = sum(of_a_mint.values())
    for what, cost in of_a_mint.items():
        amounts = [usd(cost * mints * value("hours in a month")) if cost else "0" for mints in MINTS]
        rows.append(f"| {what} | " + " | ".join(amounts) + " |")
    return "\n".join(rows)


def limits() -> str:
    rows = ["| Limit | " + " | ".join(f"{mints:,} mints per hour" for mints in MINTS) + " |", "|---|---|---|---|"]
    ssm = [percent(100 * mints / 3600 / value("SSM's limit")) for mints in MINTS]
    github = [percent(100 * mints / 60 * value("points of a mint") / value("GitHub's points")) for mints in MINTS]
    busy = [f"{mints / 3600 * value('billed time of a mint') / 1000:.2g}" for mints in MINTS]
    for what, cells in {"SSM limit used": ssm, "GitHub points used": github, "busy execution environments": busy}.items():
        rows.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def part(name: str) -> str:
    return TEXT.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]


def test_costs_follow_from_the_inputs():
    assert part("costs").splitlines() == costs().splitlines(), f"{PAGE} should contain\n{costs()}"


def test_limits_follow_from_the_inputs():
    assert part("limits").splitlines() == limits().splitlines(), f"{PAGE} should contain\n{limits()}"
