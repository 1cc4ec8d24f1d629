"""Sound cut by SQL alone: functions on PostgreSQL that put chunks behind a header that is true of them."""

from __future__ import annotations

from alembic import op

revision = "phonobase_0005"
down_revision = "phonobase_0004"
branch_labels = None
depends_on = None

# A header says how much follows: FLAC in 36 bits of STREAMINFO (RFC 9639, section 8.2), beside an MD5 of the
# whole that is not known of a part; WAV in the sizes of its first and last chunks, and of floats in `fact`
# before the last. What is cut here fits RIFF, so that an RF64 header becomes one.
_PART = """
CREATE FUNCTION phono_part(
    recording_id uuid, from_frame bigint, to_frame bigint,
    OUT first_frame bigint, OUT frame_count bigint, OUT audio bytea
) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1 AS $$
DECLARE
    head bytea;
    is_flac boolean;
    frames_there bigint;
    first_seq integer;
    last_seq integer;
    chunks bigint;
    data_bytes bigint;
BEGIN
    IF from_frame < 0 OR from_frame > to_frame THEN
        RAISE USING ERRCODE = 'invalid_parameter_value', MESSAGE = concat(
            'there are no frames from ', from_frame, ' to ', to_frame,
            '; count from 0, the first before the last'
        );
    END IF;
    SELECT r.header, r.encoding = 'flac', r.frame_count INTO head, is_flac, frames_there
    FROM phono_recording AS r WHERE r.id = phono_part.recording_id;
    to_frame := least(to_frame, frames_there);
    IF to_frame IS NULL OR from_frame >= to_frame THEN
        RETURN;
    END IF;
    SELECT c.seq, c.first_frame INTO first_seq, first_frame
    FROM phono_chunk AS c
    WHERE c.recording_id = phono_part.recording_id AND c.first_frame <= from_frame
    ORDER BY c.first_frame DESC LIMIT 1;
    SELECT c.seq, c.first_frame + c.frame_count - phono_part.first_frame INTO last_seq, frame_count
    FROM phono_chunk AS c
    WHERE c.recording_id = phono_part.recording_id AND c.first_frame < to_frame
    ORDER BY c.first_frame DESC LIMIT 1;
    SELECT string_agg(a.data, ''::bytea ORDER BY a.seq), count(*) INTO audio, chunks
    FROM phono_audio AS a
    WHERE a.recording_id = phono_part.recording_id AND a.seq BETWEEN first_seq AND last_seq;
    IF chunks IS DISTINCT FROM last_seq - first_seq + 1 THEN
        RAISE USING ERRCODE = 'data_corrupted', MESSAGE = concat(
            'recording ', phono_part.recording_id, ' lacks chunks between ', first_seq, ' and ', last_seq,
            '; see: phonobase verify ', phono_part.recording_id
        );
    END IF;
    IF is_flac THEN
        head := set_byte(head, 21, (get_byte(head, 21) & 240) | (frame_count >> 32)::integer);
        head := overlay(head PLACING substr(int8send(frame_count), 5) FROM 23);
        head := overlay(head PLACING decode(repeat('00', 16), 'hex') FROM 27);
    ELSE
        data_bytes := length(audio);
        head := overlay(head PLACING 'RIFF'::bytea FROM 1);
        head := overlay(head PLACING 'JUNK'::bytea || decode('1c000000' || repeat('00', 28), 'hex') FROM 13);
        FOR i IN 0..3 LOOP
            head := set_byte(head, 4 + i, ((length(head) - 8 + data_bytes) >> 8 * i & 255)::integer);
            head := set_byte(head, length(head) - 4 + i, (data_bytes >> 8 * i & 255)::integer);
            IF substr(head, length(head) - 19, 4) = 'fact'::bytea THEN
                head := set_byte(head, length(head) - 12 + i, (frame_count >> 8 * i & 255)::integer);
            END IF;
        END LOOP;
    END IF;
    audio := head || audio;
    RETURN NEXT;
END
$$
"""

_CLIP = """
CREATE FUNCTION phono_clip(
    recording_id uuid, from_seconds double precision DEFAULT 0, to_seconds double precision DEFAULT NULL
) RETURNS bytea
LANGUAGE plpgsql STABLE AS $$
DECLARE
    rate integer := (SELECT r.sample_rate FROM phono_recording AS r WHERE r.id = recording_id);
    from_frame bigint;
    to_frame bigint := 24 * 60 * 60::bigint * rate;
BEGIN
    IF NOT (from_seconds >= 0 AND from_seconds < 'Infinity') OR from_seconds > to_seconds
        OR to_seconds = 'NaN'
    THEN
        RAISE USING ERRCODE = 'invalid_parameter_value', MESSAGE = concat(
            'there is no clip from ', from_seconds, ' to ', to_seconds,
            ' seconds; count from 0, the first before the last'
        );
    END IF;
    from_frame := least(ceil(coalesce(from_seconds, 0)::numeric * rate), to_frame);
    IF to_seconds < 'Infinity' THEN
        to_frame := least(ceil(to_seconds::numeric * rate), to_frame);
    END IF;
    RETURN (SELECT p.audio FROM phono_part(recording_id, from_frame, to_frame) AS p);
END
$$
"""

_CUT = """
CREATE FUNCTION phono_cut(source text, since timestamptz, until timestamptz)
RETURNS TABLE (recording_id uuid, started_at timestamptz, ended_at timestamptz, audio bytea)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF since > until THEN
        RAISE USING ERRCODE = 'invalid_parameter_value', MESSAGE = concat(
            'there is no time from ', since, ' to ', until, '; name the earlier first'
        );
    END IF;
    RETURN QUERY
    SELECT
        r.id,
        r.started_at + p.first_frame * 1000000 / r.sample_rate * interval '1 microsecond',
        r.started_at + (p.first_frame + p.frame_count) * 1000000 / r.sample_rate * interval '1 microsecond',
        p.audio
    FROM phono_recording AS r
    CROSS JOIN LATERAL (
        SELECT
            greatest(phono_cut.since, r.started_at) AS since,
            least(phono_cut.until, r.ended_at) AS until
    ) AS w
    CROSS JOIN LATERAL phono_part(
        r.id,
        ceil(extract(epoch FROM w.since - r.started_at)::numeric * r.sample_rate)::bigint,
        ceil(extract(epoch FROM w.until - r.started_at)::numeric * r.sample_rate)::bigint
    ) AS p
    WHERE r.source = phono_cut.source AND r.started_at >= phono_cut.since - interval '24 hours'
        AND r.started_at < phono_cut.until AND r.ended_at > phono_cut.since
    ORDER BY r.started_at, r.id;
END
$$
"""

# So that it finds the tables in whatever schema it is called from; and no temporary one before them.
_PIN = """
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION {function} SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $$
"""

_FUNCTIONS = {
    "phono_part(uuid, bigint, bigint)": _PART,
    "phono_clip(uuid, double precision, double precision)": _CLIP,
    "phono_cut(text, timestamptz, timestamptz)": _CUT,
}


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for function, definition in _FUNCTIONS.items():
            op.execute(definition)
            op.execute(_PIN.format(function=function))


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for function in reversed(_FUNCTIONS):
            op.execute(f"DROP FUNCTION {function}")
