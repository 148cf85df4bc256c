-- Payloads of other systems to rows: hostile JSON, pointers, conditions, times, limits.
SET TimeZone = 'UTC';

CREATE FUNCTION reads(payload text, rules text DEFAULT '[{"rule": 1, "makes": "touchpoint", "each": [""], "identifiers": ["u:/u"],
    "occurred_at": ["/t", "now"], "channel": ["=web"], "action": ["/a", "=view"], "value": ["/v"], "attributes": ["x:/x"]}]')
RETURNS TABLE (item text, kind text, reason text, sqlstate text, who text, at timestamptz, action text, value numeric, attributes jsonb)
LANGUAGE sql AS $$
    SELECT item, kind, reason, sqlstate, array_to_string(identifiers, ' '), occurred_at, action, value, attributes
    FROM journey_payload_events(ARRAY[payload], rules::json)
$$;

-- what is right
SELECT * FROM reads('{"u": "ana", "t": "2026-03-01T10:00:00+01:00", "a": "buy", "v": 19.90, "x": {"b": [1, true, null, "é"]}}');
SELECT * FROM reads(E' \t\r\n{"u" : 17 ,"x":[ ]}\n');
SELECT who, action, attributes FROM reads('{"u": "\u0041\ud83d\uded2\n\\\/\"", "a": "日本 \u00e9", "x": "\u0001<\/script>"}');
SELECT who, attributes FROM reads('{"u": true, "x": -0}');
SELECT who, attributes FROM reads('{"u": "a", "U": "b", "u ": "c"}');

-- exact numbers
SELECT who, value, attributes FROM reads('{"u": 123456789012345678901234567890, "v": 0.1234567890123456789012345678901, "x": [18446744073709551616, -9223372036854775809, 1e2, 1E-7, 123456789012345678901e3]}');
SELECT who, attributes FROM reads('{"u": 9223372036854775807, "x": [9223372036854775807, 9223372036854775808, 999999999999999999, 1000000000000000000]}');
SELECT who, reason, sqlstate FROM reads('{"u": 1e16384}');
SELECT length(who), length(attributes ->> 'x') FROM reads('{"u": "a", "x": 1e16382}');
SELECT reason FROM reads(format('{"u": "a", "x": %s}', repeat('9', 16384)));
SELECT length(attributes ->> 'x') FROM reads(format('{"u": "a", "x": %s}', repeat('9', 16383)));
SELECT reason, sqlstate FROM reads('{"u": "a", "v": "12,50"}'), unnest(ARRAY[1]) n;
SELECT v, r.value, r.reason FROM unnest(ARRAY['12', '"12"', '"-0.50"', '"+1e3"', '"1e9999999999"', '"NaN"', '"Infinity"', '" 1"', '"1."', '".5"', '"0x10"', '""', 'null', 'true', '{}', '[1]']) v,
    reads(format('{"u": "a", "v": %s}', v)) r;

-- what is not JSON
SELECT j, r.reason, r.sqlstate FROM unnest(ARRAY[
    '', ' ', '{', '{"u"', '{"u":', '{"u":"a"', '{"u":"a",', '{"u":"a"}}', '{"u":"a"} x', '{"u":"a"}{}', '{"u":"a",}', '[1,]', '[1 2]', '{,}', '{1:2}',
    '{u:"a"}', '{''u'':''a''}', '{"u":''a''}', '{"u":NaN}', '{"u":Infinity}', '{"u":-Infinity}', '{"u":nan}', '{"u":True}', '{"u":nul}', '{"u":nulll}',
    '{"u":01}', '{"u":+1}', '{"u":1.}', '{"u":.5}', '{"u":1e}', '{"u":1e+}', '{"u":-}', '{"u":0x10}', '{"u":1_000}',
    '{"u":"\x41"}', '{"u":"\u12"}', '{"u":"\u12G4"}', '{"u":"a\u0000b"}', '{"\u0000":1}', '{"u":"\ud800"}', '{"u":"\udc00"}', '{"u":"\ud800\u0041"}', '{"u":"\ud800\ud800"}', '{"u":"\ud83d',
    E'{"u":"a\nb"}', E'{"u":"a\tb"}', E'{"u":"a\u007f"}', '/* c */{"u":"a"}', '{"u":"a"}//c', '{"u"/**/:1}', E'{"u":\u00a01}',
    '{"u":"a","u":"b"}', '{"u":"a","\u0075":"b"}', '{"x":{"a":1,"b":{"a":1,"a":2}},"u":"a"}', '[{"u":"a","u":"a"}]',
    '"text"', '17', 'null', 'true', '[]', '[[]]', '[null]', '["a", 1]', '{}']) WITH ORDINALITY j(j, n), reads(j) r
