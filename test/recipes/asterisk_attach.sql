SELECT crm.attach_source('asterisk.queue_log', '{"occurred_at": "time AT TIME ZONE ''Europe/Lisbon''", "channel": "''phone''", "conversation": "callid",
    "action": {"case": "event", "ENTERQUEUE": "call", "CONNECT": "answered", "COMPLETECALLER": "closed", "COMPLETEAGENT": "closed", "ABANDON": "closed", "else": null},
    "direction": {"case": "event", "ENTERQUEUE": "in", "CONNECT": "out", "else": null}, "agent": "nullif(agent, ''NONE'')",
    "references": {"asterisk.call": "callid"}, "identifiers": {"phone": "CASE WHEN event = ''ENTERQUEUE'' AND data2 ~ ''^[+0-9]{6,}$'' THEN data2 END"},
    "subject": "queuename", "where": "callid <> ''NONE''"}', source => 'asterisk', part => 'queue');
SELECT crm.attach_source('asterisk.cdr', '{"key": "*", "occurred_at": "start AT TIME ZONE ''Europe/Lisbon''", "channel": "''phone''", "conversation": "linkedid",
    "action": {"case": "disposition", "ANSWERED": "call_completed", "else": "missed_call"}, "direction": {"case": "dcontext", "from-trunk": "in", "else": "out"},
    "identifiers": {"phone": "CASE dcontext WHEN ''from-trunk'' THEN src ELSE dst END"}, "agent": "substring(CASE dcontext WHEN ''from-trunk'' THEN dstchannel ELSE channel END FROM ''^[^-]+'')",
    "attributes": "jsonb_build_object(''talked'', billsec)", "where": "lastapp <> ''Queue'' AND ''trunk'' IN (split_part(split_part(channel, ''/'', 2), ''-'', 1), split_part(split_part(dstchannel, ''/'', 2), ''-'', 1))"}',
    source => 'asterisk', part => 'cdr');
