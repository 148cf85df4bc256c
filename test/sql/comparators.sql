-- Comparators of people. More of them, against evaluators in Perl: test/t/260_comparators.pl
\set VERBOSITY terse

-- Winkler's table (1994), of "Advanced Methods for Record Linkage", less the pairs that his program doesn't compare;
-- and the usual three
CREATE TEMP TABLE winkler (a text, b text, published numeric);
INSERT INTO winkler VALUES
    ('SHACKLEFORD', 'SHACKELFORD', 0.982), ('DUNNINGHAM', 'CUNNIGHAM', 0.896), ('NICHLESON', 'NICHULSON', 0.956),
    ('JONES', 'JOHNSON', 0.832), ('MASSEY', 'MASSIE', 0.933), ('ABROMS', 'ABRAMS', 0.922), ('HARDIN', 'MARTINEZ', 0.722),
    ('ITMAN', 'SMITH', 0.467), ('JERALDINE', 'GERALDINE', 0.926), ('MARHTA', 'MARTHA', 0.961), ('MICHELLE', 'MICHAEL', 0.921),
    ('JULIES', 'JULIUS', 0.933), ('TANYA', 'TONYA', 0.880), ('DWAYNE', 'DUANE', 0.840), ('SEAN', 'SUSAN', 0.805),
    ('JON', 'JOHN', 0.933), ('JON', 'JAN', 0.800), ('DIXON', 'DICKSONX', 0.813);
SELECT a, b, published, round(jaro_winkler(a, b)::numeric, 3) AS found FROM winkler
WHERE round(jaro_winkler(a, b)::numeric, 3) <> published OR jaro_winkler(a, b) <> jaro_winkler(b, a);
SELECT jaro_winkler('', ''), jaro_winkler('', 'a'), jaro_winkler('a', 'a'), jaro_winkler('a', 'b'), jaro_winkler('é', 'e'),
       jaro_winkler('Ana', 'ana'), jaro_winkler(NULL, 'a') IS NULL AS unknown;
-- code points, not bytes
SELECT jaro_winkler('João', 'Joao') = jaro_winkler('Jo日o', 'Joao') AS same, osa_distance('João', 'Joao'), osa_distance('😀a', 'a😀'),
       round(jaro_winkler('日本語', '日本')::numeric, 3);

-- edits: a letter is not edited twice; a swap is one
SELECT a, b, osa_distance(a, b), osa_distance(a, b, 1) AS max_1, osa_distance(b, a, 0) AS max_0
FROM (VALUES ('', ''), ('', 'abc'), ('abc', 'abc'), ('ab', 'ba'), ('ca', 'abc'), ('kitten', 'sitting'), ('abcdef', 'abcfed'),
             ('a cat', 'an act'), ('Silva', 'Sliva')) v(a, b);
SELECT osa_distance('a', 'b', NULL), osa_distance('a', NULL) IS NULL AS unknown, osa_distance('a', 'bcd', max => 2147483647);
SELECT osa_distance('a', 'b', -1);
-- stripes of 64 letters, with and without a limit, and swaps over their borders
SELECT n, osa_distance(x || 'ab' || y, x || 'ba' || y) AS swapped, osa_distance(x || 'ab' || y || 'q', 'q' || x || 'ba' || y) AS moved,
       osa_distance(x || 'ab' || y || 'q', 'q' || x || 'ba' || y, 3) AS max_3,
       osa_distance(x || 'ab' || y || 'q', 'q' || x || 'ba' || y, 2) AS max_2, osa_distance(x, y) AS other,
       osa_distance(x, y, 10) AS other_max_10
FROM (SELECT n, left(repeat('xyzw', 100), n) AS x, left(repeat('zwxyx', 100), 200 - n) AS y
      FROM unnest('{0,1,61,62,63,64,65,127,128,129}'::int[]) n) s ORDER BY n;
