"""From the dispatcher to the sink: `Delivery` runs it, `order` chooses, `inflight` counts, `report` tells."""

from tidegate.delivery.loop import Delivery
from tidegate.delivery.order import Source
from tidegate.delivery.report import ClassStats, DeliveryStats

__all__ = ["ClassStats", "Delivery", "DeliveryStats", "Source"]
