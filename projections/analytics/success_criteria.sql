-- success_criteria: Does Baton do what the business wants of it?
-- One row: a criterion.
-- Period: as in the views that it rests on, 7 days
-- By: criterion
-- Columns:
--   criterion text: its name
--   wanted text: what is aimed at; empty: no aim was set
--   seen numeric: what was seen, in `unit`
--   unit text: %, ms, or a delivery
--   met boolean: whether what was seen is what was wanted
--   numerator numeric: what `seen` rests on: so many ...
--   denominator bigint: ... of so many, or how many were measured
--   since timestamptz: the beginning of the period
--   until timestamptz: its end
-- Null: seen and met where nothing was measured; met where no aim was set. Of fewer than 20 a verdict says little.
-- Caveats: audit_lag_ms is the longest of the newest events, one a partition (view audit_lag). How long tracking takes
--   to answer is in no table: the gateway's metrics have it.
WITH figures (no, criterion, wanted, unit, seen, numerator, denominator, met) AS (
    SELECT 1, 'acceptance', '> 80 %', '%', analytics.percent(sum(accepted), sum(answered)), sum(accepted),
        sum(answered), sum(accepted) > 0.8 * nullif(sum(answered), 0)
        FROM analytics.acceptance_over_time
    UNION ALL SELECT 2, 'unassigned_after_5_min', '< 5 %', '%', analytics.percent(sum(over_5_min), sum(judged)),
        sum(over_5_min), sum(judged), sum(over_5_min) < 0.05 * nullif(sum(judged), 0)
        FROM analytics.unassigned_over_time
    UNION ALL SELECT 3, 'reassignments', '< 2', 'a delivery', round(lost::numeric / nullif(deliveries, 0), 2), lost,
        deliveries, lost < 2 * nullif(deliveries, 0)
        FROM (SELECT count(*) FILTER (WHERE ended_as = 'reassigned') AS lost, count(DISTINCT delivery_id) AS deliveries
            FROM public.assignments WHERE assigned_at >= analytics.since() AND assigned_at < analytics.until()) held
    UNION ALL SELECT 4, 'reassignment_success', '> 90 %', '%',
        analytics.percent(sum(found_again), sum(reassigned - still_open)), sum(found_again),
        sum(reassigned - still_open), sum(found_again) > 0.9 * nullif(sum(reassigned - still_open), 0)
        FROM analytics.reassignments_by_reason
    UNION ALL SELECT 5, 'offer_p99_ms', '< 500 ms', 'ms', p99, p99, measured, p99 < 500
        FROM (SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY latency_ms) AS p99, count(*) AS measured
            FROM analytics.first_offers WHERE NOT waited) first
    UNION ALL SELECT 6, 'audit_lag_ms', '< 1000 ms', 'ms', max(lag_ms), max(lag_ms), count(*), max(lag_ms) < 1000
        FROM analytics.audit_lag
    UNION ALL SELECT 7, 'eta_in_band', '75 % to 85 %', '%', analytics.percent(sum(in_band), sum(banded)), sum(in_band),
        sum(banded), sum(in_band) / nullif(sum(banded), 0) BETWEEN 0.75 AND 0.85
        FROM analytics.eta_accuracy_over_time
    UNION ALL SELECT 8, 'first_attempt', '', '%', analytics.percent(sum(first_accepted), sum(asked)),
        sum(first_accepted), sum(asked), NULL
        FROM analytics.first_attempt_by_zone
    UNION ALL SELECT 9, 'completion', '', '%', analytics.percent(sum(delivered), sum(ended)), sum(delivered),
        sum(ended), NULL
        FROM analytics.completion_over_time
)
SELECT criterion, wanted, seen, unit, CASE WHEN denominator > 0 THEN met END AS met,
    coalesce(numerator, 0) AS numerator, coalesce(denominator, 0)::bigint AS denominator,
    analytics.since() AS since, analytics.until() AS until
FROM figures ORDER BY no
