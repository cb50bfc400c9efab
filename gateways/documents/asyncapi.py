"""The AsyncAPI 3.0 document: topics with their Avro records, the drivers' socket, the streams, the webhooks."""

from typing import Any

from pydantic.json_schema import models_json_schema

from dispatch import __version__
from dispatch.contract import registry, topics
from dispatch.contract.topics import Topic
from gateways.documents import messages
from gateways.documents.openapi import SCHEMES
from gateways.documents.shapes import Shape

Document = dict[str, Any]
AVRO = "application/vnd.apache.avro+json;version=1.9.0"
_JSON = "application/schema+json;version=draft-07"
_ABOUT = """What Baton tells and hears outside of requests. Records on topics are Avro in Confluent's wire format;
schemas by id: `GET /schemas/ids/{id}`. Topics marked `x-public` are for everybody, the others are Baton's own and may
change. Topics carry the namespace of the installation as a prefix. Personal data stands in `contacts` only.
"""
_ROOMS: dict[str, str] = {
    "delivery_commands": topics.DELIVERY_COMMANDS.name,
    "delivery_events": topics.DELIVERY_EVENTS.name,
    "driver_commands": topics.DRIVER_COMMANDS.name,
    "driver_events": topics.DRIVER_EVENTS.name,
    "offers": topics.OFFERS.name,
    "inbound": topics.ORDERS_INBOUND.name,
}
"""Folders of schemas whose records all go to one topic."""
_SYSTEM: dict[str, tuple[str, ...]] = {
    topics.DECISIONS.name: ("Decision",),
    topics.SHADOW_DECISIONS.name: ("ShadowDecision",),
    topics.REPLIES.name: ("Reply",),
    topics.DRIVER_LOCATIONS.name: ("DriverLocation", "DriverHeartbeat"),
    topics.DRIVER_PLACES.name: ("DriverLocation",),
    topics.POLICIES.name: ("PolicyPublished",),
    topics.FLAGS.name: ("FlagPublished",),
    topics.RULES_HISTORY.name: ("PolicyPublished", "FeatureFlagToggled"),
    topics.MODELS.name: ("ModelPublished",),
    topics.DRIVER_SCORES.name: ("DriverScored",),
    topics.ETA_MODEL.name: ("ModelPublished",),
    topics.ZONES.name: ("ZonePublished", "ZonesPublished"),
    topics.ZONE_HEALTH.name: ("ZoneHealth",),
    topics.ZONE_REQUESTS.name: ("ZoneDriversRequested", "BroadcastRequested"),
    topics.INCENTIVES.name: ("IncentivePublished",),
    topics.PRICES.name: ("ZonePrice",),
    topics.CONTACTS.name: ("Contact",),
    topics.NOTICES.name: ("Notice",),
    topics.DEAD_LETTERS.name: ("DeadLetter",),
    topics.DEAD_LETTERS_HANDLED.name: ("DeadLetterHandled",),
    "api.keys": ("ApiKeyPublished",),
    "tracking.links": ("TrackingLink",),
    "webhook.changes": ("WebhookEndpointChanged",),
}
PRIVATE = (topics.DELIVERY_STATE.name, topics.DRIVER_STATE.name)
"""Their records are a worker's own bytes, in no schema, read by workers of the same release or the next."""


def subjects_on(topic: Topic) -> list[str]:
    """The records that a topic carries, by subject."""
    rooms = [room for room, name in _ROOMS.items() if name == topic.name]
    named = [f"baton.system.{name}" for name in _SYSTEM.get(topic.name, ())]
    return sorted(s for s in registry.latest() if s.split(".")[1] in rooms or s in named)


def document() -> Document:
    """The whole document."""
    channels: Document = {}
    components: Document = {}
    for topic in topics.CATALOGUE:
        if topic.name in PRIVATE:
            continue
        channels[_name(topic.name)] = _topic(topic)
        components |= {subject: _record(subject) for subject in subjects_on(topic)}
    json_shapes: tuple[type[Shape], ...] = (
        *messages.TO_DRIVERS,
        *messages.FROM_DRIVERS,
        *messages.TRACKING.values(),
        messages.Webhook,
    )
    _, made = models_json_schema(
        [(one, "serialization") for one in json_shapes], ref_template="#/components/schemas/{model}"
    )
    names = {one: name for name, one in messages.TRACKING.items()}
    for one in json_shapes:
        components[one.__name__] = {
            "name": names.get(one, one.__name__),
            "summary": str(one.__doc__).split("\n")[0],
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{one.__name__}"},
        }
    channels |= _doors()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Baton", "version": __version__, "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
            "externalDocs": {"url": "/openapi.json", "description": "HTTP, as OpenAPI."},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": channels,
        "operations": _operations(channels),
        "components": {
            "messages": dict(sorted(components.items())),
            "schemas": dict(sorted(made["$defs"].items())),
            "securitySchemes": {"token": SCHEMES["token"]},
        },
    }  # fmt: skip


