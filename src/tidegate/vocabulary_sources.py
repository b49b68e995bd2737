"""What each source calls its events, by class; `tidegate.vocabulary` makes the default rules of it."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """Rules of one vendor, separated by blanks."""

    critical: str = ""
    high: str = ""
    normal: str = ""
    bulk: str = ""


SOURCES: tuple[Source, ...] = (
    # Words that shops use without any vendor's help.
    Source(
        critical="""order orders order_created order_placed order_submitted order_received order_paid
            order_completed order_processed order_shipped order_delivered order_updated order_cancelled
            order_canceled order_failed order_refunded order_returned purchase purchases purchased
            purchase_completed purchase_failed refund refunds refund_created refund_requested refund_issued
            refund_completed refund_failed payment payments payment_created payment_authorized payment_captured
            payment_received payment_succeeded payment_completed payment_failed payment_declined payment_cancelled
            payment_canceled payment_refunded transaction transactions transaction_completed transaction_failed
            chargeback buy buys""",
        high="""checkout checkouts checkout_started checkout_abandoned checkout_failed cart carts basket
            add_to_basket cart_updated cart_abandoned cart_item_added cart_item_removed""",
        normal="""view views item_view item_viewed product_view product_viewed search search_performed wishlist
            login logout signup sign_up account_created""",
        bulk="""page screen page_view page_viewed pageview pageviews screen_view screen_viewed list_viewed promo
            promos promo_viewed category_view category_viewed impression impressions scroll page_scroll scroll_depth
            heartbeat ping session_start session_end""",
    ),
    # Google Analytics 4, "Recommended events", "Automatically collected events" and "Enhanced measurement events".
    Source(
        critical="purchase refund in_app_purchase ecommerce_purchase app_store_refund app_store_subscription_*",
        high="""add_to_cart remove_from_cart view_cart begin_checkout add_shipping_info add_payment_info
            checkout_progress set_checkout_option""",
        normal="""view_item select_item add_to_wishlist search view_search_results login sign_up share
            select_content generate_lead qualify_lead disqualify_lead working_lead close_convert_lead
            close_unconvert_lead form_submit""",
        bulk="""view_item_list view_promotion select_promotion page_view screen_view scroll click session_start
            first_visit first_open user_engagement video_start video_progress video_complete file_download
            form_start ad_impression ad_click ad_exposure ad_query ad_reward adunit_exposure app_clear_data
            app_remove app_update os_update firebase_campaign dynamic_link_* notification_*""",
    ),
    # Segment, "Spec: V2 Ecommerce Events" (and V1's names), "Spec: Mobile", "Spec: Email" and "Spec: Common Fields"
    # (the calls other than track, which /event names).
    Source(
        critical="order_completed order_updated order_refunded order_cancelled completed_order",
        high="""product_added product_removed cart_viewed cart_shared checkout_started checkout_step_viewed
            checkout_step_completed payment_info_entered coupon_entered coupon_applied coupon_denied coupon_removed
            wishlist_product_added_to_cart added_product removed_product viewed_checkout_step
            completed_checkout_step""",
        normal="""product_viewed product_clicked products_searched product_added_to_wishlist
            product_removed_from_wishlist product_shared product_reviewed viewed_product signed_up signed_in
            signed_out""",
        bulk="""product_list_viewed product_list_filtered promotion_viewed promotion_clicked viewed_product_category
            viewed_promotion clicked_promotion page screen identify group alias application_installed
            application_opened application_updated application_backgrounded application_uninstalled
            install_attributed deep_link_* push_notification_* email_delivered email_opened email_link_clicked
            email_bounced""",
    ),
    # Snowplow, "Ecommerce events" (snowplow_ecommerce_action) and the web tracker's out-of-the-box events.
    Source(
        critical="transaction refund trns_error transaction_error transaction_item",
        high="add_to_cart remove_from_cart checkout_step",
        normal="product_view site_search submit_form",
        bulk="""list_view list_click promo_view promo_click page_view page_ping link_click focus_form change_form
            application_background application_foreground web_vitals""",
    ),
    # Shopify, Web Pixels API "Standard events", "DOM events" and "Advanced DOM events".
    Source(
        critical="checkout_completed",
        high="""checkout_started checkout_address_info_submitted checkout_contact_info_submitted
            checkout_shipping_info_submitted payment_info_submitted product_added_to_cart product_removed_from_cart
            cart_viewed alert_displayed ui_extension_errored""",
        normal="product_viewed search_submitted form_submitted",
        bulk="page_viewed collection_viewed clicked input_blurred input_changed input_focused advanced_dom_*",
    ),
    # Shopify, "Webhooks: list of topics" and, with underscores, GraphQL's WebhookSubscriptionTopic.
    Source(
        critical="""orders/* orders_create orders_updated orders_paid orders_cancelled orders_edited
            orders_fulfilled orders_partially_fulfilled orders_delete refunds/* refunds_create order_transactions/*
            order_transactions_create tender_transactions/* tender_transactions_create disputes/* disputes_create
            disputes_update returns/* returns_* subscription_billing_attempts/* subscription_billing_attempts_*
            payment_schedules/* payment_schedules_due payment_terms/* payment_terms_* app_purchases_one_time/*""",
        high="""checkouts/* checkouts_create checkouts_update checkouts_delete carts/* carts_create carts_update
            draft_orders/* draft_orders_create draft_orders_update draft_orders_delete fulfillments/*
            fulfillments_create fulfillments_update fulfillment_orders/* fulfillment_orders_* fulfillment_events/*
            fulfillment_holds/* reverse_deliveries/* reverse_fulfillment_orders/* subscription_contracts/*
            subscription_contracts_* subscription_billing_cycles/* customer_payment_methods/*""",
        normal="""customers/* customers_create customers_update customers_delete customers_*/* customer_groups/*
            customer.joined_segment customer.left_segment customer.tags_* products/* products_create products_update
            products_delete collections/* discounts/* companies/* company_*/* inventory_*/* inventory_levels_update
            variants/*""",
        bulk="bulk_operations/* product_listings/* product_feeds/* collection_listings/* metaobjects/* themes/*",
    ),
    # WooCommerce, REST API "Webhooks": core topics, Subscriptions' topics, and action.<hook> for any other hook.
    Source(
        critical="""order.* action.woocommerce_order_* action.woocommerce_payment_* action.woocommerce_pre_payment_*
            action.woocommerce_checkout_order_* action.woocommerce_store_api_checkout_order_*
            action.woocommerce_new_order* action.woocommerce_update_order* action.woocommerce_cancelled_order
            action.woocommerce_*refund* action.woocommerce_subscription_*payment_* action.woocommerce_thankyou*""",
        high="""action.woocommerce_*cart* action.woocommerce_*checkout* action.woocommerce_applied_coupon
            action.woocommerce_removed_coupon subscription.created subscription.updated subscription.deleted
            subscription.switched action.woocommerce_subscription_*""",
        normal="""customer.created customer.updated customer.deleted customer.restored coupon.created coupon.updated
            coupon.deleted coupon.restored product.created product.updated product.deleted product.restored
            action.woocommerce_created_customer action.woocommerce_new_product action.woocommerce_update_product*
            action.woocommerce_product_* action.woocommerce_low_stock action.woocommerce_no_stock""",
    ),
    # Saleor, "WebhookEventTypeEnum".
    Source(
        critical="""order_created order_confirmed order_paid order_fully_paid order_refunded order_fully_refunded
            order_updated order_cancelled order_expired order_fulfilled order_bulk_created checkout_fully_paid
            payment_authorize payment_capture payment_confirm payment_process payment_refund payment_void
            transaction_charge_requested transaction_refund_requested transaction_cancelation_requested
            transaction_initialize_session transaction_process_session invoice_requested invoice_sent""",
        high="""checkout_created checkout_updated checkout_fully_authorized checkout_metadata_updated
            checkout_calculate_taxes checkout_filter_shipping_methods shipping_list_methods_for_checkout
            payment_gateway_* payment_method_*_session payment_list_gateways list_stored_payment_methods
            stored_payment_method_* draft_order_created draft_order_updated draft_order_deleted fulfillment_created
            fulfillment_canceled fulfillment_approved fulfillment_tracking_number_updated order_calculate_taxes
            order_filter_shipping_methods invoice_deleted""",
        normal="""order_metadata_updated fulfillment_metadata_updated transaction_item_metadata_updated
            product_created product_updated product_deleted product_metadata_updated product_variant_*
            customer_created customer_updated customer_deleted customer_metadata_updated account_confirm*
            account_change_email_* account_email_changed account_set_password_* account_delete* address_created
            address_updated address_deleted gift_card_created gift_card_updated gift_card_deleted gift_card_sent
            gift_card_status_changed gift_card_metadata_updated gift_card_export_completed voucher_created
            voucher_updated voucher_deleted voucher_metadata_updated voucher_code*_* promotion_created
            promotion_updated promotion_deleted promotion_started promotion_ended promotion_rule_* category_created
            category_updated category_deleted collection_created collection_updated collection_deleted warehouse_*
            attribute_* menu_* shipping_price_* shipping_zone_*""",
        bulk="""product_export_completed product_media_* thumbnail_created observability translation_* page_created
            page_updated page_deleted page_type_*""",
    ),
    # Adobe Experience Platform, "XDM ExperienceEvent class: accepted values for eventType", where a product list is the
    # cart; Adobe Commerce, "Storefront events by framework" and "Adobe I/O Events for Commerce".
    Source(
        critical="""commerce.purchases commerce.inStorePurchase commerce.order commerce.backofficeOrder*
            commerce.backofficeCreditMemoIssued placeOrder com.adobe.commerce.*sales_order*
            com.adobe.commerce.*order_management*""",
        high="""commerce.checkouts commerce.productListAdds commerce.productListRemovals commerce.productListOpens
            commerce.productListReopens commerce.productListViews commerce.cartAbandons
            commerce.backofficeShipmentCompleted openCart shoppingCartView removeFromCart recsItemAddToCartClick
            initiateCheckout com.adobe.commerce.*checkout* com.adobe.commerce.*cart* com.adobe.commerce.*quote*""",
        normal="""commerce.productViews commerce.saveForLaters searchRequest web.formFilledOut userAccount.*
            decisioning.propositionInteract commerce.requisitionList* leadOperation.* opportunityEvent.*
            productPageView recsItemClick searchProductClick searchRequestSent signIn signOut createAccount
            editAccount com.adobe.commerce.*catalog* com.adobe.commerce.*customer*""",
        bulk="""web.webpagedetails.pageViews web.webinteraction.linkClicks searchResponse searchResponseReceived
            decisioning.* application.launch application.close media.* advertising.* directMarketing.*
            pushTracking.* inappmessageTracking.* message.feedback message.tracking listOperation.*
            delivery.feedback location.entry location.exit recsRequestSent recsResponseReceived
            recsUnitImpressionRender recsUnitView""",
    ),
    # Stripe, "Types of events".
    Source(
        critical="""payment_intent.* charge.* refund.* checkout.session.completed
            checkout.session.async_payment_succeeded checkout.session.async_payment_failed invoice.paid
            invoice.payment_succeeded invoice.payment_failed invoice.payment_action_required invoice_payment.*
            customer.subscription.created customer.subscription.deleted order.* credit_note.* application_fee.*
            issuing_transaction.* customer_cash_balance_transaction.* source.chargeable source.failed
            source.canceled source.transaction.*""",
        high="""checkout.* invoice.* invoiceitem.* setup_intent.* payment_method.* customer.subscription.*
            subscription_schedule.* mandate.* issuing_authorization.* payout.* topup.* transfer.* radar.*
            review.opened review.closed""",
        normal="""customer.discount.* customer.source.* customer.tax_id.* price.* plan.* promotion_code.* quote.*
            payment_link.* account.updated account.application.* account.external_account.* tax_rate.*""",
        bulk="balance.* reporting.* test_helpers.* file.created",
    ),
    # CloudEvents, "type": reverse-DNS names and plain dotted ones, here those that name the thing in a segment of its
    # own, or first in one. What makes an event less than high names what happened as well, because the longer pattern
    # wins: *.customer.* would take com.example.customer.order.placed from *.order.*
    Source(
        critical="""*.order *.order.* *.order_* *.orders.* orders.* *.purchase *.purchase.* *.purchase_*
            *.purchases.* purchase.* *.payment *.payment.* *.payment_* *.payments.* payment.* payments.* *.refund
            *.refund.* *.refund_* *.refunds.* refunds.* *.transaction *.transaction.* *.transaction_*
            *.transactions.* transaction.* transactions.* checkout.completed *.checkout.completed*
            *.checkout_completed *checkout.order.* *checkout.payment.*""",
        high="""*.checkout *.checkout.* *.checkout_* *.checkouts.* *.cart *.cart.* *.cart_* *.carts.* cart.* carts.*
            *.basket *.basket.* basket.* *.add_to_cart *.remove_from_cart *.payment_method* *.payment_info*""",
        normal="""*.product.viewed* *.product.clicked* *.product.created* *.product.updated* *.product.deleted*
            product.viewed product.clicked *.product_view* *.item.* item.* *.item_view* *.view_item *.search
            *.search.performed* *.search.submitted* *.search_* search.* *.wishlist.item* *.wishlist.updated*
            wishlist.item* wishlist.updated *.account.created* *.account.updated* *.account.deleted* *.customer.created*
            *.customer.updated* *.customer.deleted*""",
        bulk="""*.page.* page.* *.page_* *.pageview *.screen.viewed *.screen_view *.list.viewed* list.viewed
            *.list_view* *.product_list* *.promotion.viewed* promotion.viewed *.promotion_view* *.promo.* promo.*
            *.impression.* *.impression *.heartbeat *.ping *.scroll *.scrolled""",
    ),
    # Public data sets: REES46 eCommerce behaviour (event_type), Retailrocket (event), OTTO recommender (type).
    Source(
        critical="purchase transaction orders",
        high="cart remove_from_cart addtocart carts",
        normal="view clicks",
    ),
)