-- long ones
SELECT osa_distance(repeat('a', 100000), repeat('a', 99990) || 'bcdefghijk', 20), osa_distance(repeat('ab', 50000), repeat('ba', 50000), 5),
       round(jaro_winkler(repeat('abc', 100000), repeat('acb', 100000))::numeric, 6),
       match_level(repeat('abc ', 100000), repeat('abc ', 100001), 'trigram', '{0.9}');

-- without accents, and in small letters
SELECT t, unaccented(t), folded(t) FROM (VALUES
    ('José Ângelo ÇÃO'), ('Straße STRASSE ẞ'), ('Łódź Œuvre Ø þ đ'), ('İstanbul ı I'), ('ﬁ Ａ１ ² ª Ǆ'), ('Ἀθῆναι ΌΣ ς'), ('Ёлка Йод'),
    (U&'Jose\0301 c\0327'), ('한글 が हिन्दी'), ('“O’Brien” – x'), (''), ('MÜLLER')) v(t);
SELECT unaccented(NULL) IS NULL, folded(folded('ÀÉ')) = folded('ÀÉ');

-- sounds
SELECT n, phonetic_pt(n), phonetic_es(n) FROM unnest(ARRAY[
    'Gonçalves', 'Gonsalves', 'Luiz', 'Luis', 'Sousa', 'Souza', 'Christina', 'Cristina', 'Helena', 'Elena', 'Philippe', 'Filipe',
    'Chaves', 'Xaves', 'Guilherme', 'Ferreira', 'Pereira', 'Junho', 'Junio', 'Walter', 'Valter', 'Nascimento', 'Nasimento', 'Thereza', 'Teresa',
    'Jiménez', 'Giménez', 'Ximena', 'Muñoz', U&'Mun\0303oz', 'Vásquez', 'Básquez', 'Llorente', 'Yorente', 'Quesada', 'Kesada', 'Hernández',
    'Ernandes', 'João da Silva', 'O''Neill', 'Schmidt', 'Kh', '日本', '', '123']) n;
SELECT phonetic_pt(NULL) IS NULL, phonetic_es(NULL) IS NULL;

-- levels of letters: as many as thresholds, in any order, and the same on top
SELECT a, b, match_level(a, b, 'exact') AS exact, match_level(a, b, 'jaro_winkler', '{0.92,0.8}') AS jw, match_level(a, b, 'osa', '{2,1}') AS osa,
       match_level(a, b, 'trigram', '{0.3,0.8}') AS trigram, match_level(a, b, 'metaphone_pt') AS pt, match_level(a, b, 'metaphone_es') AS es
FROM (VALUES ('José', 'José'), ('José', ' JOSE'), ('Sousa', 'Souza'), ('Silva', 'Silav'), ('Maria José', 'José Maria'), ('Ana', 'Rui'),
             ('', 'Ana'), (E' \u00a0', ' '), (NULL, 'Ana')) v(a, b);
SELECT match_level('abc', 'abd', 'jaro_winkler'), match_level('abc', 'ABC', 'jaro_winkler'), match_level('abc', 'abd', 'osa', NULL),
       match_level('abc', 'abd', 'osa', '{1}'), match_level('abc', 'xyz', 'JARO_WINKLER', '{1e-9}');

-- dates
SELECT a, b, match_level(a, b, 'date') AS level, match_level(b, a, 'date') AS back, match_level(a, b, 'date mdy') AS mdy
FROM (VALUES ('1980-03-04', '1980-03-04'), ('1980-03-04', '1980-04-03'), ('1980-03-04', '1980-03-05'), ('1980-03-04', '1980-03-40'),
             ('1980-03-04', '1908-03-04'), ('1980-03-04', '1980-07-25'), ('1980-03-04', '1981-07-25'), ('04/03/1980', '1980-03-04'),
             ('4.3.1980', '19800304'), ('12/25/1980', '1980-12-25'), ('25/12/1980', '1980-12-25'), ('1980', '1980-03-04'), ('1980', '1980'),
             ('1980-03', '1980-03-04'), ('1980-00-00', '1980-03-04'), ('1980-03-04 00:00:00', '1980-03-04T12:00:00Z'), ('1980-25-12', '1980-12-25'),
             ('x', '1980-03-04'), ('', ''), ('80-03-04', '1980-03-04'), ('1980-03-04x', '1980-03-04'), ('1980-03/04', '1980-03-04'),
             ('0000-00-00', '0000-00-00'), ('１９８０-03-04', '1980-03-04'), ('1980-02-31', '1980-02-31'), ('infinity', 'infinity')) v(a, b);
