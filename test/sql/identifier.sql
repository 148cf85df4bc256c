-- The type identifier: text form, limits, order, hash, indexes, binary form.

-- text form: kept exactly, the first colon parts
SELECT i::identifier, identifier_namespace(i::identifier) AS namespace, identifier_value(i::identifier) AS value
FROM (VALUES
    ('email:ana@example.pt'),
    ('phone:+351912345678'),
    ('Loyalty:0042'),
    ('crm.eu-west_1:a:b::c:'),
    ('cliente-são:João'),
    ('電話:090'),
    ('c: leading and trailing '),
    ('1:"quoted" and \back'),
    ('-._:x'),
    ('x::')
) v(i);

-- what it is refused with
CREATE FUNCTION refused(input text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM input::identifier;
    message := 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
\x on
SELECT left(input, 20) AS input, r.* FROM (VALUES
    (''),
    (':'),
    ('email'),
    ('email:'),
    (':ana'),
    (' email:ana'),
    ('my shop:1'),
    ('a/b:1'),
    ('"email":ana'),
    (repeat('n', 63) || ':v'),
    (repeat('n', 64) || ':v'),
    (repeat('é', 31) || 'n:v'),
    (repeat('é', 32) || ':v'),
    ('n:' || repeat('v', 1024)),
    ('n:' || repeat('v', 1025)),
    ('n:' || repeat('日', 341) || 'v'),
    ('n:' || repeat('日', 342)),
    (repeat('no colon at all ', 100))
) v(input), refused(input) r;
\x off
DROP FUNCTION refused;

-- the constructor
SELECT identifier('email', 'ana@example.pt'), identifier('c', ' a:b '), identifier(namespace => 'x', value => E'tab\there'),
       identifier(NULL, 'a') IS NULL AS no_namespace, identifier('a', NULL) IS NULL AS no_value;
SELECT identifier('a:b', 'c');
SELECT identifier('', 'c');
SELECT identifier('a', '');
SELECT identifier(repeat('a', 64), 'c');
SELECT identifier('a', repeat('v', 1025));
SELECT identifier('a', 'b')::text, 'a:b'::text::identifier;
SELECT 'a:b'::text = identifier('a', 'b');

-- order: of namespace and value, byte by byte, whatever the locale
CREATE TABLE id (n serial, i identifier);
INSERT INTO id (i) SELECT identifier(ns, v)
FROM unnest(ARRAY['a', 'A', 'a-b', 'a.b', 'a0', 'a_', 'aa', 'ab', 'email', 'e', 'é', 'z', repeat('n', 63)]) ns,
     unnest(ARRAY['1', '10', '2', ':', '::', ' ', 'a', 'B', 'é', 'z', E'\x01', repeat('v', 1024), repeat('v', 1023), 'phone', 'phonf']) v;
INSERT INTO id (i) SELECT identifier('cookie', md5(n::text)) FROM generate_series(1, 3000) n;
SELECT count(*) AS out_of_order
FROM (SELECT row_number() OVER (ORDER BY i) AS by_type,
             row_number() OVER (ORDER BY identifier_namespace(i) COLLATE "C", identifier_value(i) COLLATE "C") AS by_parts
      FROM id) x WHERE by_type <> by_parts;
SELECT count(*) AS pairs,
       bool_and((a.i < b.i) = (x < 0) AND (a.i <= b.i) = (x <= 0) AND (a.i = b.i) = (x = 0)
                AND (a.i <> b.i) = (x <> 0) AND (a.i >= b.i) = (x >= 0) AND (a.i > b.i) = (x > 0)
                AND identifier_lt(a.i, b.i) = (x < 0) AND sign(identifier_cmp(b.i, a.i)) = -x) AS consistent
FROM id a, id b,
     LATERAL (SELECT CASE WHEN ROW(identifier_namespace(a.i), identifier_value(a.i)) = ROW(identifier_namespace(b.i), identifier_value(b.i)) THEN 0
         WHEN ROW(identifier_namespace(a.i) COLLATE "C", identifier_value(a.i) COLLATE "C")
            < ROW(identifier_namespace(b.i) COLLATE "C", identifier_value(b.i) COLLATE "C") THEN -1 ELSE 1 END) s(x)
WHERE a.n <= 195 AND b.n <= 195;
SELECT 'a:b'::identifier < 'a-b:a' AS shorter_namespace_first, 'a:b'::identifier = 'A:b' AS case_matters;

-- text and binary forms round-trip
SELECT count(*), bool_and(i::text::identifier = i AND identifier(identifier_namespace(i), identifier_value(i)) = i
                          AND i::text = identifier_namespace(i) || ':' || identifier_value(i)) AS exact FROM id;
SELECT identifier_send('a:é:'), identifier_send('email:x');
CREATE TABLE back (LIKE id);
\copy id TO 'results/identifier.copy' (FORMAT binary)
\copy back FROM 'results/identifier.copy' (FORMAT binary)
SELECT count(*) FROM id JOIN back USING (n) WHERE id.i = back.i AND id.i::text = back.i::text;

-- hash: of equality, extended by a seed, and never another one
SELECT bool_and(identifier_hash(i) = identifier_hash(i::text::identifier)) AS equal,
       bool_and(identifier_hash_extended(i, 0)::bit(64) & x'00000000ffffffff'::bit(64)
                = identifier_hash(i)::bigint::bit(64) & x'00000000ffffffff'::bit(64)) AS low_half,
       count(DISTINCT i) = count(DISTINCT identifier_hash_extended(i, 42)) AS distinct_64,
       count(*) FILTER (WHERE identifier_hash_extended(i, 1) = identifier_hash_extended(i, 0)) AS unseeded
FROM id;
SELECT i, identifier_hash(i), identifier_hash_extended(i, 0), identifier_hash_extended(i, -1)
FROM unnest('{email:ana@example.pt,a:b,ab:c,a:bc,電話:090}'::identifier[]) i;

-- btree, hash, partitions, grouping
CREATE UNIQUE INDEX id_btree ON id (i);
CREATE INDEX id_hash ON id USING hash (i);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT i FROM id WHERE i >= 'cookie:a' AND i < 'cookie:b' ORDER BY i;
SELECT count(*), bool_and(identifier_value(i) LIKE 'a%') FROM id WHERE i >= 'cookie:a' AND i < 'cookie:b';
DROP INDEX id_btree;
EXPLAIN (COSTS OFF) SELECT n FROM id WHERE i = 'a-b:2';
SELECT n FROM id WHERE i = 'a-b:2';
RESET enable_seqscan;
RESET enable_bitmapscan;
CREATE TABLE part (i identifier PRIMARY KEY) PARTITION BY HASH (i);
CREATE TABLE part0 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE part1 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE part2 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO part SELECT i FROM id;
SELECT tableoid::regclass, count(*) FROM part GROUP BY 1 ORDER BY 1;
EXPLAIN (COSTS OFF) SELECT FROM part WHERE i = 'email:a';
SELECT count(*) FROM part JOIN id USING (i);
SET enable_hashjoin = off;
SELECT count(*) FROM part JOIN id USING (i);
RESET enable_hashjoin;

-- arrays in the server's GIN
CREATE TABLE seen (n integer, ids identifier[]);
INSERT INTO seen SELECT n, ARRAY[identifier('cookie', (n % 100)::text), identifier('email', n || '@example.pt')]
FROM generate_series(1, 1000) n;
INSERT INTO seen VALUES (0, ARRAY[identifier(repeat('n', 63), repeat('v', 1024))]);
CREATE INDEX ON seen USING gin (ids);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM seen WHERE ids @> '{cookie:7}';
SELECT count(*) FROM seen WHERE ids @> '{cookie:7}';
SELECT n FROM seen WHERE ids @> '{cookie:7,email:107@example.pt}';
SELECT n FROM seen WHERE ids && '{email:3@example.pt,email:5@example.pt,none:3}' ORDER BY n;
SELECT n FROM seen WHERE ids @> ARRAY[identifier(repeat('n', 63), repeat('v', 1024))];
RESET enable_seqscan;
SELECT 'a:1'::identifier = ANY ('{b:1,a:1}'), '{"a: ,1","a:\"x\""}'::identifier[];

SELECT opcname, amname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype = 'identifier'::regtype ORDER BY 2;
DROP TABLE id, back, part, seen;

-- blocked values: whole ones without regard to case, or regular expressions
SELECT value, list, identifier_blocked(identifier('id', value), list) AS blocked
FROM (VALUES
    ('null', '{none,"null"}'::text[]),
    ('NULL', '{none,"null"}'),
    ('nullo', '{none,"null"}'),      -- a value is the whole value
    ('null', '{NULL}'),              -- an element that is NULL is none
    ('null', '{"NULL"}'),
    ('null', '{}'),
    ('{}', '{}'),
    ('{}', '{"{}"}'),
    ('test@a.pt', '{x,~^test@}'),
    ('TEST@a.pt', '{~^test@}'),
    ('test@a.pt', '{~^TEST@}'),
    ('a.test@a.pt', '{~^test@}'),
    ('a.test@a.pt', '{~test@}'),
    ('+9999', '{"~^\\+?(\\d)\\1{3,}$"}'),
    ('a%', '{a_,~^.$}'),             -- no LIKE
    ('~x', '{~x}'),
    ('~x', '{x}'),
    ('anything', '{~}'),
    ('9:5', '{9:5}'),                -- a colon alone makes no kind
    ('email:x', '{email:x}')
) v(value, list);
-- quotes, padding and brackets, once or again; what is within a value counts
SELECT replace(value, U&'\200B', '<zero width>') AS value, identifier_blocked(identifier('id', value), '{"null",~^nul$}') AS blocked
FROM unnest(ARRAY[' null', '''null''', '"null"', '\"null\"', '`null`', '“null”', '„null“', '‘null’', '«null»',
                  '''"null"''',
                  E'null\r\n', E'\u00a0null\u200b', E'nu\u200bll', '&quot;null&quot;', '%22null%22', '(null)',
                  '["null"]', '{ null }',
                  '<null>', '((null))', '(null', 'ＮＵＬＬ', '"nul"', 'nu ll', 'null null', '"', '()', 'O''null']) value;
-- small letters of any locale
SELECT value, list, identifier_blocked(identifier('id', value), list) AS blocked
FROM (VALUES ('NÃO', '{não}'::text[]), ('não', '{NÃO}'), ('NÃO', '{~^não$}'), ('NÃo', '{~^NÃo$}'), ('ŻADEN', '{żaden}'),
             ('ΚΑΝΈΝΑΣ', '{κανένας}'), ('НЕТ', '{нет}'), ('UNDEFİNED', '{undefined}'), ('undefıned',
             '{undefined}'), ('÷', '{×}'),
             ('nao', '{não}')) v(value, list);
-- kinds of namespaces: by the normalizer, or else by the name
SELECT namespace, normalizer,
       (SELECT string_agg(kind, ', ') FROM unnest('{email,phone,document}'::text[]) kind
        WHERE identifier_blocked(identifier(namespace, 'x'), ARRAY[kind || ':x'], normalizer)) AS kind
FROM (VALUES ('email', NULL), ('e-mail', ''), ('user_email', ''), ('emailAddress', ''), ('EMAIL', ''), ('email_id',
             ''), ('mailchimp', ''),
             ('phone', ''), ('homePhone', ''), ('phone_number', ''), ('phone2', ''), ('WhatsApp', ''),
             ('whatsapp_id', ''), ('wa_id', ''),
             ('msisdn', ''), ('phone_id', ''), ('mobile_app_user', ''), ('tax_id', ''), ('customerTaxId', ''),
             ('cpf', ''), ('nif.pt', ''),
             ('document_id', ''), ('contact', ''), ('contact', 'phone'), ('phone', 'document'), ('Telemóvel', ''),
             ('number', ''), ('_', ''),
             (repeat('phone_', 10) || 'tax', ''), ('x', 'none')) v(namespace, normalizer);
-- of numbers, what parts digits counts for nothing
SELECT i, identifier_blocked(i, '{"~^(\\d)\\1+$"}') AS listed, identifier_blocked(i,
       '{"phone:~^(\\d)\\1+$"}') AS for_phones
FROM unnest('{phone:11-11,phone:11 11,contact:11-11,contact:1111,phone:(11) 11/11,phone:１１１１}'::identifier[]) i;
SELECT identifier_blocked(NULL, '{x}') IS NULL AS unknown, identifier_blocked('id:x', NULL) IS NULL AS unknown;
SELECT identifier_blocked('id:x', '{x,~^(}') AS found_first;
SELECT identifier_blocked('id:x', '{phone:~^(}') AS not_asked;
\set VERBOSITY sqlstate
SELECT identifier_blocked('id:y', '{x,~^(}');
SELECT identifier_blocked('phone:y', '{phone:~^(}');
\set VERBOSITY default

-- what a new hub blocks, and what not
SET client_min_messages = warning;
SELECT journey_create_hub('placeholders');
SELECT blocked AS list FROM placeholders.identifier_rules WHERE namespace = '*' \gset
SELECT i AS should_be_blocked FROM unnest(ARRAY[
    'id:undefined', 'id:UNDEFINED', 'id:NIL', 'id:''undefined''', 'id:"null"', 'id: none ', 'id:\"null\"', 'id:\N',
    'id:[object Undefined]',
    'id:#N/A', 'id:{{x}}', 'id:${x}', 'id:#{x}', 'id:%%x%%', 'id:%x%', 'id:*|X|*', 'id:<x>', 'id:[x]', 'id:{x}',
    'id:<%= x %>', 'id:@x@',
    'id:__x__', 'id:{{ contact.email }}', 'email:{{first}}.{{last}}@shop.pt', 'id:"{{x}}"',
    'id:%%ADVERTISING_IDENTIFIER_PLAIN%%',
    'id:<user id>', 'id:[Contact.Email]', 'id:{firstName}', 'id:$(id)', 'id:{$id}', 'id:{!Contact.Email}',
    'id:${{ x }}', 'id::id', 'id:%s',
    'id:%1$s', 'id:{0}', 'id:{1}', 'id:[[x]]', 'id:<?= $x ?>', 'id:{% x %}', 'id:#x#', 'id:{user_id}',
    'id:{{{x}}}', 'id:%7B%7Bx%7D%7D', 'id:[% x %]', 'id:$EMAIL$', 'id:$user_id', 'id:%(x)s',
    'phone:(XXX) XXX-XXXX', 'nif:999999990',
    'id:{customerid}', 'id:[userId]', 'id:(Contact Id)', 'id:0', 'id:-1', 'id:00000000-0000-0000-0000-000000000000',
    'id:{00000000-0000-0000-0000-000000000000}', 'id:000000', 'id:0.0',
    'id:""', 'id:{}', 'id:-', 'id:???', 'id: ', 'phone:1111', 'phone:9999', 'phone:+351999999999',
    'phone:+351 999 999 999',
    'phone:(11) 99999-9999', 'phone:+55 (11) 99999-9999', 'mobile_phone:999999999', 'whatsapp:999999999',
    'phone:123456789',
    'phone:+4522222222', 'msisdn:00351999999999', 'cpf:111.111.111-11', 'tax_id:999999999', 'nif:123456789',
    'email:@example.pt',
    'email:test@x.pt', 'email:NoReply@x.pt', 'email:none@none.com']::identifier[]) i
WHERE NOT identifier_blocked(i, :'list', '');
SELECT i AS should_not_be_blocked FROM unnest(ARRAY[
    'contact:1111', 'contact:9999', 'contact:123456789', 'id:-2', 'id:10', 'id:0042',
    'id:{6F9619FF-8B86-D011-B42D-00C04FC964FF}',
    'id:[ana]', 'id:[david]', 'id:{ana.silva}', 'id:Nilson', 'phone:912345678', 'phone:+351 912 345 678',
    'phone:+351911111111',
    'phone:+18005555555', 'phone:11', 'cpf:22',
    'phone:112', 'phone_id:1111', 'mobile_app_user:1111', 'document_id:9999', 'email:<ana@example.pt>',
    'email:O''Brien@x.ie',
    'email:nullabor@x.pt', 'email:testa@x.pt', 'twitter:@ana', 'mixpanel:$device:abc', 'id:%7B%22id%22%3A1%7D',
    'id:$1', 'id:50%', 'id:a%b%c', 'id:x', 'nif:501964843',
    'id:{"a":{"b":1}}', 'id:{1,2}', 'id:[1,2]', 'id:#42', 'id:test1', 'id:[::1]', 'id:12:34',
    'cookie:GA1.2.123.456']::identifier[]) i
WHERE identifier_blocked(i, :'list', '');
-- the quick no is none where the server says yes: expressions of all kinds, and texts made of what they ask for
SELECT count(*) FILTER (WHERE blocked <> matches) AS differences, count(*) FILTER (WHERE matches) > 1000 AS enough, count(*) FILTER (WHERE NOT matches) > 1000 AS enough
FROM (SELECT identifier_blocked(identifier('id', v.value), ARRAY['never', '~' || e.expression], '') AS blocked, v.value ~* e.expression COLLATE "C" AS matches
      FROM unnest(ARRAY['^a', 'a$', '^(ab|ba)+$', '^.$', '..', 'b{2,3}c', '(a)b\1', 'a(?=b)', 'b(?!c)', '(?<=a)b', '(?<!a)c', '\mb', 'c\M', '\yab\y', '[^abc]', '^[^-]*-[^-]*$',
                        '\d', '\w+\W', '\s', '^(a|b|ab)*c?$', 'é', '[à-ü]', '^\D*$', '(a|b)*?c', '^$|^a-', '[[:alpha:]]{4}', '***=a-b', '(?n)^b$', 'A', '[B-C]a', '\Aa.*c\Z',
                        '^(?:[ab]{1,2}-?)+$', '-|1|é']) e(expression)
           CROSS JOIN (SELECT DISTINCT string_agg((ARRAY['a', 'b', 'c', '-', '1', 'é', 'A'])[1 + (i * 7 + n * (n + i) * 31 + i / 5) % 7], '' ORDER BY n) AS value
                       FROM generate_series(1, 700) i, generate_series(1, 6) n WHERE n <= 1 + i % 6 GROUP BY i) v) x;
-- well below the 32 that the server keeps compiled
SELECT count(*) < 16 FROM unnest(:'list'::text[]) e WHERE e LIKE '%~%';
SELECT journey_drop_hub('placeholders');
RESET client_min_messages;
