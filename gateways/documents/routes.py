"""Puts the documents in front of an application. To be called after all its other routes are there."""

from functools import cache
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Response

from gateways.documents import asyncapi, openapi, page, registry


def attach(app: FastAPI) -> None:
    """Adds `/docs`, `/asyncapi.json` and the registry, and completes what `/openapi.json` says."""
    router = APIRouter()

    @router.get("/asyncapi.json")
    async def topics_and_sockets() -> Response:
        """Topics, sockets, streams and webhooks as AsyncAPI 3.0."""
        return Response(_asyncapi(), media_type="application/json")

    app.add_exception_handler(registry.RegistryError, registry.on_registry_error)
    app.include_router(registry.routes())
    app.include_router(page.routes())
    app.include_router(router)

    def completed() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.document(app)
        return app.openapi_schema

    app.openapi = completed  # type: ignore[method-assign]  # FastAPI's own way to extend the document


@cache
def _asyncapi() -> bytes:
    return orjson.dumps(asyncapi.document())