-- with two digits of the year, and months by their names
SELECT a, b, match_level(a, b, 'date') AS level, match_level(b, a, 'date') AS back, match_level(a, b, 'date mdy') AS mdy
FROM (VALUES ('4/3/80', '1980-03-04'), ('4/3/80', '1880-03-04'), ('4/3/80', '3/4/80'), ('25/12/80', '12/25/1980'), ('4/3/00', '2000-03-04'),
             ('4/3/80', '5/3/80'), ('4 Mar 1980', '1980-03-04'), ('March 4, 1980', '1980-03-04'), ('4 de março de 1980', '1980-03-04'),
             ('4-DEZ-80', '1980-12-04'), ('4 dic. 1980', '1980-12-04'), ('1980 Dec 4', '1980-12-04'), ('15-May-92', '5/15/92'), ('4 Mar 1980 10:00', '1980-03-04'),
             ('4 Nov', '1980-11-04'), ('Mar 1980', '1980-03-01'), ('4 Mar Apr 1980', '1980-03-04'), ('4 Foo 1980', '1980-03-04'), ('Mar', 'Mar'), ('de de', 'de'),
             ('1 2 Mar 1980', '1980-03-01'), ('4 Mar 1980 x', '1980-03-04'), ('99/99/99', '99/99/99')) v(a, b);
SELECT match_level('1980-03-04', b, 'date', '{4,2}') FROM unnest('{1980-03-04,1980-04-03,1980-03-05,1980-12-31}'::text[]) b;

-- phone numbers
SELECT a, b, match_level(a, b, 'phone') AS level, match_level(a, b, 'phone PT') AS pt
FROM (VALUES ('912 345 678', '+351 912345678'), ('00351 912345678', '+351 (91) 234-5678'), ('912345678', '912-345-678'), ('912345678', '+34 912345678'),
             ('212345678', '+351 912345678'), ('912345678', '912345679'), ('+351912345678', '+351912345678 x12'), ('tel:+351912345678', '912345678'),
             ('123', '123'), ('n/a', '912345678'), ('(11) 8765-4321', '+55 11 98765-4321')) v(a, b);

-- e-mail addresses
SELECT a, b, match_level(a, b, 'email') AS level, match_level(b, a, 'email') AS back
FROM (VALUES ('a@x.pt', ' A@X.pt'), ('mailto:a@x.pt', '"a"@x.pt'), ('ana@gmail.com', 'ana@gmail.con'), ('ana@gmail.com', 'ana@gmail'),
             ('ana@x.pt', 'ana@y.com'), ('ana.silva@x.pt', 'ana.sliva@x.pt'), ('ana@x.pt', 'rui@x.pt'), ('a@x.pt', 'b@x.pt'), ('ana@x.pt', 'rui@y.com'),
             ('ana@café.fr', 'ana@xn--caf-dma.fr'), ('ana', 'ana'), ('@x.pt', 'a@x.pt'), ('a@', 'a@x.pt'), ('anaé@x.pt', 'anae@x.pt')) v(a, b);

-- documents: two numbers that are right and differ are not one with a slip
SELECT a, b, match_level(a, b, 'document') AS level, match_level(b, a, 'document') AS back
FROM (VALUES ('501964843', 'PT 501 964 843'), ('529.982.247-25', '52998224725'), ('501964843', '501964844'), ('501964844', '501964844'),
             ('501964843', '501946843'), ('PT501964843', 'pt 501964844'), ('501964843', '529.982.247-25'), ('AB-1234', 'ab 1234'), ('AB1234', 'AB1243'), ('123', '123'), ('?', '501964843'),
             ('11.222.333/0001-81', '11222333000181')) v(a, b);