ORDER BY j.n;
SELECT replace(reason, E'\ufeff', '<BOM>') AS reason, sqlstate FROM reads(E'\ufeff{"u":"a"}');

-- depth
SELECT n, r.kind, r.reason FROM unnest(ARRAY[61, 63, 64, 65, 100000]) n, reads('{"u": "a", "x": ' || repeat('[', n) || repeat(']', n) || '}') r;
SELECT r.kind, r.reason FROM reads('{"u": "a", "x": ' || repeat('{"a":', 63) || '1' || repeat('}', 63) || '}') r;
SELECT r.reason FROM reads('{"u": "a", "x": ' || repeat('{"a":', 64) || '1' || repeat('}', 64) || '}') r;
SELECT r.reason FROM reads(repeat('[', 100000)) r;

-- size
SELECT kind, reason, sqlstate FROM reads('{"u": "a", "x": "' || repeat('x', 4 * 1024 * 1024 - 19) || '"}');
SELECT kind, reason, sqlstate FROM reads('{"u": "a", "x": "' || repeat('x', 4 * 1024 * 1024 - 18) || '"}');
SELECT kind, reason, sqlstate FROM reads(format('{"u": "a", "a": "%s"}', repeat('x', 255)));
SELECT kind, reason, sqlstate FROM reads(format('{"u": "a", "a": "%s"}', repeat('x', 256)));
SELECT kind, reason, sqlstate FROM reads(format('{"u": "%s"}', repeat('x', 1025)));

-- a small payload must not make much: each item would take the text around it
SELECT kind, reason, count(*) FROM journey_payload_events(
    ARRAY[json_build_object('text', repeat('x', 1000000), 'items', (SELECT json_agg(json_build_object('u', i)) FROM generate_series(1, 1000) i))::text],
    '[{"rule": 1, "makes": "touchpoint", "each": ["/items/*"], "identifiers": ["u:/u"], "occurred_at": ["now"], "channel": ["=web"], "action": ["=view"],
       "attributes": ["text:2/text"]}]') GROUP BY 1, 2 ORDER BY 1 DESC;

-- times
SELECT t, r.at, r.reason FROM unnest(ARRAY[
    '"2026-03-01T10:00:00Z"', '"2026-03-01t10:00:00.5z"', '"2026-03-01 10:00:00,25-0330"', '"2026-03-01T10:00:00.123456789Z"', '"2026-03-01T10:00:00.9999999+00:00"',
    '"2026-03-01T10:00Z"', '"2020-03-03 13:05:57 UTC"', '"2020-03-03 13:05:57 GMT"', '1772359200', '"1772359200"', '1772359200.25', '1772359200123', '"1772359200123"', '1772359200123.5',
    '1772359200123456', '1.7723592E9', '1.7723592E12', '0', '-1', '99999999999', '100000000000', '1234',
    '"2026-03-01T10:00:00"', '"2026-03-01"', '"2026-13-01T10:00:00Z"', '"2026-02-30T10:00:00Z"', '"yesterday"', '"infinity"', '"now"', '99999999999999999999', '1e300', '"12:00Z"',
    '"2026-03-01T10:00:00Zx"', '""', 'null', 'true', '{"a": 1}', '[]']) WITH ORDINALITY t(t, n), reads(format('{"u": "a", "t": %s}', t)) r
ORDER BY t.n;
SELECT at, reason FROM reads('{"u": "a", "r": "2026-03-01T10:00:10Z", "s": "2026-03-01T09:00:05Z", "o": "2026-03-01T09:00:01.5Z"}',
    '[{"makes": "touchpoint", "each": [""], "identifiers": ["u:/u"], "occurred_at": ["/r - /s + /missing", "/r - /s + /o"], "channel": ["=c"], "action": ["=a"]}]');
SELECT at, reason FROM reads('{"u": "a", "r": "2026-03-01T10:00:10Z", "s": 1772359200}',
    '[{"makes": "touchpoint", "each": [""], "identifiers": ["u:/u"], "occurred_at": ["/r - /s + /r - /s + /r"], "channel": ["=c"], "action": ["=a"]}]');