def _servers() -> Document:
    """Where things are; hosts are the installation's."""
    token = {"$ref": "#/components/securitySchemes/token"}
    return {
        "kafka": _server("kafka", "localhost:9092") | {"description": "BATON_KAFKA of the installation."},
        "gateway": _server("ws", "localhost:8080") | {"security": [token]},
        "streams": _server("http", "localhost:8080") | {"security": [token]},
        "seller": _server("https", "example.com"),
    }


def _server(protocol: str, host: str) -> Document:
    return {"host": "{host}", "protocol": protocol, "variables": {"host": {"default": host}}}


def _name(topic: str) -> str:
    return topic.replace(".", "_")


def _topic(topic: Topic) -> Document:
    settings = topic.settings()
    kept = {"cleanup.policy": settings["cleanup.policy"].split(",")}
    more = {} if topic.compacted else {"retention.ms": topic.keep_ms}
    return {
        "address": topic.name,
        "summary": topic.purpose,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {one.rsplit(".", 1)[1]: {"$ref": f"#/components/messages/{one}"} for one in subjects_on(topic)},
        "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": kept | more, "bindingVersion": "0.5.0"}},
        "x-key": topic.key,
        "x-partitions": topic.partitions,
        "x-public": topic.public,
    }


def _record(subject: str) -> Document:
    row = registry.latest()[subject]
    kafka = {
        "key": {"type": "string", "description": "See x-key of the topic."},
        "schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent", "bindingVersion": "0.5.0",
    }  # fmt: skip
    return {
        "name": row.schema["name"],
        "summary": row.schema.get("doc", row.schema["name"]),
        "contentType": "application/vnd.apache.avro+binary",
        "payload": {"schemaFormat": AVRO, "schema": row.schema},
        "bindings": {"kafka": kafka},
        "x-schema-id": row.id,
    }  # fmt: skip


def _doors() -> Document:
    """Channels of the gateway and of sellers."""
    socket = (*messages.TO_DRIVERS, *messages.FROM_DRIVERS)
    driver = {"driver_id": {"description": "Whose socket it is."}}
    streams = {
        "tracking": ("/v2/track/{token}/events", {"token": {"description": "From the tracking link."}}),
        "order_events": ("/v2/orders/{delivery_id}/events", {"delivery_id": {"description": "Which delivery."}}),
    }
    made: Document = {
        name: {
            "address": address, "servers": [{"$ref": "#/servers/gateway"}], "parameters": driver, "summary": about,
            "messages": _refs(socket), "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        }
        for name, address, about in (
            ("driver_socket", "/v2/drivers/{driver_id}/socket", "A driver's app."),
            ("driver_socket_v1", "/drivers/{driver_id}/socket", "The same messages at the older address."),
        )
    }  # fmt: skip
    for name, (address, parameters) in streams.items():
        made[name] = {
            "address": address, "servers": [{"$ref": "#/servers/streams"}], "parameters": parameters,
            "summary": "Server-sent events; the message's name is the event's, Last-Event-ID resumes.",
            "messages": _refs(messages.TRACKING.values()),
        }  # fmt: skip
    made["webhooks"] = {
        "address": None, "servers": [{"$ref": "#/servers/seller"}],
        "summary": "What a seller's endpoint is sent: POST, signed as Standard Webhooks has it.",
        "messages": _refs([messages.Webhook]),
    }  # fmt: skip
    return made


def _refs(shapes: Any) -> Document:
    return {one.__name__: {"$ref": f"#/components/messages/{one.__name__}"} for one in shapes}


def _operations(channels: Document) -> Document:
    """Seen from Baton: it sends what others hear."""
    made: Document = {}
    from_drivers = {one.__name__ for one in messages.FROM_DRIVERS}
    for name, channel in channels.items():
        own = [message for message in channel["messages"] if message not in from_drivers]
        action = "receive" if name == "orders_inbound" else "send"
        made[f"{action}_{name}"] = _operation(action, name, own)
        if heard := [message for message in channel["messages"] if message in from_drivers]:
            made[f"receive_{name}"] = _operation("receive", name, heard)
    return made


def _operation(action: str, channel: str, names: list[str]) -> Document:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }
