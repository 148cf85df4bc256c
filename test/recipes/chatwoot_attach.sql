SELECT crm.attach_source('chatwoot.contacts', '{"makes": ["evidence", "traits"],
    "references": {"chatwoot.contact": "id"}, "identifiers": {"email": "email", "phone": "phone_number", "customer_no": "identifier"},
    "traits": "jsonb_build_object(''name'', nullif(concat_ws('' '', nullif(name, ''''), nullif(last_name, '''')), ''''), ''city'', additional_attributes ->> ''city'') || custom_attributes",
    "traits_at": "updated_at AT TIME ZONE ''UTC''"}', source => 'chatwoot', part => 'contacts');
SELECT crm.attach_source('chatwoot.conversations', '{"makes": "evidence", "conversation": "id",
    "references": {"chatwoot.conversation": "id", "chatwoot.contact": "contact_id"}, "lookups": {"inbox": "inboxes(id = inbox_id)", "agent": "users(id = assignee_id)"},
    "channel": {"case": "inbox.channel_type", "Channel::WebWidget": "chat", "Channel::Whatsapp": "whatsapp", "Channel::Email": "email", "else": "support"}, "agent": "agent.name",
    "on_change": {"column": "status", "at": "updated_at AT TIME ZONE ''UTC''", "initially": {"1": "resolved"}, "actions": {"1": "resolved", "1>0": "reopened", "2>0": "handed_over"}}}',
    source => 'chatwoot', part => 'conversations');
SELECT crm.attach_source('chatwoot.messages', '{"occurred_at": "created_at AT TIME ZONE ''UTC''", "action": "''message''", "conversation": "conversation_id",
    "references": {"chatwoot.conversation": "conversation_id"}, "direction": {"case": "message_type", "0": "in", "else": "out"},
    "lookups": {"inbox": "inboxes(id = inbox_id)", "talk": "conversations(id = conversation_id)",
                "agent": "users(id = CASE WHEN sender_type = ''User'' THEN sender_id END)", "bot": "agent_bots(id = CASE WHEN sender_type = ''AgentBot'' THEN sender_id END)"},
    "channel": {"case": "inbox.channel_type", "Channel::WebWidget": "chat", "Channel::Whatsapp": "whatsapp", "Channel::Email": "email", "else": "support"},
    "agent": "coalesce(agent.name, ''bot:'' || bot.name)", "subject": "left(content, 60)", "where": "message_type <> 2 AND NOT private",
    "url": "''https://chat.shop.example/app/accounts/'' || account_id || ''/conversations/'' || talk.display_id"}', source => 'chatwoot', part => 'messages');
