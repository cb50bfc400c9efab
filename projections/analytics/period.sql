-- What all views share. Of which time they tell is said by the session: SET baton.since = '2026-11-01', and
-- baton.until. Without, it is the usual time of each view, up to now. Times without a zone are in the session's own.

CREATE OR REPLACE FUNCTION analytics.until() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('baton.until', true), '')::timestamptz, now()) $$;
COMMENT ON FUNCTION analytics.until IS 'The end of the time that is told of: SET baton.until; else now';

CREATE OR REPLACE FUNCTION analytics.since(usual interval DEFAULT '7 days') RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('baton.since', true), '')::timestamptz, analytics.until() - usual) $$;
COMMENT ON FUNCTION analytics.since IS 'The beginning of it: SET baton.since; else the usual time before the end';

CREATE OR REPLACE FUNCTION analytics.step() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('baton.step', true), '')::interval, interval '1 hour') $$;
COMMENT ON FUNCTION analytics.step IS 'How long a step of the views over time is: SET baton.step; else an hour';

CREATE OR REPLACE FUNCTION analytics.stepped(at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT date_bin(analytics.step(), at, timestamptz '2000-01-01 00:00:00+00') $$;
COMMENT ON FUNCTION analytics.stepped IS
    'The beginning of the step that a moment lies in, counted from midnight in UTC';

CREATE OR REPLACE FUNCTION analytics.lived(usual interval) RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT usual / coalesce(nullif(current_setting('baton.speed', true), '')::float8, 1) $$;
COMMENT ON FUNCTION analytics.lived IS
    'How long it is where durations are divided, as in a demonstration: SET baton.speed = 60; else as it is';

CREATE OR REPLACE FUNCTION analytics.percent(part numeric, whole numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT round(100 * part / nullif(whole, 0), 1) $$;
COMMENT ON FUNCTION analytics.percent IS 'So many of a hundred, to a tenth; null of nothing';
