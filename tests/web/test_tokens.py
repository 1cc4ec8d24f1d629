from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from phonobase.store.tokens import revoke_token
from tests.web.guests import NOWHERE, door, guest, logged, told

if TYPE_CHECKING:
    from phonobase import Archive
    from tests.store.judge import Program, Raw
    from tests.web.guests import Answer

PCM = b"\0\1" * 800
on_sqlite = pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)


def test_the_secret_is_stored_nowhere(archive: Archive, raw: Raw) -> None:
    """A token's row has the SHA-256 of its secret, and none of its bytes are anywhere in it."""
    somebody = guest(archive)
    kind, id_, secret = somebody.word.split("_", 2)
    assert (kind, id_) == ("phono", somebody.token.id.hex)
    assert len(secret) == 43
    (row,) = raw.rows("SELECT * FROM phono_token")
    assert sha256(secret.encode()).digest() in [
        bytes(one) for one in row if isinstance(one, bytes | memoryview)
    ]
    assert secret not in repr(row)


def test_no_two_secrets_are_the_same(archive: Archive) -> None:
    """Each token has 256 random bits of its own."""
    words = [guest(archive).word.split("_", 2)[2] for _ in range(50)]
    assert len(set(words)) == 50
    assert len({word[:6] for word in words}) == 50


def test_who_shows_a_token_is_known_by_its_name(archive: Archive, program: Program) -> None:
    """A token says who asks, what they may do and of which sources they may know; the log says so, too."""
    with door(archive) as client:
        me = client.get("/api/me", headers=guest(archive, "write", "reef", "desk", name="Zoë").shows)
    assert me.json() == {"name": "Zoë", "scope": "write", "sources": ["desk", "reef"], "session": False}
    assert logged(program) == ["Zoë|get_me|200"]


def _wrong(archive: Archive) -> dict[str, str]:
    """Returns words that are no good token, by what is wrong with them."""
    good = guest(archive, name="Good").word
    revoked = guest(archive, name="Rita")
    revoke_token(archive, revoked.token.id)
    soon = datetime.now(UTC) + timedelta(seconds=1000)
    expired = guest(archive, name="Ed", until=soon)
    with archive.session(writes=True) as session, session.begin():
        session.connection().exec_driver_sql(
            "UPDATE phono_token SET expires_at = created_at WHERE name = 'Ed'"
        )
    other = guest(archive, name="Other").word
    return {
        "nonsense": "nonsense",
        "empty": "",
        "secret of another": good[:-43] + other[-43:],
        "last letter": good[:-1] + ("A" if good[-1] != "A" else "E"),
        "longer": good + "A",
        "shorter": good[:-1],
        "no such id": good[:6] + NOWHERE + good[38:],
        "another kind": good.replace("phono_", "session_"),
        "capitals": good.replace("phono_", "PHONO_"),
        "revoked": revoked.word,
        "expired": expired.word,
        "sql": "phono_' OR '1'='1_--",
        "long": "phono_" + "a" * 20_000,
        "bytes": "phono_\xff\xfe",
    }


def test_every_wrong_token_is_refused_with_the_same_words(archive: Archive, program: Program) -> None:
    """Missing, wrong, revoked and expired look the same, to the byte; the log says which it was."""
    archive.add(PCM, 8000, source="desk")
    wrong = _wrong(archive)
    with door(archive) as client:
        first = told(client.get("/api/sources"))
        for what, word in wrong.items():
            shows = {b"Authorization": f"Bearer {word}".encode("latin-1")}
            assert told(client.get("/api/sources", headers=shows)) == first, what
    status, body, headers = first
    assert status == 401
    assert b"desk" not in body
    assert headers["www-authenticate"] == 'Bearer realm="phonobase"'
    reasons = logged(program, "coalesce(who, ''), status, detail")
    assert reasons[0] == "|401|no token"
    assert reasons[1:] == [
        {"revoked": "Rita|401|revoked", "expired": "Ed|401|expired"}.get(what, "|401|wrong token")
        for what in wrong
    ]
    everything = logged(program, "*")
    assert not any(word in line for word in wrong.values() if word for line in everything)


@on_sqlite
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_may_be_written_anyhow(archive: Archive, scheme: str) -> None:
    """Bearer is a name whose case does not matter."""
    with door(archive) as client:
        shows = {"Authorization": f"{scheme} {guest(archive).word}"}
        assert client.get("/api/me", headers=shows).status_code == 200