SELECT at, reason FROM reads('{"u": "a"}', '[{"makes": "touchpoint", "each": [""], "identifiers": ["u:/u"], "occurred_at": ["/t"], "channel": ["=c"], "action": ["=a"]}]');

-- pointers, alternatives, templates, conditions
CREATE FUNCTION field(payload text, VARIADIC terms text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    RETURN (SELECT coalesce(e.conversation, e.reason) FROM journey_payload_events(ARRAY[payload], json_build_array(json_build_object(
        'makes', 'evidence', 'each', ARRAY['/items/*'], 'identifiers', ARRAY['u:=x'], 'occurred_at', ARRAY['now'], 'conversation', terms))) e);
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN 'ERROR: ' || detail;
END $$;
SELECT t, field('{"top": "T", "list": [{"k": 1, "v": "one"}, {"k": "b", "v": "two"}, 7, null], "items": [{"a": "A", "k": "b", "n": 1, "": "empty", "a/b": "slash", "m~n": "tilde", "0": "zero",
                           "o": {"0": "o0", "x": [10, [20]]}, "e": "", "z": null, "f": false, "?x": "q"}]}', t)
FROM unnest(ARRAY['/a', '0/a', '/', '/a~1b', '/m~0n', '/0', '/o/0', '/o/x/0', '/o/x/1/0', '/o/x/2', '/o/x/00', '/o/x/-', '2/top', '1/0/a', '3/top', '99999999999/top', '/e', '/z', '/f', '/?x',
    '/o', '', '1', '2/list/0/v', '2/list/?k=k/v', '2/list/?k=n/v', '2/list/?k=nope/v', '2/list/?v=a/k', '=const', '=', '={/a}-{2/top}!', '={/a}{/e}', '={{{/a}}', '={{a}', '=a if /a', '=a if not /a',
    '=a if /a = A', '=a if /a = B', '=a if /a = B | A', '=a if not /a = B', '=a if /e', '=a if not /e', '=a if /f = false', '=a if /n = 1', '=a if /a = A and /f', '=a if /a = A and not /f', '=a if /o',
    '/a if 2/top = T', '=a if /o = x', '=a if 2/list/?k=k', '=a if not 2/list/?k=k', '=a if 2', '=a if not 2', '2/list/?k==b/v', '2/list/?k==1/v', '2/list/?k==c/v', '2/list/?k==/v', '2/list/?=k/v',
    '2/list/?k=/v', '2/list/?k/v', '2/list/0/?k=k', '2/list/?k==b/?v==two', '/o/?a=b', '=a if 2/list/?k==b/v = two', '=a if 2/list/?k==b/v = two | one and /a', '=a if /a = {/a}', '=a if /k = {2/list/1/k}',
    '=a if /k = {2/list/0/k} | {2/list/1/k}', '=a if not /k = {2/list/0/k}', '=a if /k = {/nope}', '=a if /k = {3/nope}', '=a if /k = {}', '=a if /k = {k}', '=a if /o = {/o}', '={2/list/?k==b/v}!', '/a~0b', '/a~']) t;
