SELECT crm.attach_source('chatwoot.contacts', source => 'chatwoot', part => 'contacts', mapping => $${
    "makes": ["evidence", "traits"], "references": {"chatwoot.contact": "id"}, "occurred_at": "created_at AT TIME ZONE 'UTC'",
    "identifiers": {"user_id": "identifier", "email": "email", "phone": "phone_number"}, "traits_at": "updated_at AT TIME ZONE 'UTC'",
    "traits": {"name": "trim(concat_ws(' ', name, last_name))", "city": "additional_attributes ->> 'city'"}}$$);
SELECT crm.attach_source('chatwoot.conversations', source => 'chatwoot', part => 'conversations', mapping => $${
    "makes": "evidence", "references": {"chatwoot.conversation": "id", "chatwoot.contact": "contact_id"},
    "channel": {"case": "inbox.channel_type", "Channel::Email": "email", "Channel::Whatsapp": "whatsapp", "else": "chat"},
    "lookups": {"inbox": "inboxes(id = inbox_id)", "agent": "users(id = assignee_id)"}, "occurred_at": "created_at AT TIME ZONE 'UTC'",
    "conversation": "id", "agent": "agent.name", "on_change": {"column": "status", "at": "updated_at AT TIME ZONE 'UTC'",
        "initially": {"1": "resolved"}, "actions": {"0": "conversation_opened", "1": "resolved"}}}$$);
SELECT crm.attach_source('chatwoot.messages', source => 'chatwoot', part => 'messages', mapping => $${
    "occurred_at": "created_at AT TIME ZONE 'UTC'", "references": {"chatwoot.conversation": "conversation_id"},
    "action": "'message'", "where": "message_type <> 2 AND NOT private", "conversation": "conversation_id",
    "channel": {"case": "inbox.channel_type", "Channel::Email": "email", "Channel::Whatsapp": "whatsapp", "else": "chat"},
    "direction": {"case": "message_type", "0": "in", "else": "out"}, "agent": "coalesce(agent.name, 'bot:' || coalesce(bot.name, ai.name))",
    "lookups": {"inbox": "inboxes(id = inbox_id)", "agent": "users(id = CASE sender_type WHEN 'User' THEN sender_id END)",
        "bot": "agent_bots(id = CASE sender_type WHEN 'AgentBot' THEN sender_id END)", "talk": "conversations(id = conversation_id)",
        "ai": "captain_assistants(id = CASE sender_type WHEN 'Captain::Assistant' THEN sender_id END)"},
    "subject": "left(content, 60)", "url": "'https://chat.example/app/accounts/1/conversations/' || talk.display_id"}$$);
