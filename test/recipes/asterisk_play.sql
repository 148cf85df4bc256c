-- What Asterisk writes while the hub is attached: the queue's log as the call goes on, records at its end
SET search_path = asterisk;

INSERT INTO queue_log (time, callid, queuename, agent, event) VALUES ('2025-02-06 10:00:00', 'NONE', 'support', 'PJSIP/201', 'ADDMEMBER');
INSERT INTO queue_log (time, callid, queuename, agent, event, data2, data3)
VALUES ('2025-02-06 11:00:00', '1738839590.7', 'support', 'NONE', 'ENTERQUEUE', '912345678', '1');
INSERT INTO queue_log (time, callid, queuename, agent, event, data1)
VALUES ('2025-02-06 11:00:20', '1738839590.7', 'support', 'PJSIP/202', 'RINGNOANSWER', '20000');
INSERT INTO queue_log (time, callid, queuename, agent, event, data1, data2, data3)
VALUES ('2025-02-06 11:00:45', '1738839590.7', 'support', 'PJSIP/201', 'CONNECT', '45', '1738839640.9', '5');
INSERT INTO queue_log (time, callid, queuename, agent, event, data1, data2, data3)
VALUES ('2025-02-06 11:04:45', '1738839590.7', 'support', 'PJSIP/201', 'COMPLETECALLER', '45', '240', '1');
-- a record for each agent who was rung, all of one call
INSERT INTO cdr VALUES
    ('', '912345678', '210000000', 'from-trunk', '"Ana" <912345678>', 'PJSIP/trunk-00000007', 'PJSIP/202-00000008',
     'Queue', 'support,t', '2025-02-06 10:59:50', NULL, '2025-02-06 11:00:20', 30, 0, 'NO ANSWER', 'DOCUMENTATION', '',
     '1738839590.7', '1738839590.7', '', 7),
    ('', '912345678', '210000000', 'from-trunk', '"Ana" <912345678>', 'PJSIP/trunk-00000007', 'PJSIP/201-00000009',
     'Queue', 'support,t', '2025-02-06 10:59:50', '2025-02-06 11:00:45', '2025-02-06 11:04:45', 295, 240, 'ANSWERED', 'DOCUMENTATION', '',
     '1738839590.7', '1738839590.7', '', 8);
-- Eva gives up waiting; her number is withheld the second time
INSERT INTO queue_log (time, callid, queuename, agent, event, data2, data3)
VALUES ('2025-02-06 12:00:00', '1738843200.11', 'support', 'NONE', 'ENTERQUEUE', '00351966333444', '1');
INSERT INTO queue_log (time, callid, queuename, agent, event, data1, data2, data3)
VALUES ('2025-02-06 12:03:00', '1738843200.11', 'support', 'NONE', 'ABANDON', '1', '1', '180');
INSERT INTO queue_log (time, callid, queuename, agent, event, data2, data3)
VALUES ('2025-02-06 12:05:00', '1738843500.12', 'support', 'NONE', 'ENTERQUEUE', 'anonymous', '1');
-- Rui waits too long, and is sent on to the voice mail
INSERT INTO queue_log (time, callid, queuename, agent, event, data2, data3)
VALUES ('2025-02-06 13:00:00', '1738846800.17', 'support', 'NONE', 'ENTERQUEUE', '+351936111222', '1');
INSERT INTO queue_log (time, callid, queuename, agent, event, data1, data2, data3)
VALUES ('2025-02-06 13:05:00', '1738846800.17', 'support', 'NONE', 'EXITWITHTIMEOUT', '1', '1', '300');
-- Marta calls Rui back, in summer time; the line is busy, then he answers. One record comes twice
INSERT INTO cdr VALUES
    ('', '201', '936111222', 'from-internal', '"Marta" <201>', 'PJSIP/201-0000000c', 'PJSIP/trunk-0000000d', 'Dial', 'PJSIP/trunk/936111222',
     '2025-07-01 10:00:00', NULL, '2025-07-01 10:00:04', 4, 0, 'BUSY', 'DOCUMENTATION', '', '1751360400.13', '1751360400.13', '', 13);
INSERT INTO cdr VALUES
    ('', '201', '936111222', 'from-internal', '"Marta" <201>', 'PJSIP/201-0000000e', 'PJSIP/trunk-0000000f', 'Dial', 'PJSIP/trunk/936111222',
     '2025-07-01 10:05:00', '2025-07-01 10:05:10', '2025-07-01 10:08:10', 190, 180, 'ANSWERED', 'DOCUMENTATION', '', '1751360700.14', '1751360700.14', '', 14);
INSERT INTO cdr SELECT * FROM cdr WHERE uniqueid = '1751360700.14';
-- a call of nobody knows whom, straight to Marta
INSERT INTO cdr VALUES
    ('', 'unknown', '210000000', 'from-trunk', '"" <unknown>', 'PJSIP/trunk-00000012', 'PJSIP/201-00000013', 'Dial', 'PJSIP/201,30',
     '2025-07-01 10:30:00', '2025-07-01 10:30:05', '2025-07-01 10:31:05', 65, 60, 'ANSWERED', 'DOCUMENTATION', '', '1751362200.16', '1751362200.16', '', 16);
-- agents among themselves
INSERT INTO cdr VALUES
    ('', '201', '202', 'from-internal', '"Marta" <201>', 'PJSIP/201-00000010', 'PJSIP/202-00000011', 'Dial', 'PJSIP/202',
     '2025-07-01 11:00:00', '2025-07-01 11:00:03', '2025-07-01 11:01:00', 60, 57, 'ANSWERED', 'DOCUMENTATION', '', '1751364000.15', '1751364000.15', '', 15);
RESET search_path;
