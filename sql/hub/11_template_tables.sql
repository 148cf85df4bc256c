-- What the template has made, so that an upgrade can tell it from what users have added or changed.

CREATE TABLE @hub@.template_objects (
    kind text CHECK (kind IN ('function', 'view', 'trigger', 'row')),
    object text,
    content jsonb,
    PRIMARY KEY (kind, object)
);
COMMENT ON TABLE @hub@.template_objects IS
    'what the hub was made with: functions, views, triggers and the rows of tables such as formats. An upgrade drops '
    'and changes nothing else';
COMMENT ON COLUMN @hub@.template_objects.kind IS 'function (or procedure), view, trigger or row';
COMMENT ON COLUMN @hub@.template_objects.object IS
    'function and the types of its parameters; view; trigger on its table; table and the key of the row';
COMMENT ON COLUMN @hub@.template_objects.content IS 'of a row: what it was then';