-- names of persons
CREATE TEMP TABLE names (a text, b text);
INSERT INTO names VALUES
    ('Ana Silva', 'ANA SILVA'), ('Ana da Silva', 'Ana Silva'), ('Dr. João Neto', 'Joao Neto'), ('O''Brien', 'OBrien'), ('O’Brien', 'O Brien'),
    ('Ana de Sousa e Melo', 'Ana Sousa Melo'), ('da Silva', 'Silva'), ('Sra. D. Ana Silva', 'D. Ana Silva'),
    ('Ana Silva', 'Silva, Ana'), ('Anamaria', 'Ana-Maria'), ('Ana Maria Silva', 'Silva, Ana Maria'),
    ('Ana Maria Silva', 'Ana Silva'), ('Bob Smith', 'Robert Smith'), ('Bob Smith', 'Rob Smith'), ('Alex Smith', 'Alexandra Smith'),
    ('Alexander Smith', 'Alexandra Smith'), ('Zé Silva', 'José Silva'), ('John Smith Jr', 'John Smith'),
    ('J. Silva', 'João Silva'), ('E. Silva', 'Eduardo Silva'), ('J. P. Silva', 'João Pedro Silva'), ('J', 'João'), ('J. S.', 'João Silva'),
    ('Jhon Smith', 'John Smith'), ('Gonsalves, Ana', 'Ana Gonçalves'), ('Luiz Souza', 'Luís Sousa'), ('Katarina Christodoulou', 'Katerina Cristodulou'),
    ('John Smith Jr', 'John Smith Sr.'), ('John Smith II', 'John Smith III'), ('João Silva Filho', 'João Silva Neto'), ('João Silva Filho', 'João Silva Júnior'),
    ('Ana Costa', 'Rui Costa'), ('Silva', 'Ana Silva'), ('Alexander Costa A.', 'Alexandra'), ('Costa A.', 'Ana'), ('Ana', 'Rui'), ('Ana Costa', 'Rui Melo'), ('', 'Ana'), ('...', 'Ana'), ('123', '123'),
    (repeat('a b ', 32), repeat('b a ', 32)), (repeat('a b ', 33), 'a b'), ('王小明', '王 小明');
SELECT left(a, 24) AS a, left(b, 24) AS b, match_level(a, b, 'name') AS plain, match_level(a, b, 'name pt') AS pt, match_level(a, b, 'name es') AS es,
       match_level(a, b, 'name', '{}', n) AS nicknames, match_level(b, a, 'name pt', '{}', n) AS back, match_level(a, b, 'name', '{5,3}', n) AS merged
FROM names, match_nicknames('{"Robert": ["Bob", "Rob"], "Alexander": ["Alex"], "Alexandra": ["Alex"], "José": ["Zé"], "Lonely": []}') n;
SELECT match_level('Ana', 'Ana', 'name', '{}', match_nicknames('{}')), match_nicknames(NULL) IS NULL AS unknown;
-- nicknames of a table, and as a subquery
CREATE TEMP TABLE nickname (name text, nickname text);
INSERT INTO nickname VALUES ('Margaret', 'Peggy'), ('Margaret', 'Meg'), ('Francisco', 'Paco'), ('Francisco', 'Chico');
SELECT a, b, match_level(a, b, 'name', '{}', (SELECT match_nicknames(jsonb_object_agg(name, all_of))
                                               FROM (SELECT name, jsonb_agg(nickname) AS all_of FROM nickname GROUP BY name) g)) AS level
