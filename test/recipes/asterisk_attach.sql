SELECT crm.attach_source('asterisk.queue_log', source => 'asterisk', part => 'queue', mapping => $${
    "occurred_at": "time AT TIME ZONE 'Europe/Lisbon'", "channel": "'phone'", "conversation": "callid",
    "action": {"case": "event", "ENTERQUEUE": "call", "CONNECT": "answered", "ABANDON": "closed", "EXITWITHTIMEOUT": "closed",
               "EXITWITHKEY": "closed", "EXITEMPTY": "closed", "COMPLETECALLER": "closed", "COMPLETEAGENT": "closed",
               "BLINDTRANSFER": "closed", "ATTENDEDTRANSFER": "closed", "else": null},
    "direction": {"case": "event", "ENTERQUEUE": "in", "CONNECT": "out"}, "agent": "nullif(agent, 'NONE')",
    "references": {"asterisk.call": "callid"},
    "identifiers": {"phone": "CASE event WHEN 'ENTERQUEUE' THEN substring(data2 FROM '^[+0-9]{6,}$') END"},
    "subject": "queuename", "where": "callid <> 'NONE'"}$$);
SELECT crm.attach_source('asterisk.cdr', source => 'asterisk', part => 'calls', mapping => $${
    "key": "*", "occurred_at": "start AT TIME ZONE 'Europe/Lisbon'", "channel": "'phone'", "conversation": "linkedid",
    "action": {"case": "disposition", "ANSWERED": "call_completed", "else": "missed_call"},
    "direction": {"case": "dcontext", "from-trunk": "in", "else": "out"},
    "references": {"asterisk.call": "CASE dcontext WHEN 'from-trunk' THEN uniqueid END"},
    "identifiers": {"phone": "substring(CASE dcontext WHEN 'from-trunk' THEN src ELSE dst END FROM '^[+0-9]{6,}$')"},
    "agent": "substring(CASE dcontext WHEN 'from-trunk' THEN dstchannel ELSE channel END FROM '^[^-]+')",
    "where": "lastapp <> 'Queue' AND (channel LIKE 'PJSIP/trunk-%' OR dstchannel LIKE 'PJSIP/trunk-%')"}$$);
