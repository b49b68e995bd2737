"""What shops call their events: the default type fields and rules, by source.

Critical are orders and money, their failures and cancellations included; high is what leads to an order in the
next minutes (checkout and cart); normal is interest in one item, searches and accounts; bulk is what comes with
every page. Blanks and underscores are alike and case does not count, so Segment's "Order Completed" is written
``order_completed`` here. What no rule names is high, and counted as unclassified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tidegate.core.rule_text import parse_rule
from tidegate.types import CLASS_LABELS
from tidegate.vocabulary_sources import SOURCES

DEFAULT_TYPE_FIELDS: tuple[str, ...] = (
    "header:ce_type",  # CloudEvents, Kafka binding
    "header:ce-type",  # CloudEvents, HTTP binding carried over
    "header:event_type",
    "header:x-shopify-topic",
    "header:x-wc-webhook-topic",
    "header:saleor-event",
    "json:/event_name",  # GA4 export, Snowplow
    "json:/event",  # Segment, RetailRocket
    "json:/event_type",  # REES46
    "json:/eventType",  # Adobe XDM
    # Snowplow calls every shop event "snowplow_ecommerce_action"; which one it is stands in the event's own part.
    "json:/unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1/type",
    "json:/type",  # Stripe, CloudEvents, OTTO, Segment's page, screen and identify
    "json:/topic",  # webhooks stored with their topic beside the payload
    # Last: Shopify's pixel and GA4's protocol use it, but pages ("Cart"), products and people have names too.
    "json:/name",
)

DEFAULT_SAMPLE_KEY: tuple[str, ...] = (
    # The session.
    "json:/session_id",
    "json:/sessionId",
    "json:/user_session",  # REES46
    "json:/domain_sessionid",  # Snowplow
    "json:/session",  # OTTO
    "json:/context/sessionId",  # Segment, as its mobile libraries and RudderStack write it
    "json:/properties/session_id",  # Segment
    # The visitor; where one logs in on the way, what was known before goes first, or the session would be torn apart.
    # GA4's ga_session_id is no session of its own: it is a second of the clock.
    "json:/user_pseudo_id",  # GA4 export
    "json:/client_id",  # GA4's protocol
    "json:/clientId",  # Shopify's pixel
    "json:/anonymousId",  # Segment
    "json:/domain_userid",  # Snowplow
    "json:/visitorid",  # RetailRocket
    "json:/user_id",
    "json:/userId",
    # The event.
    "header:ce_id",  # CloudEvents, Kafka binding
    "json:/event_id",  # Snowplow
    "json:/messageId",  # Segment
    "json:/_id",  # Adobe XDM
    "json:/id",  # CloudEvents, Shopify's pixel, Stripe
)
"""What an event is sampled by: its session, else its visitor, else itself."""


def _defaults(label: str) -> tuple[str, ...]:
    rules = [rule for source in SOURCES for rule in getattr(source, label).split()]
    return tuple({parse_rule(rule).identity: rule for rule in reversed(rules)}.values())[::-1]


DEFAULT_RULES: Mapping[str, tuple[str, ...]] = {label: _defaults(label) for label in CLASS_LABELS}
"""Rule texts by the class's label; no rule stands in two classes."""


def resolve_rules(overrides: Mapping[str, Sequence[str] | None]) -> list[tuple[int, str]]:
    """Merges the operator's lists with the defaults into what `RuleTable` takes.

    Args:
        overrides: rule texts by class label; None or absent means the class's defaults, and the word ``default``
            in a list stands for them. An empty list leaves the class without rules.

    Returns:
        (class, rule text) pairs. A default rule vanishes from every class where the operator names the same rule
        in any class, so that ``TIDEGATE_NORMAL=refund`` needs no second setting.

    Raises:
        RuleError: one of the operator's rules is wrong.
        ValueError: a label is not a class's.
    """
    unknown = sorted(set(overrides) - set(CLASS_LABELS))
    if unknown:
        raise ValueError(f"not a class: {', '.join(unknown)}; the classes are {', '.join(CLASS_LABELS)}")
    own = {label: [rule for rule in rules if not is_default(rule)] for label, rules in overrides.items() if rules}
    named = {parse_rule(rule).identity for rules in own.values() for rule in rules}

    def rules_of(label: str) -> Iterator[str]:
        given = overrides.get(label)
        for rule in ["default"] if given is None else given:
            if is_default(rule):
                yield from (d for d in DEFAULT_RULES[label] if not named or parse_rule(d).identity not in named)
            else:
                yield rule

    return [(klass, rule) for klass, label in enumerate(CLASS_LABELS) for rule in rules_of(label)]


def is_default(rule: str) -> bool:
    """Whether an entry is the word that stands for the built-in list."""
    return rule.strip().lower() == "default"