FROM (VALUES ('Peggy Sue', 'Meg Sue'), ('Paco Ruiz', 'Chico Ruiz'), ('Paco Ruiz', 'Peggy Ruiz')) v(a, b);
SELECT match_nicknames('[]');
SELECT match_nicknames('"x"');
SELECT match_nicknames('{"a": 1}');
SELECT match_nicknames('{"a": [["b"]]}');
SELECT match_nicknames('{"a": {"b": "c"}}');
SELECT match_nicknames('{"a": ["b", null]}');
SELECT match_nicknames('{"Maria José": ["Zezinha"]}');
SELECT match_nicknames('{"Maria": [""]}');
SELECT match_level('a', 'b', 'name', '{}', '\x');
SELECT match_level('a', 'b', 'name', '{}', '\x6e69636b03000000000000000000000000000000');
-- a look-up that would leave the value
SELECT match_level('a', 'b', 'name', '{}', set_byte(match_nicknames('{"a": ["c"]}'), 8 + i, 255)) FROM generate_series(0, 31) i;

-- comparators that differ from row to row
SELECT c, t, match_level(a, b, c, t) FROM
    (VALUES (1, 'abc', 'abd', 'osa', '{1}'::float8[]), (2, 'abc', 'abd', 'osa', '{}'), (3, 'abc', 'abd', 'jaro_winkler', '{0.8}'), (4, '1980-01-02', '1980-02-01', 'date', '{}'),
            (5, '1980-01-02', '1980-02-01', 'date mdy', '{4}'), (6, 'abc', 'abd', 'osa', '{1}'), (7, NULL, 'abd', 'osa', '{2}'), (8, 'abc', 'abd', 'osa', NULL)) v(i, a, b, c, t)
ORDER BY i;
SELECT match_level('a', 'b', NULL);
SELECT match_level('a', 'b', 'soundex');
SELECT match_level('a', 'b', '');
SELECT match_level('a', 'b', 'phone XX');
SELECT match_level('a', 'b', 'date ymd');
SELECT match_level('a', 'b', 'name fr');
SELECT match_level('a', 'b', 'osa 3');
SELECT match_level('a', 'b', 'osa', '{0}');
SELECT match_level('a', 'b', 'osa', '{1.5}');
SELECT match_level('a', 'b', 'osa', '{NaN}');
SELECT match_level('a', 'b', 'osa', '{1,2,1}');
SELECT match_level('a', 'b', 'jaro_winkler', '{1.1}');
SELECT match_level('a', 'b', 'trigram', '{-1}');
SELECT match_level('a', 'b', 'date', '{5}');
SELECT match_level('a', 'b', 'exact', '{1}');
SELECT match_level('a', 'b', 'osa', '{{1,2}}');
SELECT match_level('a', 'b', 'osa', '{1,NULL}');
SELECT match_level('a', 'b', 'osa', ARRAY(SELECT generate_series(1, 14)));
SELECT match_level('a', 'bcdefghijklmno', 'osa', ARRAY(SELECT generate_series(1, 13)));

\set VERBOSITY default
SELECT match_level('a', 'b', 'soundex');
SELECT match_level('a', 'b', 'phone XX');
SELECT match_level('a', 'b', 'date', '{0}');
SELECT match_nicknames('{"a": 1}');
\set VERBOSITY terse

-- levels in one number
SELECT l, ARRAY(SELECT match_level_at(l, n) FROM generate_series(1, 16) n) FROM (VALUES
    (match_levels(VARIADIC '{}')), (match_levels(VARIADIC '{3,NULL,0}')), (match_levels(VARIADIC array_fill(14, ARRAY[16])::smallint[])),
    (match_levels(match_level('a', 'a', 'osa'), match_level(NULL, 'a', 'osa'))), (match_levels(VARIADIC NULL))) v(l);
SELECT match_levels(VARIADIC '{15}');
SELECT match_levels(VARIADIC '{-1}');
SELECT match_levels(VARIADIC array_fill(1, ARRAY[17])::smallint[]);
SELECT match_level_at(1, 0);
SELECT match_level_at(1, 17);

-- in indexes, and in generated columns
CREATE TEMP TABLE person (name text, plain text GENERATED ALWAYS AS (folded(name)) STORED);
CREATE INDEX ON person (phonetic_pt(name));
INSERT INTO person VALUES ('Conceição'), ('Assunção');
SELECT * FROM person ORDER BY 1;