@on_sqlite
@pytest.mark.parametrize(
    "shown",
    [{"params": {"token": "{}"}}, {"params": {"access_token": "{}"}}, {"headers": {"X-Token": "{}"}}],
    ids=["token", "access-token", "header"],
)
def test_a_token_in_an_address_is_none(archive: Archive, shown: dict[str, dict[str, str]]) -> None:
    """What would stand in histories and logs of proxies is not taken."""
    word = guest(archive).word
    request = {kind: dict.fromkeys(given, word) for kind, given in shown.items()}
    with door(archive) as client:
        assert client.get("/api/me", **request).status_code == 401  # type: ignore[arg-type] # by name


def test_a_revoked_token_is_refused_at_once(archive: Archive) -> None:
    """The very next request is refused."""
    somebody = guest(archive)
    with door(archive) as client:
        assert client.get("/api/me", headers=somebody.shows).status_code == 200
        revoke_token(archive, somebody.token.id)
        assert client.get("/api/me", headers=somebody.shows).status_code == 401


def test_who_reads_changes_nothing(archive: Archive, program: Program) -> None:
    """With the scope read every change is refused, logged, and not made; nor is anything of a body taken."""
    recording = archive.add(PCM, 8000, source="desk", title="before")
    before = program.lines("SELECT id, title FROM phono_recording")
    shows = guest(archive).shows
    with door(archive) as client:
        changes = [
            client.patch(f"/api/recordings/{recording.id}", json={"title": "after"}, headers=shows),
            client.patch(f"/api/recordings/{recording.id}", content=b"{no json", headers=shows),
            client.post("/api/recordings", files={"file": b"RIFF"}, data={"source": "desk"}, headers=shows),
            client.post("/api/recordings/pcm?source=desk&samplerate=8000", content=PCM, headers=shows),
        ]
        metrics = client.get("/api/metrics", headers=shows)
    assert [answer.status_code for answer in changes] == [403, 403, 403, 403]
    assert metrics.status_code == 403
    assert program.lines("SELECT id, title FROM phono_recording") == before
    assert logged(program) == [
        "Anna|edit_recording|403",
        "Anna|edit_recording|403",
        "Anna|add_recording|403",
        "Anna|add_pcm|403",
        "Anna|get_metrics|403",
    ]


def test_another_sources_recording_is_not_there(archive: Archive, program: Program) -> None:
    """What is not theirs to know of is answered as what is not there, to the byte, in every way to ask."""
    theirs = archive.add(PCM, 8000, source="desk")
    hidden = archive.add(PCM, 8000, source="secret", title="hidden")
    somebody = guest(archive, "write", "desk")
    id_paths = ["", "/audio", "/annotations", "/gaps", "/peaks?width=64", "/spectrogram?width=64&height=64"]
    ranged = {"Range": "bytes=0-9", "If-None-Match": '"x"'}
    with door(archive) as client:
        for path in id_paths:
            for headers in ({}, ranged):
                answers = [
                    client.get(f"/api/recordings/{id_}{path}", headers=somebody.shows | headers)
                    for id_ in (hidden.id.hex, NOWHERE)
                ]
                assert _alike(answers[0], hidden.id.hex) == _alike(answers[1], NOWHERE), path
                assert answers[0].status_code == 404, answers[0].text
        patched = [
            client.patch(f"/api/recordings/{id_}", json={"title": "x"}, headers=somebody.shows)
            for id_ in (hidden.id.hex, NOWHERE)
        ]
        assert _alike(patched[0], hidden.id.hex) == _alike(patched[1], NOWHERE)
        period = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
        for path in (f"cut?{period}", f"gaps?{period}", f"coverage?{period}", "recordings?limit=5"):
            answers = [
                client.get(f"/api/{path}&source={source}", headers=somebody.shows)
                for source in ("secret", "absent")
            ]
            assert _alike(answers[0], "secret") == _alike(answers[1], "absent"), path
        found = client.get("/api/recordings", headers=somebody.shows).json()["recordings"]
        names = client.get("/api/sources", headers=somebody.shows).json()["sources"]
        status = client.get("/api/status", headers=somebody.shows)
    assert [one["id"] for one in found] == [theirs.id.hex]
    assert [one["name"] for one in names] == ["desk"]
    assert b"secret" not in status.content
    assert program.lines("SELECT title FROM phono_recording WHERE source = 'secret'") == ["hidden"]
    assert "get_audio|404|secret" in logged(program, "action, status, coalesce(source, '')")


def _alike(answer: Answer, name: str) -> tuple[int, bytes, dict[str, str]]:
    """Returns what an answer tells, with the name it was asked for as one that stands for all."""
    status, body, headers = told(answer)
    named = "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))
    for each in (named, name):
        body = body.replace(each.encode(), b"NAME")
    headers.pop("content-length")
    return status, body, headers
