-- Comparators of people: how alike two texts are.

CREATE FUNCTION jaro_winkler(text, text) RETURNS float8
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
CREATE FUNCTION osa_distance(a text, b text, max integer DEFAULT NULL) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5;
CREATE FUNCTION match_level(
    a text, b text, comparator text, thresholds float8[] DEFAULT '{}', nicknames bytea DEFAULT NULL)
RETURNS smallint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;

CREATE FUNCTION unaccented(text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
CREATE FUNCTION folded(text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
CREATE FUNCTION phonetic_pt(text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
CREATE FUNCTION phonetic_es(text) RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;

CREATE FUNCTION match_nicknames(jsonb) RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
CREATE FUNCTION match_levels(VARIADIC levels smallint[]) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION match_level_at(levels bigint, n integer) RETURNS smallint
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- Records, packed, compared within groups of them (src/match/compare.c).

CREATE FUNCTION match_block_keys(fields jsonb, blocks jsonb, OUT block integer, OUT key text) RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20;
CREATE FUNCTION match_record(record bigint, person bigint, is_new boolean, groups bigint[], "values" text[],
                             bits float8[], comparators jsonb)
RETURNS bytea
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
CREATE FUNCTION match_compare(
    groups bigint[], records bytea[], comparators jsonb, nicknames bytea, weights float8[], keep_above float8,
    OUT a bigint, OUT b bigint, OUT rule integer, OUT levels bigint, OUT score float8, OUT compared bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10000 ROWS 2000;
CREATE FUNCTION match_patterns(groups bigint[], records bytea[], comparators jsonb, nicknames bytea, OUT rule integer,
                               OUT levels bigint, OUT pairs bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10000 ROWS 2000;
CREATE FUNCTION match_patterns_near(places bigint[], records bytea[], distance integer, comparators jsonb,
                                    nicknames bytea, OUT rule integer, OUT levels bigint, OUT pairs bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10000 ROWS 2000;

COMMENT ON FUNCTION match_block_keys(jsonb, jsonb) IS
    'keys of blocks, [[1, "email"], [2, "born", "left(name, 1)"]], for the fields of a record: what it has to have in'
    ' common with another one to be compared';
COMMENT ON FUNCTION match_record(bigint, bigint, boolean, bigint[], text[], float8[], jsonb) IS
    'a record as match_compare reads it: who it is of, whether it is new, the groups it is in, in order; for each'
    ' comparator its value, and what two add that have it, NULL: nothing; for one query, not to be stored';
COMMENT ON FUNCTION match_compare(bigint[], bytea[], jsonb, bytea, float8[], float8) IS
    'pairs of records of one group, of two people and one of them new, by comparators, [["name pt"], ["osa", 1, 2]],'
    ' with levels and score, if that is keep_above or more; each pair in the first group both are in, whose number has'
    ' the rule in its higher half. weights: of no knowledge, and of each level of each comparator. The last row has how'
    ' many were compared';
COMMENT ON FUNCTION match_patterns(bigint[], bytea[], jsonb, bytea) IS
    'the pairs that match_compare compares, counted: by each rule of a group that both are in, and levels; rule 1: all';
COMMENT ON FUNCTION match_patterns_near(bigint[], bytea[], integer, jsonb, bytea) IS
    'the same of pairs of records no farther apart than distance in the order of places, by rule 0; the last records,'
    ' as many as distance, are only compared with those before';

COMMENT ON FUNCTION jaro_winkler(text, text) IS
    'how alike two texts are, letter by letter: 1: the same, 0: nothing in common (Jaro''s comparator, with Winkler''s'
    ' weight of the beginning)';
COMMENT ON FUNCTION osa_distance(text, text, integer) IS
    'fewest insertions, deletions, substitutions and swaps of neighbours that make one text of the other; above max:'
    ' max + 1';
COMMENT ON FUNCTION match_level(text, text, text, float8[], bytea) IS
    'level of agreement of two texts by a comparator, 0: none, to the highest: the same; NULL: one says nothing';
COMMENT ON FUNCTION unaccented(text) IS 'text without accents: base letters of Latin, Greek and Cyrillic';
COMMENT ON FUNCTION folded(text) IS 'text in small letters without accents, as comparators read it';
COMMENT ON FUNCTION phonetic_pt(text) IS 'what the words of a text sound like in Portuguese: a code of each';
COMMENT ON FUNCTION phonetic_es(text) IS 'what the words of a text sound like in Spanish: a code of each';
COMMENT ON FUNCTION match_nicknames(jsonb) IS
    'names and what is short for them, {"Robert": ["Bob", "Rob"]}, in a form that match_level looks into; for one'
    ' query, not to be stored';
COMMENT ON FUNCTION match_levels(smallint[]) IS
    'up to 16 levels of match_level, NULLs among them, in one number; to group by';
COMMENT ON FUNCTION match_level_at(bigint, integer) IS 'the n-th of the levels in a number of match_levels, from 1';

-- Models of matching (src/match/fit.c).

CREATE FUNCTION match_fit(blocks integer[], levels bigint[], pairs float8[], left_out bigint[], tops integer[],
                          pairs_in_all float8, disagreeing float8[] DEFAULT '{}')
RETURNS float8[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000;
CREATE FUNCTION match_choose(a bigint[], b bigint[], scores float8[], taken integer, nodes bigint[],
                             attributes integer[], "values" bigint[])
RETURNS integer[]
AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION match_fit(integer[], bigint[], float8[], bigint[], integer[], float8, float8[]) IS
    'a model of matching, of patterns of levels and how many pairs have each: of block -2 pairs of two persons, of -1'
    ' of one, of 0 any two, of 1 all candidates, of others those of a block, where the bits of left_out say nothing.'
    ' disagreeing: how often records of one person do, in each comparison, as far as is known before. The chance that'
    ' two are one person, then m, then u of each level of each comparison';
COMMENT ON FUNCTION match_choose(bigint[], bigint[], float8[], integer, bigint[], integer[], bigint[]) IS
    'links, of which the first, as many as taken, are added in their order: of each 0, or the attribute whose values'
    ' keep its ends apart, or -1, where all links between what they would join, together, speak against it';