CREATE FUNCTION refused(VARIADIC pairs text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rule jsonb := '{"makes": "touchpoint", "each": ["/items/*"], "identifiers": ["u:/u"], "occurred_at": ["now"], "channel": ["=c"], "action": ["=a"]}';
    detail text;
BEGIN
    FOR i IN 1 .. cardinality(pairs) BY 2 LOOP
        rule := rule || jsonb_build_object(pairs[i], CASE WHEN pairs[i] IN ('condition', 'makes', 'reason') THEN to_jsonb(pairs[i + 1])
                                                          WHEN pairs[i + 1] IS NULL THEN '[]'
                                                          ELSE jsonb_build_array(pairs[i + 1]) END);
    END LOOP;
    PERFORM journey_payload_events('{}', json_build_array(rule));
    RETURN 'is taken';
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END $$;
-- slips of the pen: rules that would never find anything are no rules
SELECT t, field('{"items": [{"a": "A", "b": "B"}]}', t) AS error FROM unnest(ARRAY['=a if', '=a if ', '=a if  /a', '=a if /a and', '=a if /a and ', '=a if /a  and /b', '=a if not', '=a if not not /a', '=a if NOT /a', '=a if /a=A',
    '=a if /a =A', '=a if /a= A', '=a if /a == A', '=a if /a = ', '=a if /a = A |', '=a if /a = | A', '=a if /a = A | | B', '=a if /a = A|', '=a if /a =  A', '=a if /a != A', '=a if /a <> A', '=a if /a = "A"', '=a if /a = ''A''',
    '=a if /a or /b', '=a if /a | /b', '=a if /a = A or /b', '=a if /a = A or not /b', '=a if /a = A OR /b = B', '=a if /a = A AND not /b', '=a if /a = A and /b = B = C', '=a if 2 = A', '/a /b', '/a ', ' /a', '/ a', '3/a', '=a if 3/a', '=a if 3',
    '={3/a}', '={}', '={2}', '=', '= ', '={', '={/a', '=}', '/*', '/a*', '/a/*/b', '/-', '2/', '2a', 'a', 'now', '2#', '#/a', '$.a', 'a.b', '=a if /a > 3', '=a if /a or', '=a if /a = A and', '= x', '=x ', '={/a} ',
    '/a if', '/a if ', '=a if /a if', '=a if /a is null', '=a if /a IS NOT NULL', '/a/?k/v', '=a if /a/?k/v']) t;
SELECT f, left(t, 40) AS t, left(e.error, 120) AS error
FROM (VALUES ('direction', '=inbound'), ('direction', '=IN'), ('direction', '=in'), ('value', '=ten'), ('value', '=1e'), ('value', '=-1.5e3'), ('value', '=-{/v}'), ('channel', '=' || repeat('x', 256)), ('channel', '=' || repeat('x', 255)),
    ('agent', '=' || repeat('x', 1025)), ('agent', '={/a}' || repeat('x', 1025)), ('occurred_at', '/a - /b'), ('occurred_at', '/a + /b'), ('occurred_at', '/a - /b - /c'), ('occurred_at', '/a -/b'), ('occurred_at', '/a-/b'),
    ('occurred_at', '/a- /b + /c'), ('occurred_at', '/a + /b - /c'), ('occurred_at', '/a - /b + 3/c'), ('occurred_at', 'now - /a'), ('occurred_at', ' now'), ('occurred_at', ''), ('occurred_at', '=2026-03-01T10:00:00Z'),
    ('identifiers', 'u:'), ('identifiers', 'u:='), ('identifiers', 'u:=' || repeat('x', 1025)), ('attributes', 'all:'), ('attributes', 'all:2'), ('attributes', 'all:3'), ('attributes', 'all:={}'), ('condition', ''), ('condition', '/a = b'),
    ('condition', '/a=b'), ('each', '/a*/b'), ('each', '/a/**'), ('each', '/a/?b==c'), ('each', '/a /*'), ('reason', 'x')) v(f, t)
    CROSS JOIN LATERAL (SELECT refused(f, t) AS error) e;
-- a rule that lacks what it needs
SELECT r, refused(VARIADIC r) FROM (VALUES ('{identifiers,NULL}'::text[]), ('{occurred_at,NULL}'), ('{channel,NULL}'), ('{action,NULL}'), ('{each,NULL}'), ('{makes,nothing,identifiers,NULL}'), ('{makes,evidence,action,NULL}'),
    ('{makes,evidence,identifiers,NULL}')) v(r);
SELECT field('{"items": [{"b": "2"}]}', '/a', '/b', '/c');

-- what is taken away is less by it, whatever sign it has
SELECT v, e.value, e.reason FROM unnest(ARRAY['3', '-3', '"-3.50"', '"+3"', '0', '"--3"', '""', '"-"']) v,
    journey_payload_events(ARRAY[format('{"v": %s}', v)], '[{"makes": "evidence", "each": [""], "identifiers": ["u:=x"], "occurred_at": ["now"], "value": ["=-{/v}", "=7"]}]') e;
SELECT e.value, e.reason, e.attributes FROM journey_payload_events(ARRAY['{"v": "--3"}', '{"v": 1, "a": 2, "b": 3}'],
    '[{"makes": "evidence", "each": [""], "identifiers": ["u:=x"], "occurred_at": ["now"], "value": ["/v"], "attributes": ["x:/n", "y:/b", "x:/a", "y:/v", "x:/b"]}]') e;
SELECT v, e.identifiers, e.reason FROM unnest(ARRAY['351912345678', '"351912345678"', '"+351912345678"', '"+"', '""']) v,
    journey_payload_events(ARRAY[format('{"v": %s}', v)], '[{"makes": "evidence", "each": [""], "identifiers": ["phone:=+{/v}", "u:=x"], "occurred_at": ["now"]}]') e;

-- where items are
CREATE FUNCTION items(payload text, VARIADIC each text[]) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', e.item, e.kind, e.reason) FROM journey_payload_events(ARRAY[payload], json_build_array(json_build_object(
        'makes', 'evidence', 'condition', 'not /skip', 'each', each, 'identifiers', ARRAY['u:=x'], 'occurred_at', ARRAY['now']))) e
