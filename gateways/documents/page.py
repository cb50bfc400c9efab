"""`/docs`: Swagger UI over our OpenAPI document, with nothing loaded from elsewhere and nothing inline.

Its files come from the wheel `fastapi-offline`, which carries Swagger UI (Apache-2.0).
"""

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI sets styles of elements; scripts come from us only."""
_DAY = "public, max-age=86400"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Baton: HTTP</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
<link rel="icon" href="data:,">
</head>
<body>
<nav aria-label="Documents"><strong>Baton</strong>
<a href="/openapi.json">OpenAPI</a> <a href="/asyncapi.json">AsyncAPI</a> <a href="/subjects">Avro schemas</a></nav>
<main id="doors"><noscript>This page needs scripts; /openapi.json has the same for machines.</noscript></main>
<script src="/docs/swagger-ui.js"></script>
<script src="/docs/page.js"></script>
</body>
</html>
"""
_SCRIPT = """SwaggerUIBundle({
  url: '/openapi.json', dom_id: '#doors', deepLinking: true, docExpansion: 'list', filter: true,
  defaultModelsExpandDepth: -1, displayOperationId: true, validatorUrl: null, persistAuthorization: false
});
"""
_STYLE = """body { margin: 0; background: #fff; }
nav { padding: .6rem 1.2rem; background: #14213d; color: #fff; font: 16px/1.5 sans-serif; }
nav a { color: #fff; margin-left: 1rem; }
@media (max-width: 480px) {
  .swagger-ui .wrapper { padding: 0 .6rem; }
  .swagger-ui .opblock .opblock-summary-path { max-width: 100%; }
  .swagger-ui .opblock .opblock-summary { flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-operation-id { display: none; }
}
"""


def routes() -> APIRouter:
    """The router."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def page() -> Response:
        """The page for people."""
        return _file(_PAGE, "text/html; charset=utf-8", kept="no-cache")

    @router.get("/docs/page.js")
    async def script() -> Response:
        """Starts it."""
        return _file(_SCRIPT, "text/javascript; charset=utf-8")

    @router.get("/docs/page.css")
    async def style() -> Response:
        """Ours."""
        return _file(_STYLE, "text/css; charset=utf-8")

    @router.get("/docs/swagger-ui.js")
    async def bundle() -> Response:
        """Swagger UI."""
        return _file(_packed("swagger-ui-bundle.js"), "text/javascript; charset=utf-8")

    @router.get("/docs/swagger-ui.css")
    async def bundle_style() -> Response:
        """Swagger UI's style."""
        return _file(_packed("swagger-ui.css"), "text/css; charset=utf-8")

    return router


def _file(content: str | bytes, media: str, kept: str = _DAY) -> Response:
    headers = {"content-security-policy": CONTENT_SECURITY, "cache-control": kept, "x-content-type-options": "nosniff"}
    return Response(content, headers=headers, media_type=media)


@cache
def _packed(name: str) -> bytes:
    return files("fastapi_offline").joinpath("static", name).read_bytes()
