# SPDX-License-Identifier: MIT
"""What the official CLI asked and was answered, by the published contracts.

The CLI does not keep to the contract itself: what it sends beside it, and the service takes, is listed here."""
import os
import re

import judge
import published

PROJECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DATA_PATHS = ("/client/", "/postgres/")
# (method, path): what the CLI sends.
LENIENCIES = {
    ("PATCH", r"/apps/[^/]+/formation"): "quantity as text, and size",
    ("POST", r"/addon-attachments"): "objects {name} for add-on and app",
    ("POST", r"/apps/[^/]+/addons"): "an object {name} for the plan",
    ("DELETE", r"/apps/[^/]+/addons/[^/]+"): "a body",
}


class Verdict(judge.Judge):
    """Answers by the same measure as ever; of requests only that there is such a link, and what is in the body."""

    def __init__(self, place):
        super().__init__(place)
        self.lenient = set()
        self.reached = set()

    def judge_request(self, exchange, links):
        if not links:
            self.complain(exchange, "there is no such link")
            return []
        good = [link for link in links if not self.body_complaints(exchange, link)]
        self.reached.update(link.name for link in good or links)
        excuse = next((what for (method, path), what in LENIENCIES.items()
                       if method == exchange.method and re.fullmatch(path, exchange.path)), None)
        if good:
            return good
        if excuse:
            self.lenient.add(f"{exchange.method} {re.sub('[^/]*[0-9][^/]*', '?', exchange.path)}: {excuse}")
        else:
            for line in self.body_complaints(exchange, links[0]):
                self.complain(exchange, f"request: {line}")
        return links


def pronounce(exchanges):
    """What is wrong, a line each."""
    place = os.environ.get("PLAN_HEROKU_CONTRACT") or os.path.join(PROJECT, "..", "shared", "heroku")
    if not os.path.exists(os.path.join(place, published.PLATFORM)):
        print(f"no {published.PLATFORM} in {place}: the answers were not judged")
        return []
    court = Verdict(place)
    for exchange in exchanges:
        exchange.door = "data" if exchange.path.startswith(DATA_PATHS) else "platform"
        court.look_at(exchange)
    print(f"judged: {len(exchanges)} requests of the CLI on {len(court.reached)} links, {court.answers} answers")
    for line in sorted(court.lenient):
        print(f"  beside the contract: {line}")
    return court.problems