$$;
SELECT items('{"a": [{"b": [{}, {}]}, {"b": []}, {}, {"b": [{"skip": 1}]}]}', '/a/*/b/*');
SELECT items('{"a": [null, 1, "x", [], {"b": null}, {"b": 1}, {"b": {}}, {"b": [null, 1, [], {}]}]}', '/a/*/b/*');
SELECT items('{"a": {"b/c": {"m~n": [{}]}}}', '/a/b~1c/m~0n/*');
SELECT items('{"a": [[{}], [{}, {}]]}', '/a/1/*');
SELECT items('{"a": []}', '/a/*');
SELECT items('{"a": {}}', '/a/*', '');
SELECT items('[{"a": [{}]}, {"a": []}, 1, {"b": 1}]', '/a/*');
SELECT items('{"a": [{}]}', '', '/a/*', '/a/*');

-- rules that can't be read
DO $$
DECLARE
    r text;
    detail text;
BEGIN
    FOREACH r IN ARRAY ARRAY['{}', '[1]', '[{}]', '[{"rule": 7, "format": "shop", "makes": "money"}]', '[{"rule": 7, "makes": "evidence", "identifiers": "u:/u"}]', '[{"makes": "evidence", "identifiers": [1]}]',
            '[{"makes": "evidence", "identifiers": ["/u"]}]', '[{"makes": "evidence", "identifiers": ["a b:/u"]}]', '[{"makes": "evidence", "identifiers": [":/u"]}]',
            '[{"makes": "evidence", "action": ["u"]}]', '[{"makes": "evidence", "action": ["now"]}]', '[{"makes": "evidence", "action": ["/a~2"]}]', '[{"makes": "evidence", "action": ["/a~"]}]',
            '[{"makes": "evidence", "action": ["/a/*"]}]', '[{"makes": "evidence", "action": ["12a"]}]', '[{"makes": "evidence", "action": ["={/a"]}]', '[{"makes": "evidence", "action": ["={a}"]}]', '[{"makes": "evidence", "action": ["=x if y"]}]',
            '[{"makes": "evidence", "action": ["=x if /a | /b"]}]', '[{"makes": "evidence", "occurred_at": ["=x"]}]', '[{"makes": "evidence", "occurred_at": ["/a - x"]}]',
            '[{"makes": "evidence", "each": ["a"]}]', '[{"makes": "evidence", "each": ["1/a"]}]', '[{"makes": "evidence", "each": ["/?a=b"]}]', '[{"makes": "evidence", "condition": "type = track"}]',
            '[{"makes": "evidence", "condition": "/a and b"}]', '[{"makes": "evidence", "makes": "evidence"}]'] LOOP
        BEGIN
            PERFORM journey_payload_events('{}', r::json);
            RAISE INFO '% is taken', r;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            RAISE INFO '% % (%)', SQLSTATE, SQLERRM, detail;
        END;
    END LOOP;
END $$;

-- payloads are numbered; NULL is one
SELECT payload, kind, reason FROM journey_payload_events(ARRAY['{"u": 1}', NULL, '', '{"u": 2}'],
    '[{"makes": "evidence", "each": [""], "identifiers": ["u:/u"], "occurred_at": ["now"]}]');
SELECT count(*) FROM journey_payload_events('{}', '[]');
SELECT count(*) FROM journey_payload_events(NULL, '[]');
SELECT kind, reason FROM journey_payload_events('{"{}"}', '[]');
SELECT payload, kind FROM journey_payload_events(ARRAY[['{"u": 1}', '{"u": 2}'], ['{"u": 3}', '{']], '[{"makes": "evidence", "each": [""], "identifiers": ["u:/u"], "occurred_at": ["now"]}]');

-- digits that are no time: a date without dashes, and what only C takes for a number
SELECT t, r.at, r.reason FROM unnest(ARRAY['20250301', '20250301100000', '-19990101', '0x1E', '1e0x1', '1e', '1772359201', '2025030110000', '3e9']) t,
    reads(format('{"u": "a", "t": "%s"}', t)) r;
DROP FUNCTION refused;
