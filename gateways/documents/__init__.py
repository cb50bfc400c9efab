"""What machines read about Baton: OpenAPI, AsyncAPI, the schema registry, TypeScript types; and a page for people.

`openapi` and `asyncapi` build the two documents, `answers` holds what each operation answers, `shapes` and `messages`
how answers and messages look, `registry` the schemas in Confluent's HTTP form, `page` serves `/docs`. Nothing here
decides anything.
"""
