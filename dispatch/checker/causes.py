"""Which command may cause which events: an event that nothing of its kind may cause is a decision gone wrong."""

from typing import Any

from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as dv
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as dr

_STEPS = (
    dv.PickupStarted, dv.ArrivedAtPickup, dv.PickupCompleted, dv.DeliveryStarted, dv.ArrivedAtDropoff,
    dv.DeliveryCompleted, dv.ProofRefused,
)  # fmt: skip
_CAUSES: dict[type[Any], tuple[type[Any], ...]] = {
    dv.DeliveryCreated: (dc.PlaceOrder, dc.MarkReady),
    dv.AssignmentStarted: (dc.MarkReady,),
    dv.PrepTimeChanged: (dc.ChangePrepTime,),
    dv.DriverOfferSent: (dc.ReservationGranted,),
    dv.DriverAccepted: (dc.AcceptOffer,),
    dv.DriverRejected: (dc.RejectOffer,),
    dv.OfferExpired: (dc.DeliveryTimerDue,),
    dv.OfferWithdrawn: (
        dc.CancelDelivery, dc.DriverUnavailable, dc.ReassignDelivery, dc.AssignDriver, dc.DeliveryTimerDue
    ),
    dv.DriverAssigned: (dc.AcceptOffer, dc.ReservationGranted, dc.DeliveryTimerDue),
    dv.DriverLost: (dc.DriverUnavailable,),
    dv.DriverRecovered: (dc.DriverBack, dc.ReportProgress),
    dv.AssignmentReassigned: (
        dc.GiveUpDelivery, dc.DriverUnavailable, dc.ReassignDelivery, dc.AssignDriver, dc.DeliveryTimerDue
    ),
    **dict.fromkeys(_STEPS, (dc.ReportProgress,)),
    dv.DeliveryFailed: (dc.FailDelivery, dc.CancelDelivery),
    dv.DeliveryReturned: (dc.ReturnDelivery,),
    dv.DeliveryCancelled: (dc.CancelDelivery, dc.DeliveryTimerDue, dc.EscalateDelivery),
    dv.UnassignedEscalated: (dc.DeliveryTimerDue, dc.EscalateDelivery),
    dv.ManualReviewEnded: (dc.ReassignDelivery, dc.AssignDriver),
    dv.EtaChanged: (dc.UpdateEta,),
    dr.DriverSignedOn: (vc.SignOn,),
    dr.DriverReserved: (vc.ReserveDriver,),
    dr.DriverReservationDenied: (vc.ReserveDriver,),
    dr.DriverReservationConfirmed: (vc.ConfirmReservation,),
    dr.DriverReservationReleased: (vc.ReleaseReservation,),
    dr.DriverPauseRecorded: (vc.PauseDriver,),
    dr.DriverBreakRequested: (vc.TakeBreak,),
    dr.DriverBreakExtended: (vc.ExtendBreak,),
    dr.DriverShiftEndRequested: (vc.EndShift,),
    dr.DriverBreakNoticed: (vc.DriverTimerDue,),
    dr.DriverZonePreferenceSet: (vc.SetZonePreference,),
}  # fmt: skip
"""Events that are not here may come of several commands, whatever they are."""

_REASONS: dict[type[Any], frozenset[str]] = {
    dc.GiveUpDelivery: frozenset({"driver_cancelled"}),
    dc.DriverUnavailable: frozenset({"driver_cancelled", "admin_forced"}),
    dc.AssignDriver: frozenset({"admin_forced"}),
    dc.DeliveryTimerDue: frozenset({"driver_offline"}),
}
"""Why a delivery may be taken from its holder, by the command."""
_OF_ITS_OFFER = (
    dc.AcceptOffer, dc.RejectOffer, dc.ReportProgress, dc.GiveUpDelivery, dc.UpdateEta, dc.ReservationGranted,
    dc.ReservationDenied, dc.DriverUnavailable, dc.DriverBack, vc.ReserveDriver, vc.ConfirmReservation,
    vc.ReleaseReservation,
)  # fmt: skip
"""Commands about one offer of one driver: their first event speaks of the same."""
_OF_THE_DELIVERY = (vc.ReserveDriver, vc.ConfirmReservation, vc.ReleaseReservation)


def misfit(command: Any, event: Any, *, first: bool) -> str:
    """Why this command may not have caused this event; empty: it may. `first`: the event is the decision's first."""
    kind, cause = type(event), type(command)
    causes = _CAUSES.get(kind)
    if causes is not None and cause not in causes:
        return f"a {cause.__name__} may not lead to a {kind.__name__}"
    if kind is dv.AssignmentReassigned and event.reason not in _REASONS.get(cause, (event.reason,)):
        return f"a {cause.__name__} may not take a delivery away for {event.reason}"
    if cause is dc.AcceptOffer and kind is dv.DriverAssigned and event.how != "accepted":
        return f"what was accepted is assigned as {event.how}"
    if first and cause in _OF_ITS_OFFER and (offer := getattr(event, "offer_id", "")):
        if offer != command.offer_id:
            return f"a {cause.__name__} for offer {command.offer_id} leads to a {kind.__name__} of {offer}"
        if event.driver_id != command.driver_id:
            return f"a {cause.__name__} of {command.driver_id} leads to a {kind.__name__} of {event.driver_id}"
        if cause in _OF_THE_DELIVERY and event.delivery_id != command.delivery_id:
            return f"a {cause.__name__} of {command.delivery_id} leads to a {kind.__name__} of {event.delivery_id}"
    return ""
