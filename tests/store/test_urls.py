"""What phonobase tells of an archive's URL, which may hold a password."""

from __future__ import annotations

import pytest

from phonobase.errors import DatabaseUnavailable
from phonobase.store.engine import create_engine, shown


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+psycopg://u:SECRET@h/db", "postgresql://u@h/db"),
        ("postgresql://u@h/db?password=SECRET", "postgresql://u@h/db"),
        ("postgresql://u@h/db?sslpassword=SECRET&sslmode=require", "postgresql://u@h/db?sslmode=require"),
        ("postgresql://u@h/db?PassWord=SECRET&scram_client_key=SECRET", "postgresql://u@h/db"),
        ("postgresql://u@h/db?passfile=%2Fetc%2Fpass", "postgresql://u@h/db?passfile=%2Fetc%2Fpass"),
    ],
)
def test_what_is_shown(url: str, told: str) -> None:
    """A URL is shown without every secret in it, and with all else."""
    engine = create_engine(url)

    assert shown(engine) == told


@pytest.mark.parametrize(
    "url",
    [
        "u:SECRET@h/db",
        "u:SEC:RET@h/db",
        "postgresql//u:SECRET@h/db",
        "postgresql:/u:SECRET@h/db",
        "postgresql:u:SECRET@h/db",
        "postgresql:///u:SECRET@h:x",
        "//u:SEC@RET@h",
        "h/db?password=SECRET",
        "host=h password=SECRET user=u",
        "host=h sslpassword = 'A SECRET' user=u",
        "postgresql://u:SECRET@h:port/db",
        "postgresql://u@h:port/db?password=SECRET",
        "postgresql://u:SE@SECRET@h/db",
        "mysql://u:SECRET@h/db",
    ],
)
def test_what_is_no_url_may_hold_a_password_too(url: str) -> None:
    """What cannot be parsed is refused in a line in which the password is not."""
    with pytest.raises(DatabaseUnavailable) as refusal:
        create_engine(url)

    assert "SECRET" not in str(refusal.value)


def test_a_port_that_is_no_number() -> None:
    """A port must be a number, and the line says so."""
    with pytest.raises(DatabaseUnavailable, match="has a port that is no number; write postgresql://"):
        create_engine("postgresql://u@h:port/db")


def test_an_at_sign_in_a_password() -> None:
    """An @ that is not escaped would make the end of the password the host's name."""
    with pytest.raises(DatabaseUnavailable, match="and an @ in the password as %40"):
        create_engine("postgresql://u:a@b@h/db")
