"""How Baton's clients of Kafka sign in: the file of properties, what it may say, and what is said when it may not."""

from pathlib import Path

import pytest

from dispatch import config
from dispatch.log.connecting import BadProperties, checked, kafka_client, properties


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, and that Kafka's clients are to read it."""
    file = tmp_path / "kafka.properties"
    monkeypatch.setenv("BATON_KAFKA_PROPERTIES", str(file))
    monkeypatch.setenv("BATON_KAFKA", "127.0.0.1:9093")
    return file


def test_a_client_begins_with_its_name_and_what_the_file_says(written: Path) -> None:
    written.write_text("# ours\n\n security.protocol = SASL_SSL\nsasl.mechanisms=PLAIN\nsasl.password=a=b # c\n")
    assert kafka_client("there:9093", "worker-0") == {
        "bootstrap.servers": "there:9093", "client.id": "baton-worker-0", "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "PLAIN", "sasl.password": "a=b # c",
    }  # fmt: skip
    written.write_text("security.protocol=PLAINTEXT\n")
    assert kafka_client("there:9093", "eta")["security.protocol"] == "PLAINTEXT", "read each time"


def test_without_a_file_there_is_no_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BATON_KAFKA_PROPERTIES", raising=False)
    assert kafka_client("here:9092", "eta") == {"bootstrap.servers": "here:9092", "client.id": "baton-eta"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("security.protocol", "line 1 of .* is not name=value"),
        ("\nacks=0", "acks in line 2 of .* is not of the connection, which is security.protocol, sasl.*"),
        ("enable.idempotence=false", "enable.idempotence in line 1"),
        ("sasl.jaas.config=x required;", "sasl.jaas.config in line 1 of .* is Java's; sasl.username and sasl.password"),
        ("ssl.truststore.location=t.jks", "ssl.truststore.location in line 1 of .* is Java's; ssl.ca.location"),
        ("security.protocol=SECRET", 'Invalid value "SECRET"'),
        ("ssl.nothing=1", "ssl.nothing"),
        ("security.protocol=SSL\nssl.ca.location=/nowhere/ca.pem", "ssl.ca.location failed"),
    ],
)
def test_what_the_file_may_not_say_is_told_in_one_sentence(written: Path, text: str, sentence: str) -> None:
    written.write_text(text)
    with pytest.raises(config.SettingsError, match=f"(?s)^BATON_KAFKA_PROPERTIES: .*{sentence}"):
        config.load()


def test_a_file_that_cannot_be_read_is_named(written: Path) -> None:
    with pytest.raises(BadProperties, match=rf"{written} cannot be read"):
        properties(str(written))
    written.write_bytes(b"\xff\xfe")
    with pytest.raises(BadProperties, match="cannot be read"):
        checked(str(written))


def test_the_local_stack_has_no_sign_in(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written.write_text("security.protocol=PLAINTEXT\n")
    assert config.load().kafka_properties == str(written)
    monkeypatch.delenv("BATON_KAFKA")
    with pytest.raises(config.SettingsError, match="BATON_KAFKA, which is not set"):
        config.load()
