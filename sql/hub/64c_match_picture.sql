-- What a threshold is chosen by, as a picture.

CREATE OR REPLACE FUNCTION @hub@.match_picture(model text DEFAULT 'default', options jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql STABLE SET search_path = @hub@, @extschema@, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM begin_matching();
    IF NOT EXISTS (SELECT FROM match_models m WHERE m.model = match_picture.model) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no model %s of matching', coalesce(quote_literal(model), 'NULL'));
    END IF;
    -- before anything is accepted, what would be
    RETURN (SELECT svg_matches(array(SELECT ROW(r.score, r.pairs, r.precision, r.recall, r.unlinked)
                                            ::@extschema@.match_score
                                     FROM match_report r WHERE r.model = match_picture.model),
                               coalesce(m.above, match_threshold(m.model)), m.review_above, options)
            FROM match_models m WHERE m.model = match_picture.model);
END $$;
COMMENT ON FUNCTION @hub@.match_picture(text, jsonb) IS
    'SVG of match_report, with the thresholds that were last accepted, or else the one that accept_matches would take; '
    'options: title, width, theme';
