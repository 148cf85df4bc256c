-- Asterisk's call detail records and its queues' log. A record is written when a leg of a call ends; it has no key,
-- columns called channel and "end", and times of the server's own zone, here Lisbon's.
CREATE SCHEMA IF NOT EXISTS asterisk;
SET search_path = asterisk;

CREATE TABLE cdr (
    accountcode varchar(80),
    src varchar(80),
    dst varchar(80),
    dcontext varchar(80),
    clid varchar(80),
    channel varchar(80),
    dstchannel varchar(80),
    lastapp varchar(80),
    lastdata varchar(80),
    start timestamp,
    answer timestamp,
    "end" timestamp,
    duration integer,
    billsec integer,
    disposition varchar(45),
    amaflags varchar(45),
    userfield varchar(256),
    uniqueid varchar(150),
    linkedid varchar(150),
    peeraccount varchar(80),
    sequence integer
);
CREATE TABLE queue_log (
    id bigserial PRIMARY KEY,
    time timestamp,
    callid varchar(80),
    queuename varchar(256),
    agent varchar(80),
    event varchar(32),
    data1 varchar(100),
    data2 varchar(100),
    data3 varchar(100),
    data4 varchar(100),
    data5 varchar(100)
);

-- Rui called in January, and nobody answered
INSERT INTO cdr VALUES ('', '936111222', '210000000', 'from-trunk', '"936111222" <936111222>', 'PJSIP/trunk-00000001', 'PJSIP/201-00000002',
    'Dial', 'PJSIP/201,30', '2025-01-07 09:15:00', NULL, '2025-01-07 09:15:30', 30, 0, 'NO ANSWER', 'DOCUMENTATION', '',
    '1736241300.1', '1736241300.1', '', 1);
RESET search_path;
