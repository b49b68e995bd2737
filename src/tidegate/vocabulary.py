"""What shops call their events: the default type fields and rules, by source.

Critical are orders and money, their failures and cancellations included; high is what leads to an order in the
next minutes (checkout and cart); normal is interest in one item, searches and accounts; bulk is what comes with
every page. Blanks and underscores are alike and case does not count, so Segment's "Order Completed" is written
``order_completed`` here. What no rule names is high, and counted as unclassified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tidegate.core.rule_text import parse_rule
from tidegate.types import CLASS_LABELS

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


class _Source(NamedTuple):
    """Rules of one vendor, separated by blanks."""

    critical: str = ""
    high: str = ""
    normal: str = ""
    bulk: str = ""


_SOURCES: tuple[_Source, ...] = (
    # Words that shops use without any vendor's help.
    _Source(
        critical="""order orders order_created order_placed order_paid order_completed order_updated order_cancelled
            order_canceled order_failed order_refunded order_returned purchase purchases purchase_completed
            purchase_failed refund refunds refund_created refund_failed payment payments payment_created
            payment_succeeded payment_completed payment_failed payment_declined payment_cancelled payment_canceled
            payment_refunded transaction transactions transaction_completed transaction_failed chargeback buy buys""",
        high="checkout checkouts checkout_started cart carts basket add_to_basket cart_updated",
        normal="""view views item_view product_view product_viewed search wishlist login logout signup sign_up
            account_created""",
        bulk="""page screen page_view page_viewed pageview pageviews screen_view screen_viewed impression impressions
            scroll heartbeat ping session_start session_end""",
    ),
    # Google Analytics 4, "Recommended events", "Automatically collected events" and "Enhanced measurement events".
    _Source(
        critical="purchase refund in_app_purchase ecommerce_purchase",
        high="""add_to_cart remove_from_cart view_cart begin_checkout add_shipping_info add_payment_info
            checkout_progress set_checkout_option""",
        normal="""view_item select_item add_to_wishlist select_promotion search view_search_results login sign_up share
            select_content generate_lead form_submit""",
        bulk="""view_item_list view_promotion page_view screen_view scroll click session_start first_visit first_open
            user_engagement video_start video_progress video_complete file_download form_start ad_impression""",
    ),
    # Segment, "Spec: V2 Ecommerce Events" and "Spec: Common Fields" (the calls other than track, which /event names).
    _Source(
        critical="order_completed order_updated order_refunded order_cancelled",
        high="""product_added product_removed cart_viewed checkout_started checkout_step_viewed
            checkout_step_completed payment_info_entered coupon_entered coupon_applied coupon_denied coupon_removed
            wishlist_product_added_to_cart""",
        normal="""product_viewed product_clicked products_searched promotion_clicked product_added_to_wishlist
            product_removed_from_wishlist product_shared cart_shared product_reviewed""",
        bulk="product_list_viewed product_list_filtered promotion_viewed page screen identify group alias",
    ),
    # Snowplow, "Ecommerce events" (snowplow_ecommerce_action) and the web tracker's out-of-the-box events.
    _Source(
        critical="transaction refund trns_error transaction_error transaction_item",
        high="add_to_cart remove_from_cart checkout_step",
        normal="product_view list_click promo_click site_search submit_form",
        bulk="list_view promo_view page_view page_ping link_click focus_form change_form application_background "
        "application_foreground web_vitals",
    ),
    # Shopify, Web Pixels API "Standard events" and "DOM events".
    _Source(
        critical="checkout_completed",
        high="""checkout_started checkout_address_info_submitted checkout_contact_info_submitted
            checkout_shipping_info_submitted payment_info_submitted product_added_to_cart product_removed_from_cart
            cart_viewed alert_displayed ui_extension_errored""",
        normal="product_viewed search_submitted form_submitted",
        bulk="page_viewed collection_viewed clicked input_blurred input_changed input_focused",
    ),
    # Shopify, "Webhooks: list of topics" and, with underscores, GraphQL's WebhookSubscriptionTopic.
    _Source(
        critical="orders/* orders_create orders_updated orders_paid orders_cancelled orders_edited orders_fulfilled "
        "orders_partially_fulfilled orders_delete refunds/* refunds_create order_transactions/* "
        "order_transactions_create tender_transactions/* tender_transactions_create disputes/* disputes_create "
        "disputes_update returns/*",
        high="checkouts/* checkouts_create checkouts_update checkouts_delete carts/* carts_create carts_update "
        "draft_orders/* draft_orders_create draft_orders_update fulfillments/* fulfillments_create "
        "fulfillments_update fulfillment_orders/*",
        normal="customers/* customers_create customers_update customers_delete products/* products_create "
        "products_update products_delete collections/* inventory_levels/* inventory_items/* variants/*",
        bulk="bulk_operations/* product_listings/* collection_listings/* themes/*",
    ),
    # WooCommerce, REST API "Webhooks": core topics, and action.<hook> for those of a plugin's own.
    _Source(
        critical="order.* action.woocommerce_order_* action.woocommerce_payment_* action.woocommerce_checkout_order_*",
        high="action.woocommerce_add_to_cart action.woocommerce_cart_* action.woocommerce_checkout_*",
        normal="customer.* coupon.* product.*",
    ),
    # Saleor, "WebhookEventTypeEnum".
    _Source(
        critical="""order_created order_confirmed order_paid order_fully_paid order_refunded order_fully_refunded
            order_updated order_cancelled order_expired order_fulfilled order_bulk_created checkout_fully_paid
            payment_authorize payment_capture payment_confirm payment_process payment_refund payment_void
            transaction_charge_requested transaction_refund_requested transaction_cancelation_requested
            transaction_initialize_session transaction_process_session invoice_requested invoice_sent""",
        high="""checkout_created checkout_updated checkout_fully_authorized checkout_metadata_updated
            checkout_calculate_taxes checkout_filter_shipping_methods shipping_list_methods_for_checkout
            payment_gateway_initialize_session payment_list_gateways draft_order_created draft_order_updated
            draft_order_deleted fulfillment_created fulfillment_canceled fulfillment_approved
            fulfillment_tracking_number_updated order_calculate_taxes""",
        normal="""order_metadata_updated fulfillment_metadata_updated transaction_item_metadata_updated
            product_created product_updated product_deleted product_metadata_updated product_variant_* customer_created
            customer_updated customer_deleted customer_metadata_updated account_* address_* gift_card_* voucher_*
            promotion_created promotion_updated promotion_deleted promotion_started promotion_ended""",
        bulk="product_export_completed product_media_* thumbnail_created observability",
    ),
    # Adobe Experience Platform, "XDM ExperienceEvent class: accepted values for eventType", and Adobe Commerce's
    # "Storefront and back office events". A product list is the cart there.
    _Source(
        critical="""commerce.purchases commerce.inStorePurchase commerce.order commerce.backofficeOrder*
            commerce.backofficeCreditMemoIssued""",
        high="""commerce.checkouts commerce.productListAdds commerce.productListRemovals commerce.productListOpens
            commerce.productListReopens commerce.productListViews commerce.cartAbandons
            commerce.backofficeShipmentCompleted""",
        normal="""commerce.productViews commerce.saveForLaters searchRequest web.formFilledOut userAccount.*
            decisioning.propositionInteract commerce.requisitionList*""",
        bulk="""web.webpagedetails.pageViews web.webinteraction.linkClicks searchResponse decisioning.propositionDisplay
            decisioning.propositionFetch decisioning.propositionSend application.* media.* advertising.*
            directMarketing.* pushTracking.* inappmessageTracking.* location.*""",
    ),
    # Stripe, "Types of events".
    _Source(
        critical="""payment_intent.* charge.* refund.* checkout.session.completed
            checkout.session.async_payment_succeeded checkout.session.async_payment_failed invoice.paid
            invoice.payment_succeeded invoice.payment_failed invoice.payment_action_required
            customer.subscription.created customer.subscription.deleted order.* credit_note.*""",
        high="checkout.* invoice.* setup_intent.* payment_method.* customer.subscription.* payout.* radar.*",
        normal="customer.* product.* price.* coupon.* promotion_code.* quote.* account.*",
        bulk="balance.* reporting.* test_helpers.*",
    ),
    # CloudEvents, "type": reverse-DNS names, here those that name the thing in a segment of its own.
    _Source(
        critical="""*.order.* *.orders.* *.purchase.* *.purchases.* *.payment.* *.payments.* *.refund.* *.refunds.*
            *.transaction.* *.transactions.* *.order_created *.order_placed *.order_paid *.order_cancelled
            *.purchase""",
        high="*.checkout.* *.checkouts.* *.cart.* *.carts.* *.basket.*",
        normal="*.product.* *.item.* *.search.* *.wishlist.* *.account.* *.customer.*",
        bulk="""*.page.viewed *.page.view *.page_view *.page_viewed *.pageview *.screen.viewed *.screen_view
            *.impression.* *.impression *.heartbeat *.ping *.scroll""",
    ),
    # Public data sets: REES46 eCommerce behaviour (event_type), Retailrocket (event), OTTO recommender (type).
    _Source(
        critical="purchase transaction orders",
        high="cart remove_from_cart addtocart carts",
        normal="view clicks",
    ),
)


def _defaults(label: str) -> tuple[str, ...]:
    rules = [rule for source in _SOURCES for rule in getattr(source, label).split()]
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
