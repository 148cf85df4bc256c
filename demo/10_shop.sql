-- An example shop: three thousand customers and a year of what they did on ten
-- channels. Everything is drawn with shop.dice(), a hash of integers, so that
-- each run and each version of PostgreSQL makes the same shop.

\pset footer off
\pset null ''
\pset linestyle unicode

\echo
\echo '== The shop ============================================================================'
\echo 'Tables any shop might have: who its customers are, and what happened, row by row.'
\echo

CREATE EXTENSION pg_journey;
CREATE SCHEMA shop;
ALTER DATABASE shop SET search_path = shop, public;
ALTER DATABASE shop SET timezone = 'Europe/Lisbon';
\connect
SET client_min_messages = warning;

-- an interval as a person would say it, and a bar for small charts
CREATE FUNCTION shop.human(t interval) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN t < '1 minute' THEN round(extract(epoch FROM t)) || ' s'
            WHEN t < '1 hour' THEN round(extract(epoch FROM t) / 60) || ' min'
            WHEN t < '1 day' THEN round(extract(epoch FROM t) / 3600, 1) || ' h'
            ELSE round(extract(epoch FROM t) / 86400, 1) || ' days' END;

CREATE FUNCTION shop.bar(part numeric, whole numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN repeat('▇', ceil(30 * part / whole)::integer);

-- a number from 0 to sides - 1, always the same for the same key and throw
CREATE FUNCTION shop.dice(key bigint, throw integer, sides integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((hashint8extended(key * 1009 + throw, 42) >> 8) & 16777215) % sides;

CREATE FUNCTION shop.pick(names text[], key bigint, throw integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN names[1 + shop.dice(key, throw, cardinality(names))];

\set ECHO queries
CREATE TABLE customers (
    id        integer PRIMARY KEY,
    name      text NOT NULL,
    city      text NOT NULL
);
CREATE TABLE events (
    id          bigint PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    occurred_at timestamptz NOT NULL,
    channel     text NOT NULL,
    action      text NOT NULL,
    value       numeric(10,2)          -- euros; returned goods are negative
);
\set ECHO none

INSERT INTO customers
SELECT id,
       pick('{Afonso,Alice,Álvaro,Ana,André,António,Beatriz,Bárbara,Carlos,Carolina,Catarina,Cláudia,Conceição,Daniel,
              Débora,Diogo,Duarte,Eduardo,Estêvão,Eva,Fátima,Fernão,Filipa,Flávio,Francisco,Gonçalo,Graça,Guilherme,
              Hélder,Helena,Henrique,Hugo,Inês,Íris,Isabel,Joana,João,Joaquim,Jorge,José,Júlia,Lara,Laura,Leonor,
              Letícia,Lúcia,Luís,Madalena,Mafalda,Márcia,Margarida,Maria,Mário,Marta,Martim,Matilde,Miguel,Mónica,
              Natália,Nuno,Otávio,Patrícia,Paulo,Pedro,Rafael,Raquel,Ricardo,Rita,Rodrigo,Rui,Salomé,Sara,Sebastião,
              Sérgio,Sílvia,Simão,Sofia,Susana,Teresa,Tiago,Tomás,Valéria,Vasco,Verónica,Vitória,Zé}', id, 1)
       || ' ' ||
       pick('{Abrantes,Água,Almeida,Alves,Antão,Araújo,Assunção,Azevedo,Baptista,Barão,Brandão,Caçador,Câmara,Cardoso,
              Carvalho,Coelho,Conceição,Correia,Cortês,Costa,Cunha,Damião,Dias,Encarnação,Esteves,Falcão,Faria,
              Fernandes,Ferrão,Ferreira,Figueirôa,Fonseca,Frazão,Galvão,Gomes,Gonçalves,Gouveia,Graça,Guimarães,
              Henriques,Jardim,Leitão,Lima,Lobão,Lopes,Lourenço,Macedo,Magalhães,Marçal,Marques,Martins,Matias,Melo,
              Mendonça,Moniz,Monteiro,Morão,Moura,Muñoz,Neves,Nóbrega,Nogueira,Oliveira,Paixão,Pereira,Pinhão,Pinto,
              Queirós,Ramos,Rebelo,Reis,Ribeiro,Rocha,Rodrigues,Romão,Salomão,Santos,Sá,Serrão,Silva,Simões,Soares,
              Sousa,Tavares,Teixeira,Trindade,Valadão,Valença,Vasconcelos,Vaz,Viegas,Xará}', id, 2),
       pick('{Lisboa,Lisboa,Lisboa,Porto,Porto,Braga,Coimbra,Setúbal,Aveiro,Évora,Faro,Viseu,Funchal,Leiria,Guimarães,
              Santarém,"Ponta Delgada",Portimão,Bragança,"Vila Nova de Gaia"}', id, 3)
FROM generate_series(1, 3000) AS id;

-- What customers go through, as stories of steps. A step comes "days" days
-- after the one before, at an hour when its channel is busy; or, if 0, within
-- "seconds". It happens with "odds" percent, up to "times" times in a row, and
-- the story goes on after it with "goes_on" percent.
CREATE TEMP TABLE story (
    story text, step integer, channel text, action text,
    days integer, seconds integer, times integer, odds integer, goes_on integer
);
INSERT INTO story VALUES
    -- a newsletter leads to the web shop, most baskets are left behind
    ('newsletter',  1, 'email',  'open',         0,    0, 1, 100,  45),
    ('newsletter',  2, 'email',  'click',        0,   90, 1, 100, 100),
    ('newsletter',  3, 'web',    'view',         0,   20, 4, 100,  60),
    ('newsletter',  4, 'web',    'search',       0,   60, 2,  40, 100),
    ('newsletter',  5, 'web',    'view',         0,   60, 5, 100,  60),
    ('newsletter',  6, 'web',    'add_to_cart',  0,  120, 2, 100,  70),
    ('newsletter',  7, 'web',    'purchase',     0,  400, 1,  70, 100),
    ('newsletter',  8, 'email',  'confirmation', 0,   30, 1, 100, 100),
    ('newsletter',  9, 'sms',    'delivery',     3,    0, 1,  90,  30),
    ('newsletter', 10, 'email',  'survey',       4,    0, 1,  80,  40),
    ('newsletter', 11, 'web',    'review',       0, 7200, 1, 100, 100),
    -- an evening on the sofa with the app
    ('app',         1, 'app',    'open',         0,    0, 1, 100, 100),
    ('app',         2, 'app',    'search',       0,   60, 3,  70, 100),
    ('app',         3, 'app',    'view',         0,   40, 7, 100,  50),
    ('app',         4, 'app',    'add_to_cart',  0,   90, 2, 100,  65),
    ('app',         5, 'app',    'purchase',     0,  240, 1, 100, 100),
    ('app',         6, 'app',    'notification', 1,    0, 1,  90, 100),
    ('app',         7, 'sms',    'delivery',     1,    0, 1,  95,  25),
    ('app',         8, 'app',    'review',       3,    0, 1, 100, 100),
    -- looked up on the web, bought in the store, or the other way round
    ('showroom',    1, 'web',    'search',       0,    0, 2, 100, 100),
    ('showroom',    2, 'web',    'view',         0,   60, 6, 100,  70),
    ('showroom',    3, 'store',  'visit',        2,    0, 1, 100,  75),
    ('showroom',    4, 'store',  'purchase',     0, 1500, 2, 100,  15),
    ('showroom',    5, 'web',    'review',       5,    0, 1, 100, 100),
    ('store',       1, 'store',  'visit',        0,    0, 1, 100,  55),
    ('store',       2, 'store',  'purchase',     0, 1800, 3, 100,  20),
    ('store',       3, 'app',    'open',         1,    0, 1, 100, 100),
    ('store',       4, 'app',    'view',         0,   60, 4, 100, 100),
    -- a basket left behind, a reminder, a change of mind
    ('basket',      1, 'web',    'search',       0,    0, 2, 100, 100),
    ('basket',      2, 'web',    'view',         0,   60, 5, 100, 100),
    ('basket',      3, 'web',    'add_to_cart',  0,  120, 3, 100, 100),
    ('basket',      4, 'email',  'reminder',     1,    0, 1, 100,  50),
    ('basket',      5, 'email',  'click',        0, 5400, 1, 100, 100),
    ('basket',      6, 'web',    'view',         0,   30, 2, 100,  60),
    ('basket',      7, 'web',    'purchase',     0,  600, 1, 100, 100),
    ('basket',      8, 'sms',    'delivery',     3,    0, 1, 100, 100),
    -- bought online, brought back to the store
    ('return',      1, 'web',    'view',         0,    0, 5, 100, 100),
    ('return',      2, 'web',    'add_to_cart',  0,  120, 2, 100, 100),
    ('return',      3, 'web',    'purchase',     0,  400, 1, 100, 100),
    ('return',      4, 'sms',    'delivery',     3,    0, 1, 100, 100),
    ('return',      5, 'web',    'search',       2,    0, 1,  60, 100),
    ('return',      6, 'store',  'visit',        2,    0, 1, 100, 100),
    ('return',      7, 'store',  'return',       0,  900, 1, 100,  35),
    ('return',      8, 'store',  'purchase',     0,  900, 1, 100, 100),
    -- a parcel that didn't come: WhatsApp, then the telephone, and again
    ('lost',        1, 'web',    'view',         0,    0, 3, 100, 100),
    ('lost',        2, 'web',    'purchase',     0,  600, 1, 100, 100),
    ('lost',        3, 'email',  'confirmation', 0,   30, 1, 100, 100),
    ('lost',        4, 'whatsapp', 'complaint',  6,    0, 1, 100, 100),
    ('lost',        5, 'whatsapp', 'answer',     0, 3000, 2, 100, 100),
    ('lost',        6, 'phone',  'call',         2,    0, 2,  70, 100),
    ('lost',        7, 'phone',  'complaint',    0,  300, 1,  60, 100),
    ('lost',        8, 'phone',  'call',         3,    0, 1,  40, 100),
    ('lost',        9, 'whatsapp', 'resolve',    1,    0, 1,  85, 100),
    ('lost',       10, 'sms',    'delivery',     2,    0, 1,  80,  30),
    ('lost',       11, 'social', 'complaint',    1,    0, 1, 100, 100),
    -- a question in the chat
    ('question',    1, 'web',    'view',         0,    0, 4, 100, 100),
    ('question',    2, 'chat',   'request',      0,  200, 1, 100, 100),
    ('question',    3, 'chat',   'answer',       0,   90, 4, 100, 100),
    ('question',    4, 'chat',   'resolve',      0,  120, 1,  80,  50),
    ('question',    5, 'web',    'add_to_cart',  0,  300, 1, 100,  75),
    ('question',    6, 'web',    'purchase',     0,  400, 1, 100, 100),
    ('question',    7, 'sms',    'delivery',     3,    0, 1, 100, 100),
    -- seen on social media
    ('social',      1, 'social', 'view',         0,    0, 3, 100,  50),
    ('social',      2, 'social', 'follow',       0,   60, 1,  35, 100),
    ('social',      3, 'social', 'click',        0,   60, 1, 100, 100),
    ('social',      4, 'app',    'view',         0,   30, 4, 100,  35),
    ('social',      5, 'app',    'add_to_cart',  0,   90, 1, 100,  50),
    ('social',      6, 'app',    'purchase',     0,  200, 1, 100, 100),
    ('social',      7, 'sms',    'delivery',     2,    0, 1, 100, 100),
    -- bought on a marketplace, a faulty piece, sent back by post
    ('marketplace', 1, 'marketplace', 'view',      0,   0, 3, 100,  60),
    ('marketplace', 2, 'marketplace', 'purchase',  0, 600, 1, 100, 100),
    ('marketplace', 3, 'sms',         'delivery',  4,   0, 1, 100,  20),
    ('marketplace', 4, 'email',       'request',   2,   0, 1, 100, 100),
    ('marketplace', 5, 'email',       'answer',    1,   0, 1, 100,  60),
    ('marketplace', 6, 'marketplace', 'return',    3,   0, 1, 100, 100),
    ('marketplace', 7, 'marketplace', 'review',    0, 900, 1,  40, 100);

CREATE TEMP TABLE hours (channel text PRIMARY KEY, opens integer, closes integer);
INSERT INTO hours VALUES ('web', 8, 23), ('app', 18, 23), ('email', 7, 12), ('sms', 9, 19), ('whatsapp', 9, 21),
    ('chat', 9, 20), ('phone', 9, 18), ('social', 12, 23), ('marketplace', 19, 23), ('store', 10, 21);

-- Every customer lives through one to twelve stories, most of them through
-- few, and likes some kinds of story better than others. November and December
-- are busy.
CREATE TEMP TABLE episode AS
SELECT c.id * 100 + n AS id, c.id AS customer_id,
       CASE WHEN dice(c.id * 100 + n, 4, 100) < 45 THEN kind.names[1 + dice(c.id, 5, cardinality(kind.names))]
            ELSE kind.names[1 + dice(c.id * 100 + n, 6, cardinality(kind.names))] END AS story,
       date '2025-01-01' + CASE WHEN dice(c.id * 100 + n, 7, 100) < 78 THEN dice(c.id * 100 + n, 8, 315)
                                ELSE 305 + dice(c.id * 100 + n, 9, 50) END AS day
FROM customers c,
     generate_series(1, 1 + 11 * (dice(c.id, 10, 100) * dice(c.id, 11, 100)) / 9000 + dice(c.id, 12, 3)) AS n,
     (VALUES ('{newsletter,newsletter,newsletter,newsletter,app,app,app,app,showroom,showroom,store,store,store,basket,
                basket,return,lost,question,social,social,marketplace,marketplace}'::text[])) AS kind (names);

WITH happened AS (   -- which steps happened, how often, and on which day
    SELECT *, dice(id, step * 10 + 1, 100) < odds
              AND coalesce(bool_and(dice(id, step * 10 + 2, 100) < goes_on)
                           OVER (episode ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS happens,
           day + (sum(CASE WHEN days > 0 THEN days + dice(id, step * 10 + 3, 3) ELSE 0 END) OVER episode)::integer AS on_day
    FROM (SELECT e.*, s.step, s.channel, s.action, s.days, s.seconds, s.times, s.odds, s.goes_on
          FROM episode e JOIN story s USING (story)) AS steps
    WINDOW episode AS (PARTITION BY id ORDER BY step)
), timed AS (   -- a day begins at an hour of its first channel, the rest follows within minutes
    SELECT h.id, customer_id, step, channel, action, "time",
           on_day + make_interval(secs => first_value(3600 * hours.opens + dice(h.id, step * 10 + 4,
                                                      3600 * (hours.closes - hours.opens))) OVER day_of
                                        + sum(seconds / 6 + dice(h.id * 10 + "time", step * 10 + 5, seconds + 20)) OVER day_of) AS local_time
    FROM happened h JOIN hours USING (channel), generate_series(1, 1 + dice(h.id, step * 10 + 6, times)) AS "time"
    WHERE happens
    WINDOW day_of AS (PARTITION BY h.id, on_day ORDER BY step, "time")
), priced AS (   -- what was returned is what was bought first
    SELECT *, dice(id, 13, 40) + dice(id, 14, 60) + dice(id * 10 + "time", 15, 25) * dice(id, 16, 12) + 4 AS euros
    FROM timed
)
INSERT INTO events
SELECT row_number() OVER (ORDER BY local_time, customer_id, id, step, "time"), customer_id,
       local_time AT TIME ZONE 'Europe/Lisbon', channel, action,
       CASE action WHEN 'purchase' THEN euros + pick('{.99,.90,.50,.95}', id, 17)::numeric
                   WHEN 'return' THEN -euros - pick('{.99,.90,.50,.95}', id, 17)::numeric END
FROM priced
WHERE local_time < '2026-01-01';

CREATE INDEX ON events (customer_id, occurred_at);
VACUUM ANALYZE customers, events;

\echo
\set ECHO queries
SELECT count(*) AS events, count(DISTINCT customer_id) AS customers,
       min(occurred_at)::date AS first, max(occurred_at)::date AS last,
       sum(value) FILTER (WHERE value > 0) AS sold, -sum(value) FILTER (WHERE value < 0) AS returned
FROM events;

SELECT channel, count(*) AS events, string_agg(DISTINCT action, ', ' ORDER BY action) AS actions
FROM events
GROUP BY channel
ORDER BY events DESC;
\set ECHO none
