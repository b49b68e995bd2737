"""The defaults against events as each source sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidegate.classification import rule_table, sample_key, type_fields
from tidegate.config import Settings
from tidegate.core.rule_text import parse_rule
from tidegate.core.rules import RuleTable
from tidegate.errors import RuleError
from tidegate.types import CLASS_LABELS
from tidegate.vocabulary import DEFAULT_RULES, DEFAULT_SAMPLE_KEY, DEFAULT_TYPE_FIELDS, resolve_rules

TABLE = RuleTable(resolve_rules({}), DEFAULT_TYPE_FIELDS)
SNOWPLOW = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"


def label_of(value: object, headers: dict[str, str] | None = None, table: RuleTable = TABLE) -> str:
    payload = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    verdict = table.classify("events", None, [(k, v.encode()) for k, v in (headers or {}).items()], payload)
    return "unknown" if verdict.unclassified else CLASS_LABELS[verdict.klass]


def by_class(**events: str) -> list[tuple[str, str]]:
    return [(event, label) for label, names in events.items() for event in names.split(",")]


@pytest.mark.parametrize(
    ("event", "label"),
    by_class(
        critical="purchase,refund,in_app_purchase,app_store_refund,app_store_subscription_renew",
        high="add_to_cart,remove_from_cart,view_cart,begin_checkout,add_shipping_info,add_payment_info",
        normal="view_item,select_item,add_to_wishlist,search,login,sign_up",
        bulk="view_item_list,view_promotion,select_promotion,page_view,screen_view,scroll,session_start,user_engagement,click,ad_click,"
        "notification_receive",
        unknown="level_up,spend_virtual_currency",
    ),
)
def test_ga4(event: str, label: str) -> None:
    export = {
        "event_date": "20251128",
        "event_timestamp": 1764288000000000,
        "event_name": event,
        "event_params": [{"key": "currency", "value": {"string_value": "EUR"}}],
        "user_pseudo_id": "1234.5678",
        "items": [{"item_id": "SKU_1", "item_name": "Purchase order pad", "price": 9.9}],
    }
    assert label_of(export) == label
    assert label_of({"name": event, "params": {"transaction_id": "T_1", "value": 25.4}}) == label


@pytest.mark.parametrize(
    ("event", "label"),
    by_class(
        critical="Order Completed,Order Updated,Order Refunded,Order Cancelled,Completed Order",
        high="Product Added,Product Removed,Cart Viewed,Checkout Started,Checkout Step Viewed,"
        "Checkout Step Completed,Payment Info Entered,Coupon Applied,Cart Shared",
        normal="Product Viewed,Product Clicked,Products Searched,Product Added to Wishlist",
        bulk="Product List Viewed,Product List Filtered,Promotion Viewed,Promotion Clicked,Application Opened,"
        "Email Opened",
        unknown="Trial Ended",
    ),
)
def test_segment_track(event: str, label: str) -> None:
    call = {
        "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
        "context": {"library": {"name": "analytics.js", "version": "2.11.1"}, "page": {"path": "/checkout"}},
        "event": event,
        "properties": {"order_id": "50314b8e9bcf000000000000", "total": 27.5, "type": "view"},
        "type": "track",
    }
    assert label_of(call) == label


@pytest.mark.parametrize("call", ["page", "screen", "identify", "group", "alias"])
def test_segment_calls_with_a_name_of_their_own(call: str) -> None:
    assert label_of({"type": call, "name": "Cart", "userId": "u1", "properties": {}}) == "bulk"


@pytest.mark.parametrize(
    ("action", "label"),
    by_class(
        critical="transaction,refund,trns_error",
        high="add_to_cart,remove_from_cart,checkout_step",
        normal="product_view",
        bulk="list_view,list_click,promo_view,promo_click",
    ),
)
def test_snowplow_ecommerce(action: str, label: str) -> None:
    enriched = {
        "app_id": "shop",
        "event": "unstruct",
        "event_name": "snowplow_ecommerce_action",
        SNOWPLOW: {"type": action, "name": "list"},
    }
    assert label_of(enriched) == label


@pytest.mark.parametrize("event", ["page_view", "page_ping"])
def test_snowplow_pages(event: str) -> None:
    assert label_of({"app_id": "shop", "event": event, "event_name": event}) == "bulk"


@pytest.mark.parametrize(
    ("event", "label"),
    by_class(
        critical="checkout_completed",
        high="checkout_started,checkout_contact_info_submitted,payment_info_submitted,product_added_to_cart,cart_viewed",
        normal="product_viewed,search_submitted",
        bulk="page_viewed,collection_viewed,clicked,input_changed,advanced_dom_mouse_moved",
    ),
)
def test_shopify_pixel(event: str, label: str) -> None:
    assert label_of({"id": "sh-1", "name": event, "clientId": "c", "type": "standard", "data": {}}) == label


@pytest.mark.parametrize(
    ("topic", "label"),
    by_class(
        critical="orders/create,orders/paid,orders/cancelled,refunds/create,order_transactions/create,payment_terms/create,"
        "subscription_billing_attempts/failure",
        high="checkouts/create,carts/update,draft_orders/create,fulfillments/create",
        normal="customers/create,products/update,inventory_levels/update,customers_marketing_consent/update,"
        "customer.tags_added",
    ),
)
def test_shopify_webhooks(topic: str, label: str) -> None:
    body = {"id": 820982911946154508, "name": "#9999", "email": "jon@example.com"}
    assert label_of(body, {"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": "x.example"}) == label
    assert label_of({"topic": topic, "payload": body}) == label


@pytest.mark.parametrize(
    ("topic", "label"), by_class(critical="ORDERS_CREATE,REFUNDS_CREATE", high="CARTS_UPDATE", normal="PRODUCTS_UPDATE")
)
def test_shopify_topics_as_graphql_names_them(topic: str, label: str) -> None:
    assert label_of({}, {"x-shopify-topic": topic}) == label


@pytest.mark.parametrize(
    ("topic", "label"),
    by_class(
        critical="order.created,order.updated,order.deleted,order.restored,action.woocommerce_order_status_processing,"
        "action.woocommerce_new_order,action.woocommerce_store_api_checkout_order_processed,"
        "action.woocommerce_payment_complete,action.woocommerce_refund_created,"
        "action.woocommerce_subscription_renewal_payment_failed",
        high="action.woocommerce_add_to_cart,action.woocommerce_remove_cart_item,action.woocommerce_applied_coupon,"
        "action.woocommerce_before_checkout_form,subscription.created",
        normal="customer.created,product.updated,coupon.deleted,action.woocommerce_low_stock",
    ),
)
def test_woocommerce(topic: str, label: str) -> None:
    body = {"id": 4750, "number": "4750", "status": "completed", "type": "simple", "name": "A hat"}
    assert label_of(body, {"x-wc-webhook-topic": topic, "x-wc-webhook-event": topic.split(".")[1]}) == label


@pytest.mark.parametrize(
    ("event", "label"),
    by_class(
        critical="order_created,order_fully_paid,order_cancelled,order_refunded,checkout_fully_paid,"
        "transaction_charge_requested,payment_capture",
        high="checkout_created,checkout_updated,fulfillment_created,draft_order_created,order_filter_shipping_methods,"
        "payment_method_process_tokenization_session",
        normal="product_updated,customer_created,product_variant_out_of_stock,gift_card_created,category_updated",
    ),
)
def test_saleor(event: str, label: str) -> None:
    assert label_of({"order": {"id": "T3JkZXI6MQ=="}}, {"Saleor-Event": event}) == label
    assert label_of({"event": event.upper()}) == label


@pytest.mark.parametrize(
    ("event", "label"),
    by_class(
        critical="commerce.purchases,commerce.backofficeOrderPlaced,commerce.backofficeOrderCancelled,placeOrder,"
        "com.adobe.commerce.observer.sales_order_save_commit_after",
        high="shoppingCartView,initiateCheckout,commerce.checkouts,commerce.productListAdds,commerce.productListRemovals,commerce.productListViews",
        normal="commerce.productViews,commerce.saveForLaters,userAccount.login,productPageView,"
        "com.adobe.commerce.observer.catalog_product_save_commit_after",
        bulk="web.webpagedetails.pageViews,web.webinteraction.linkClicks,media.ping,decisioning.propositionDisplay",
    ),
)
def test_adobe(event: str, label: str) -> None:
    assert label_of({"_id": "1", "eventType": event, "commerce": {"purchases": {"value": 1}}}) == label


@pytest.mark.parametrize(
    ("event", "label"),
    by_class(
        critical="payment_intent.succeeded,payment_intent.payment_failed,charge.refunded,charge.dispute.created,"
        "checkout.session.completed,invoice.paid,invoice.payment_failed,refund.created,invoice_payment.paid,"
        "application_fee.refunded,issuing_transaction.created",
        high="checkout.session.expired,invoice.created,payment_method.attached",
        normal="customer.updated,product.created,price.created",
        bulk="balance.available",
    ),
)
def test_stripe(event: str, label: str) -> None:
    body = {"id": "evt_1", "object": "event", "data": {"object": {"object": "charge"}}, "type": event}
    assert label_of(body) == label


@pytest.mark.parametrize(
    ("event", "label"),
    by_class(
        critical="com.example.order.created.v1,com.example.shop.payments.failed,org.shop.refund.issued,order.placed,"
        "payment.succeeded,orders.created,com.example.order,com.example.order_refunded,com.example.payment_failed,"
        "com.example.checkout.completed,com.example.checkout.order.placed",
        high="com.example.cart.updated,com.example.checkout.started,cart.updated,com.example.cart_abandoned,"
        "com.example.payment_method.attached",
        normal="com.example.product.viewed,item.viewed,com.example.search.performed,com.example.customer.updated.v2",
        bulk="com.example.page.viewed,io.shop.heartbeat,page.viewed,com.example.list.viewed,com.example.promo.viewed,"
        "com.example.scroll",
        unknown="com.example.something.else",
    ),
)
def test_cloudevents(event: str, label: str) -> None:
    assert label_of({"orderId": 1, "type": "view"}, {"ce_specversion": "1.0", "ce_type": event}) == (
        "normal" if label == "unknown" else label
    )
    assert label_of(b"", {"ce-type": event}) == label
    structured = {"specversion": "1.0", "id": "1", "source": "/shop", "type": event, "data": {"type": "view"}}
    assert label_of(structured) == label


@pytest.mark.parametrize(
    ("event", "label"),
    [
        ({"event_time": "2019-10-01", "event_type": "view", "product_id": 1, "brand": "cart"}, "normal"),
        ({"event_type": "cart", "name": "Jane"}, "high"),
        ({"event_type": "purchase", "price": 35.79}, "critical"),
        ({"event_type": "remove_from_cart"}, "high"),
        ({"timestamp": 1433221332117, "visitorid": 257597, "event": "view", "itemid": 1}, "normal"),
        ({"visitorid": 1, "event": "addtocart", "itemid": 1}, "high"),
        ({"visitorid": 1, "event": "transaction", "transactionid": 1}, "critical"),
        ({"aid": 1462420, "ts": 1661724000278, "type": "clicks"}, "normal"),
        ({"aid": 1, "ts": 1, "type": "carts"}, "high"),
        ({"aid": 1, "ts": 1, "type": "orders"}, "critical"),
    ],
)
def test_public_data_sets(event: dict[str, Any], label: str) -> None:
    assert label_of(event) == label


@pytest.mark.parametrize(
    "event",
    [
        *(
            f"{before}{thing}.{event}"
            for before in ("", "com.example.")
            for thing in ("customer", "product", "account", "application", "location", "message", "wishlist", "page")
            for event in ("order.placed", "purchase.completed", "payment.failed", "refund.issued")
        ),
        "com.example.order.product.returned",
        "com.example.order.customer.notified",
        "com.example.order.promotion.applied",
        "com.scrollers.order.created",
    ],
)
def test_whom_or_what_an_order_is_about_does_not_lower_it(event: str) -> None:
    assert label_of({"type": event}) == "critical"


@pytest.mark.parametrize(
    "event",
    ["product.purchased", "gift_card_purchased", "account_payment_failed", "coupon.applied", "voucher_redeemed"],
)
def test_what_no_source_names_is_not_lowered_by_its_first_word(event: str) -> None:
    assert label_of({"type": event}) == "unknown"


def test_names_of_things_hide_nothing() -> None:
    assert label_of({"name": "Jane", "event_type": "purchase"}) == "critical"
    assert label_of({"name": "Order", "event_type": "view"}) == "normal"
    assert label_of({"event": "snowplow", "type": "purchase"}) == "critical"


def test_no_default_rule_is_in_two_classes_or_twice() -> None:
    seen = [parse_rule(rule).identity for rules in DEFAULT_RULES.values() for rule in rules]
    assert len(seen) == len(set(seen))
    assert tuple(DEFAULT_RULES) == CLASS_LABELS


# ---- the operator's lists ----


def test_defaults_of_the_other_classes_stay() -> None:
    rules = resolve_rules({"critical": ["fraud"], "high": None})
    assert [rule for klass, rule in rules if klass == 0] == ["fraud"]
    assert [rule for klass, rule in rules if klass == 3] == list(DEFAULT_RULES["bulk"])


def test_default_stands_for_the_list() -> None:
    rules = resolve_rules({"critical": ["fraud", " Default ", "chargeback.*"]})
    assert [rule for klass, rule in rules if klass == 0] == ["fraud", *DEFAULT_RULES["critical"], "chargeback.*"]


def test_default_stands_for_the_fields() -> None:
    settings = Settings(type_fields=("json:/kind", "Default"))
    assert type_fields(settings) == ("json:/kind", *DEFAULT_TYPE_FIELDS)


def test_sample_key_of_the_settings_is_the_tables() -> None:
    assert rule_table(Settings()).sample_key.places == DEFAULT_SAMPLE_KEY
    settings = Settings(sample_key=("header:visit", "Default", "json:/id"))
    assert sample_key(settings) == ("header:visit", *DEFAULT_SAMPLE_KEY)
    assert rule_table(settings).sample_key.places == ("header:visit", *DEFAULT_SAMPLE_KEY)
    with pytest.raises(RuleError, match="TIDEGATE_SAMPLE_KEY"):
        rule_table(Settings(sample_key=("session",)))


def test_an_empty_list_leaves_nothing() -> None:
    assert not [rule for klass, rule in resolve_rules({"bulk": []}) if klass == 3]


def test_operators_rule_replaces_the_same_default_anywhere() -> None:
    table = RuleTable(resolve_rules({"bulk": ["default", "PRODUCT VIEWED", "orders/**"]}), DEFAULT_TYPE_FIELDS)
    assert label_of({"event": "Product Viewed"}, table=table) == "bulk"
    assert label_of({"event": "orders/create"}, table=table) == "bulk"
    assert label_of({"event": "Order Completed"}, table=table) == "critical"


def test_operators_rule_in_another_field_replaces_nothing() -> None:
    rules = resolve_rules({"normal": ["default", "topic:purchase"]})
    assert (0, "purchase") in rules


def test_operator_in_contradiction_is_taken_by_the_higher_class() -> None:
    table = RuleTable(resolve_rules({"high": ["x y"], "normal": ["X_Y"]}), DEFAULT_TYPE_FIELDS)
    assert label_of({"event": "x_y"}, table=table) == "high"


def test_operators_mistakes_are_told() -> None:
    with pytest.raises(RuleError):
        resolve_rules({"high": ["foo:x"]})
    with pytest.raises(ValueError, match="urgent"):
        resolve_rules({"urgent": ["x"]})
