-- A page for those who don't write SQL: all figures in one, as HTML that needs nothing else.
--
-- It is also well-formed XML. Nothing runs in it and nothing is fetched: its Content-Security-Policy forbids both, and
-- all text goes through svg_escape, in report_table and report_section.

CREATE OR REPLACE FUNCTION @hub@.report_number(value numeric, unit text DEFAULT 'count') RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE report_number.unit
       WHEN 'parts' THEN to_char(report_number.value, 'FM9G999G999G999G999G990D0')
       WHEN 'share' THEN to_char(100 * report_number.value, 'FM999G990D0') || '%'
       WHEN 'money' THEN to_char(report_number.value, 'FM9G999G999G999G999G990D00')
       WHEN 'seconds' THEN
           CASE WHEN report_number.value < 60 THEN to_char(report_number.value, 'FM990') || ' s'
                WHEN report_number.value < 3600 THEN to_char(report_number.value / 60, 'FM990D0') || ' min'
                WHEN report_number.value < 86400 THEN to_char(report_number.value / 3600, 'FM990D0') || ' h'
                ELSE to_char(report_number.value / 86400, 'FM999G990D0') || ' days' END
       ELSE to_char(report_number.value, 'FM9G999G999G999G999G990') END;
COMMENT ON FUNCTION @hub@.report_number(numeric, text) IS
    'a number as a report shows it, by lc_numeric: unit count, parts (of such), share, money or seconds';

