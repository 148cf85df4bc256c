-- Pictures: SVG, as text. STABLE, because numbers are written by lc_numeric and times in TimeZone.
--
-- text and not xml: that type needs a server that was built with libxml, and it would be parsed again for nothing.

CREATE TYPE heatmap_cell AS (
    row_label text,
    column_label text,
    value double precision
);
CREATE TYPE flow_edge AS (
    step integer,
    source text,
    target text,
    journeys bigint
);

CREATE TYPE match_score AS (
    score double precision,
    pairs bigint,
    "precision" double precision,
    recall double precision,
    unlinked double precision
);

-- COST: some 100 us for a dozen rows
CREATE FUNCTION svg_funnel(funnel_step[], options jsonb DEFAULT '{}') RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;
CREATE FUNCTION svg_heatmap(heatmap_cell[], options jsonb DEFAULT '{}') RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;
CREATE FUNCTION svg_retention(retention_cell[], options jsonb DEFAULT '{}') RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;
CREATE FUNCTION svg_journey(journey, options jsonb DEFAULT '{}') RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;
CREATE FUNCTION svg_flow(flow_edge[], options jsonb DEFAULT '{}') RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;
CREATE FUNCTION svg_flow(flow, options jsonb DEFAULT '{}') RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 20000
RETURN (SELECT svg_flow(coalesce(array_agg((e.step, regexp_replace(e.source, '^-?\d+ ', ''),
                                            regexp_replace(e.target, '^-?\d+ ', ''), e.journeys)::flow_edge), '{}'), $2)
        FROM flow_edges($1) e);  -- names carry their step there, which is a column here
-- not STRICT: thresholds may be NULL
CREATE FUNCTION svg_matches(match_score[], above double precision DEFAULT NULL,
                            review_above double precision DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 10000;
CREATE FUNCTION svg_escape(text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON TYPE heatmap_cell IS 'a cell of a heat map; those of the same row and column are added up, NULL is empty';
COMMENT ON TYPE flow_edge IS
    'how many journeys go from a source at a step to a target at the next; NULL: they start or end there';
COMMENT ON TYPE match_score IS
    'how many pairs of records have a score, and the precision, recall and share of records without a match that are '
    'expected of accepting all from there on';
COMMENT ON FUNCTION svg_funnel(funnel_step[], jsonb) IS
    'SVG of a funnel: a bar for each step; options: title, width, theme, top';
COMMENT ON FUNCTION svg_heatmap(heatmap_cell[], jsonb) IS
    'SVG of a heat map, rows and columns in order of appearance; options: title, width, theme, top';
COMMENT ON FUNCTION svg_retention(retention_cell[], jsonb) IS
    'SVG of cohorts and who of them came back; options: title, width, theme, top, unit';
COMMENT ON FUNCTION svg_journey(journey, jsonb) IS
    'SVG of a journey over time, a lane for each channel; options: title, width, theme, top, item';
COMMENT ON FUNCTION svg_flow(flow_edge[], jsonb) IS
    'SVG of where journeys go, step by step: a Sankey diagram; options: title, width, theme, top';
COMMENT ON FUNCTION svg_flow(flow, jsonb) IS
    'SVG of where the journeys of a flow go, step by step: a Sankey diagram; options: title, width, theme, top';
COMMENT ON FUNCTION svg_matches(match_score[], double precision, double precision, jsonb) IS
    'SVG of scores of pairs, and what is expected of accepting them from a score on, with the thresholds for accepting '
    'and for review; options: title, width, theme';
COMMENT ON FUNCTION svg_escape(text) IS
    'text as it can stand in XML or HTML, between tags or in an attribute; what XML forbids is shown as a symbol';
