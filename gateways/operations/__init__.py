"""Doors for operations, support and analysts: the queue, lists, the audit, analytics, dead letters."""

from fastapi import APIRouter

from dispatch.config import Settings
from gateways.commands import Commander
from gateways.operations import analytics, dead_letters, lists, unassigned
from gateways.operations.letter_desk import LetterDesk
from gateways.operations.whereabouts import ZonesOf
from gateways.reads import Reads


def routes(settings: Settings, commander: Commander, reads: Reads, zones_of: ZonesOf) -> APIRouter:
    """The router of all of them."""
    router = APIRouter()
    desk = LetterDesk(settings.kafka, settings.namespace)
    for part in (
        unassigned.routes(commander, reads),
        lists.routes(reads, zones_of),
        analytics.routes(reads),
        dead_letters.routes(desk, commander, reads, settings.namespace),
    ):
        router.include_router(part)
    return router