CREATE OR REPLACE FUNCTION @hub@.report_period(start date, period text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(report_period.start::timestamp,
               CASE report_period.period WHEN 'year' THEN 'YYYY' WHEN 'quarter' THEN 'YYYY "Q"Q'
                                         WHEN 'month' THEN 'Mon YYYY' ELSE 'FMDD Mon YYYY' END);
COMMENT ON FUNCTION @hub@.report_period(date, text) IS 'a period as a report names it, by its first day';

CREATE OR REPLACE FUNCTION @hub@.report_time(at timestamptz, time_zone text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(report_time.at AT TIME ZONE report_time.time_zone,
               CASE WHEN (report_time.at AT TIME ZONE report_time.time_zone)::time = '00:00' THEN 'FMDD Mon YYYY'
                    ELSE 'FMDD Mon YYYY HH24:MI' END);
COMMENT ON FUNCTION @hub@.report_time(timestamptz, text) IS 'a time as a report shows it, a day where it begins one';

CREATE OR REPLACE FUNCTION @hub@.report_table(headings text[], cells text[]) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    width integer := cardinality(headings);
BEGIN
    IF coalesce(cardinality(cells), 0) = 0 THEN
        RETURN '<p class="none">Nothing to show.</p>' || E'\n';
    END IF;
    RETURN E'<div class="scroll"><table>\n<thead><tr>'
        || (SELECT string_agg(format('<th scope="col">%s</th>', svg_escape(h.heading)), '' ORDER BY h.n)
            FROM unnest(headings) WITH ORDINALITY AS h(heading, n))
        || E'</tr></thead>\n<tbody>'
        || (SELECT string_agg(CASE WHEN c.n % width = 1 THEN '<tr><th scope="row">' ELSE '<td>' END
                              || coalesce(svg_escape(c.cell), '&#8211;')
                              || CASE WHEN c.n % width = 1 THEN '</th>' ELSE '</td>' END
                              || CASE WHEN c.n % width = 0 THEN E'</tr>\n' ELSE '' END, '' ORDER BY c.n)
            FROM unnest(cells) WITH ORDINALITY AS c(cell, n))
        || E'</tbody></table></div>\n';
END $$;
COMMENT ON FUNCTION @hub@.report_table(text[], text[]) IS
    'a table of HTML: headings, and cells row by row; the first of a row names it, NULL is shown as a dash';

CREATE OR REPLACE FUNCTION @hub@.report_section(heading text, remark text, wide text, narrow text DEFAULT NULL)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '<section><h2>' || @extschema@.svg_escape(report_section.heading) || E'</h2>\n'
       || coalesce('<p class="remark">' || @extschema@.svg_escape(report_section.remark) || E'</p>\n', '')
       || CASE WHEN report_section.narrow IS NULL THEN report_section.wide
               ELSE '<figure class="wide">' || report_section.wide || E'</figure>\n<figure class="narrow">'
                    || report_section.narrow || E'</figure>\n' END
       || E'</section>\n';
COMMENT ON FUNCTION @hub@.report_section(text, text, text, text) IS
    'a part of a report, of HTML; with a picture in two widths, the second for small screens';

CREATE OR REPLACE FUNCTION @hub@.report_page(title text, remark text, content text, foot text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $page$<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta name="referrer" content="no-referrer"/>
<title>$page$ || @extschema@.svg_escape(report_page.title) || $page$</title>
<style>
:root { --ground: #ffffff; --text: #1b1f24; --muted: #59626d; --line: #d3d9e0; --tile: #f4f6f8 }
@media screen and (prefers-color-scheme: dark) {
    :root { --ground: #14171c; --text: #e8eaed; --muted: #a6afba; --line: #39414c; --tile: #1d2229 }
}
body { margin: 0 auto; max-width: 820px; padding: 16px; background: var(--ground); color: var(--text);
       font: 15px/1.5 "Segoe UI", Roboto, Helvetica, Arial, "DejaVu Sans", sans-serif }
h1 { font-size: 26px; line-height: 1.25; margin: 8px 0 4px; overflow-wrap: anywhere }
h2 { font-size: 18px; margin: 32px 0 4px }
header p, footer, .remark, .none { color: var(--muted); font-size: 13px; margin: 4px 0 10px; overflow-wrap: anywhere }
footer { border-top: 1px solid var(--line); margin-top: 32px; padding-top: 8px }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 10px; margin: 16px 0 }
.tiles div { background: var(--tile); border-radius: 6px; padding: 10px 12px }
.tiles dt { color: var(--muted); font-size: 12px }
.tiles dd { margin: 0; font-size: 20px; font-weight: 600; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child { text-align: left; font-weight: 600; max-width: 220px; overflow: hidden; text-overflow: ellipsis }
thead th { color: var(--muted); font-weight: 400; white-space: normal; vertical-align: bottom }
figure { margin: 0 -16px }
svg { display: block; max-width: 100%; height: auto }
.narrow { display: none }
@media screen and (max-width: 640px) {
    .wide { display: none }
    .narrow { display: block }
    .tiles { grid-template-columns: 1fr 1fr }
    h1 { font-size: 21px }
    table { font-size: 12px }
    th, td { padding: 4px 5px }
}
@media print {
    @page { margin: 14mm }
    body { max-width: none; padding: 0; font-size: 11pt }
    h2 { break-after: avoid }
    section, figure, tr, .tiles div { break-inside: avoid }
    figure { margin: 0 }
    table { font-size: 8.5pt }
    th, td { padding: 3px 5px; white-space: normal }
    th:first-child { white-space: nowrap }
    .scroll { overflow: visible }
    .tiles { grid-template-columns: 1fr 1fr 1fr }
    .tiles div { border: 1px solid var(--line) }
}
</style>
</head>
<body>
<header><h1>$page$ || @extschema@.svg_escape(report_page.title) || $page$</h1>
<p>$page$ || @extschema@.svg_escape(report_page.remark) || $page$</p></header>
<main>
$page$ || report_page.content || $page$</main>
<footer>$page$ || @extschema@.svg_escape(report_page.foot) || $page$</footer>
</body>
</html>
$page$;
COMMENT ON FUNCTION @hub@.report_page(text, text, text, text) IS
    'a page of HTML around what report makes of a hub: it forbids scripts, and that anything is fetched';

CREATE OR REPLACE FUNCTION @hub@.report(
    period text DEFAULT 'month', since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    pattern @extschema@.journey_pattern DEFAULT NULL, title text DEFAULT NULL, customers bigint[] DEFAULT NULL,
    conversion @extschema@.journey_pattern DEFAULT '%.purchase') RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    most constant integer := 24;  -- rows of a table, periods of a picture
    unit text := check_period(period, since, until);
    zone text := (SELECT s.time_zone FROM settings s);
    first_at timestamptz;
    last_at timestamptz;
    cohort_unit text := CASE unit WHEN 'all' THEN 'month' ELSE unit END;
    cohort_step interval := CASE cohort_unit WHEN 'quarter' THEN '3 months' ELSE '1 ' || cohort_unit END;
    first_period date;
    left_out bigint;
    cells text[];
    page text;
    wide jsonb := '{"width": 852}';
    narrow jsonb := '{"width": 360}';
    mix @extschema@.heatmap_cell[];
    handoffs @extschema@.flow_edge[];
    steps @extschema@.funnel_step[];
    cohorts @extschema@.retention_cell[];
BEGIN
    IF customers IS NULL THEN
        SELECT min(t.occurred_at), max(t.occurred_at) INTO first_at, last_at FROM touchpoints t;
    ELSE
        SELECT min(journey_start(j.journey)), max(journey_end(j.journey)) INTO first_at, last_at
        FROM home_journeys j WHERE j.customer_id = ANY (customers);
    END IF;
    IF first_at IS NOT NULL AND isfinite(since) THEN  -- the report is of that time, whatever was before
        first_at := since;
    END IF;
    page := '<dl class="tiles">'
        || (SELECT string_agg(format('<div><dt>%s</dt><dd>%s</dd></div>', svg_escape(f.name),
                                     coalesce(svg_escape(f.figure), '&#8211;')), '' ORDER BY f.n)
            FROM omnichannel(NULL, since, until, customers) o
                 CROSS JOIN (SELECT sum(m.touchpoints) AS touchpoints
                             FROM channel_mix(NULL, since, until, customers) m) m
                 CROSS JOIN LATERAL (
                     SELECT string_agg(concat_ws(' ', report_number(v.value, 'money'), nullif(v.currency, '')), ', '
                                       ORDER BY v.value DESC, v.currency COLLATE "C") AS value
                     FROM (SELECT e.key AS currency, sum(e.value::numeric) AS value
                           FROM channel_mix(NULL, since, until, customers) c
                                CROSS JOIN jsonb_each_text(c.value_by_currency) e
                           GROUP BY e.key) v) v
                 CROSS JOIN LATERAL (VALUES
                     (1, 'Customers', report_number(o.customers)),
                     (2, 'Touchpoints', report_number(coalesce(m.touchpoints, 0))),
                     (3, 'Value', v.value),
                     (4, 'Use two channels or more', report_number(o.multichannel_share, 'share')),
                     (5, 'Hand-offs', report_number(o.handoffs)),
                     (6, 'Go from digital to people or back', report_number(o.omnichannel_share, 'share')),
                     (7, 'Contacts', report_number(o.contacts)),
                     (8, 'Repeat contacts', report_number(o.repeat_contact_share, 'share')),
                     (9, 'Resolved at first contact', report_number(o.first_contact_resolution, 'share'))
                 ) f(n, name, figure))
        || E'</dl>\n';

    IF unit <> 'all' THEN
        SELECT array_agg(x.cell ORDER BY o.period_start DESC, x.n), min(o.period_start), max(o.periods) - most
        INTO cells, first_period, left_out
        FROM (SELECT p.period_start, p.customers, p.multichannel_share, p.handoffs, p.contacts, p.repeat_contact_share,
                     p.first_contact_resolution, count(*) OVER () AS periods
              FROM omnichannel(unit, since, until, customers) p ORDER BY p.period_start DESC LIMIT most) o
             CROSS JOIN LATERAL unnest(ARRAY[report_period(o.period_start, unit), report_number(o.customers),
                                             report_number(o.multichannel_share, 'share'), report_number(o.handoffs),
                                             report_number(o.contacts), report_number(o.repeat_contact_share, 'share'),
                                             report_number(o.first_contact_resolution, 'share')])
                 WITH ORDINALITY AS x(cell, n);
        page := page || report_section(
            'By ' || unit,
            CASE WHEN left_out > 0 THEN format('The last %s; %s before them are not shown.', most, left_out) END,
            report_table(ARRAY[initcap(unit), 'Customers', 'In two channels or more', 'Hand-offs', 'Contacts',
                               'Repeat contacts', 'Resolved at first contact'], cells));
    END IF;

    SELECT array_agg(x.cell ORDER BY m.line, x.n) INTO cells
    FROM (SELECT least(c.place, CASE WHEN c.channels > most THEN most ELSE c.place END) AS line,
                 CASE count(*) WHEN 1 THEN min(coalesce(c.label, c.channel))
                               ELSE format('(other: %s)', report_number(count(*))) END AS name,
                 sum(c.touchpoints) AS touchpoints, sum(c.share) AS share,
                 CASE count(*) WHEN 1 THEN min(c.customers) END AS customers, sum(c.visits) AS visits,
                 CASE count(*) WHEN 1 THEN min(c.containment) END AS containment,
                 CASE count(*) WHEN 1 THEN min(c.value) END AS value,
                 CASE count(*) WHEN 1 THEN min(c.currency) END AS currency
          FROM (SELECT b.channel, b.label, b.touchpoints, b.share, b.customers, b.visits, b.containment, b.value,
                       b.currency, count(*) OVER () AS channels,
                       row_number() OVER (ORDER BY b.touchpoints DESC, b.channel COLLATE "C") AS place
                FROM channel_mix(NULL, since, until, customers) b) c
          GROUP BY 1) m
         CROSS JOIN LATERAL unnest(ARRAY[m.name, report_number(m.touchpoints), report_number(m.share, 'share'),
                                         report_number(m.customers), report_number(m.visits),
                                         report_number(m.containment, 'share'),
                                         report_number(m.value, 'money') || coalesce(' ' || m.currency, '')])
             WITH ORDINALITY AS x(cell, n);
    page := page || report_section('Channels', NULL, report_table(
        ARRAY['Channel', 'Touchpoints', 'Share', 'Customers', 'Visits', 'Stayed in it', 'Value'], cells));
    SELECT array_agg((coalesce(b.label, b.channel), report_period(b.period_start, unit),
                      b.touchpoints)::@extschema@.heatmap_cell
                     ORDER BY b.period_start, b.in_all DESC, b.channel COLLATE "C")
    INTO mix
    FROM (SELECT c.period_start, c.channel, c.label, c.touchpoints,
                 sum(c.touchpoints) OVER (PARTITION BY c.channel) AS in_all
          FROM channel_mix(unit, since, until, customers) c
          WHERE unit <> 'all' AND c.period_start >= first_period) b;
    IF unit <> 'all' THEN
        page := page || report_section('Touchpoints by channel and ' || unit, NULL,
                                       svg_heatmap(coalesce(mix, '{}'), wide),
                                       svg_heatmap(coalesce(mix, '{}'), narrow));
    END IF;

    SELECT coalesce(array_agg((1, coalesce(f.label, t.from_channel), coalesce(g.label, t.to_channel),
                               t.handoffs)::@extschema@.flow_edge
                              ORDER BY t.from_channel COLLATE "C", t.to_channel COLLATE "C"), '{}')
    INTO handoffs
    FROM channel_transitions(NULL, since, until, customers) t
         LEFT JOIN channels f ON f.channel = t.from_channel
         LEFT JOIN channels g ON g.channel = t.to_channel;
    page := page || report_section('Hand-offs', 'From channel to channel, as customers go on their own.',
                                   svg_flow(handoffs, wide), svg_flow(handoffs, narrow));

    IF pattern IS NOT NULL THEN
        SELECT coalesce(array_agg((f.step, f.item, f.customers, f.share, f.share_of_previous, f.median_time,
                                   f.p90_time)::@extschema@.funnel_step ORDER BY f.step), '{}')
        INTO steps
        FROM funnel(pattern, NULL, since, until, among => customers) f;
        page := page || report_section('Funnel', pattern::text, svg_funnel(steps, wide),
                                       svg_funnel(steps, narrow));
    END IF;

    IF conversion IS NOT NULL THEN
        WITH credit AS MATERIALIZED (
            SELECT r.model, r.item, r.conversions, r.value, r.spent, r.spent_in_others
            FROM return_on_spend(NULL, since, until, conversion, customers => customers,
                                 models => '{first,last,linear,time_decay,shapley,markov}') r
        ), lines AS (
            SELECT c.item, least(row_number() OVER (ORDER BY c.conversions DESC, c.item COLLATE "C"),
                                 CASE WHEN count(*) OVER () > most THEN most END) AS line
            FROM (SELECT a.item, sum(a.conversions) AS conversions FROM credit a GROUP BY 1) c
        ), spent AS (
            SELECT m.line, string_agg(concat_ws(' ', report_number(m.amount, 'money'), nullif(m.currency, '')), ', '
                                      ORDER BY m.currency COLLATE "C") AS spent
            FROM (SELECT l.line, e.currency, sum(e.amount) AS amount
                  FROM credit c JOIN lines l ON l.item IS NOT DISTINCT FROM c.item
                       CROSS JOIN LATERAL (SELECT '' AS currency, c.spent AS amount
                                           UNION ALL
                                           SELECT o.key, o.value::numeric
                                           FROM jsonb_each_text(c.spent_in_others) o) e
                  WHERE c.model = 'markov' AND e.amount IS NOT NULL
                  GROUP BY 1, 2) m
            GROUP BY 1
        )
        SELECT array_agg(x.cell ORDER BY m.line, x.n) INTO cells
        FROM (SELECT l.line, min(coalesce(h.label, l.item)) AS name,
                     count(*) FILTER (WHERE c.model = 'markov') AS items,
                     sum(c.conversions) FILTER (WHERE c.model = 'first') AS first,
                     sum(c.conversions) FILTER (WHERE c.model = 'last') AS last,
                     sum(c.conversions) FILTER (WHERE c.model = 'linear') AS linear,
                     sum(c.conversions) FILTER (WHERE c.model = 'time_decay') AS time_decay,
                     sum(c.conversions) FILTER (WHERE c.model = 'shapley') AS shapley,
                     sum(c.conversions) FILTER (WHERE c.model = 'markov') AS markov,
                     sum(c.value) FILTER (WHERE c.model = 'markov') AS value,
                     sum(c.spent) FILTER (WHERE c.model = 'markov') AS spent
              FROM credit c JOIN lines l ON l.item IS NOT DISTINCT FROM c.item
                   LEFT JOIN channels h ON h.channel = l.item
              GROUP BY l.line) m
             LEFT JOIN spent p ON p.line = m.line
             CROSS JOIN LATERAL unnest(ARRAY[
                 CASE m.items WHEN 1 THEN coalesce(m.name, '(none)')
                              ELSE format('(other: %s)', report_number(m.items)) END,
                 report_number(m.first::numeric, 'parts'), report_number(m.last::numeric, 'parts'),
                 report_number(m.linear::numeric, 'parts'), report_number(m.time_decay::numeric, 'parts'),
                 report_number(m.shapley::numeric, 'parts'), report_number(m.markov::numeric, 'parts'),
                 report_number(m.value, 'money'), p.spent,
                 CASE WHEN customers IS NULL THEN report_number(m.value / nullif(m.spent, 0), 'money') END])
                 WITH ORDINALITY AS x(cell, n);
        page := page || report_section(
            'Credit', format('Conversions (%s) by the channels that led to them within 30 days, by model; (none): none '
                             'did. Value by the model Markov; spent on all customers.', conversion),
            report_table(ARRAY['Channel', 'First', 'Last', 'Linear', 'Time decay', 'Shapley', 'Markov', 'Value',
                               'Spent', 'Value for each spent'], cells));
    END IF;

    SELECT coalesce(array_agg((c.cohort, c.bracket, c.customers)::@extschema@.retention_cell), '{}')
    INTO cohorts
    FROM (SELECT journey_retention_agg(j.journey, '%', '%', cohort_unit, zone) AS cells
          FROM own_journeys j WHERE customers IS NULL OR j.customer_id = ANY (customers)) a
         CROSS JOIN unnest(a.cells) c
    WHERE (since IS NULL OR c.cohort >= period_start(since, cohort_unit, zone))
          AND (until IS NULL OR (c.cohort + c.bracket * cohort_step) AT TIME ZONE zone < until);
    wide := wide || jsonb_build_object('unit', cohort_unit);
    narrow := narrow || jsonb_build_object('unit', cohort_unit);
    page := page || report_section(
        'Who comes back', format('Customers by the %s in which they first did something on their own, and in which '
                                 'later ones they did again.', cohort_unit),
        svg_retention(cohorts, wide), svg_retention(cohorts, narrow));

    SELECT array_agg(x.cell ORDER BY s.period_start DESC NULLS FIRST, x.n) INTO cells
    FROM (SELECT l.period_start, l.conversations, l.first_response_median_seconds, l.first_response_p90_seconds,
                 l.resolution_median_seconds, l.abandonment, l.bot_containment, l.first_contact_resolution
          FROM service_levels(NULL, since, until, among => customers) l
          UNION ALL
          SELECT l.period_start, l.conversations, l.first_response_median_seconds, l.first_response_p90_seconds,
                 l.resolution_median_seconds, l.abandonment, l.bot_containment, l.first_contact_resolution
          FROM service_levels(unit, since, until, among => customers) l
          WHERE unit <> 'all' AND l.period_start >= first_period) s
         CROSS JOIN LATERAL unnest(ARRAY[coalesce(report_period(s.period_start, unit), 'All'),
                                         report_number(s.conversations),
                                         report_number(s.first_response_median_seconds::numeric, 'seconds'),
                                         report_number(s.first_response_p90_seconds::numeric, 'seconds'),
                                         report_number(s.resolution_median_seconds::numeric, 'seconds'),
                                         report_number(s.abandonment, 'share'),
                                         report_number(s.bot_containment, 'share'),
                                         report_number(s.first_contact_resolution, 'share')])
             WITH ORDINALITY AS x(cell, n);
    page := page || report_section(
        'Service', 'Conversations that began, and how long customers waited.',
        report_table(ARRAY[CASE unit WHEN 'all' THEN '' ELSE initcap(unit) END, 'Conversations', 'First answer, median',
                           'First answer, 90% within', 'Resolved, median', 'Given up', 'Contained by bots',
                           'Resolved at first contact'], cells));
    RETURN report_page(coalesce(title, 'Customer journeys'),
                       CASE WHEN first_at IS NULL THEN 'There are no touchpoints as yet.'
                            WHEN isfinite(until)
                            THEN format('From %s until before %s, %s', report_time(first_at, zone),
                                        report_time(until, zone), zone)
                            ELSE format('From %s to %s, %s', report_time(first_at, zone),
                                        report_time(greatest(first_at, last_at), zone), zone) END
                       || CASE WHEN customers IS NOT NULL
                               THEN (SELECT format('; %s of %s customers', report_number(count(*) FILTER (
                                                       WHERE c.customer_id = ANY (customers))), report_number(count(*)))
                                     FROM home_journeys c) ELSE '' END,
                       page, format('%s, made by pg_journey on %s.', current_schema(),
                                    report_time(now(), zone)));
END $$;
COMMENT ON FUNCTION @hub@.report(text, timestamptz, timestamptz, @extschema@.journey_pattern, text, bigint[],
                                 @extschema@.journey_pattern) IS
    'a page of HTML that needs nothing else: figures from one time until before another, by day, week, month, quarter,'
    ' year or all, channels, hand-offs, the funnel of a pattern, credit for conversions, cohorts, and the service; of'
    ' customers, NULL: all';
