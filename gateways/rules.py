"""The policy and the flags in force: until Kafka answers, the domain's defaults hold."""

from dispatch.inputs.rules import Rules, RulesFollower
from gateways.followed import Followed


class RulesInForce(Followed[Rules]):
    """Keeps `rules` true to the log, between `start` and `stop`."""

    def __init__(self, brokers: str, namespace: str) -> None:
        self.rules = Rules()
        super().__init__("rules", self.rules, lambda rules: RulesFollower(brokers, namespace, rules))
