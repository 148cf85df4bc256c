-- What is to be done for a hub all the time, and when it was.

ALTER TABLE @hub@.settings
    ADD COLUMN worker boolean NOT NULL DEFAULT false,
    ADD COLUMN refresh_every interval DEFAULT '1 minute' CHECK (refresh_every > '0'),
    ADD COLUMN maintain_every interval DEFAULT '1 hour' CHECK (maintain_every > '0');
COMMENT ON COLUMN @hub@.settings.worker IS
    'whether a background worker feeds, refreshes and maintains the hub, where the server has pg_journey in '
    'shared_preload_libraries and pg_journey.worker is on';
COMMENT ON COLUMN @hub@.settings.refresh_every IS 'how often work() calls refresh(); NULL: never';
COMMENT ON COLUMN @hub@.settings.maintain_every IS 'how often work() calls maintain(); NULL: never';

CREATE TABLE @hub@.work_done (
    task text PRIMARY KEY CHECK (task IN ('look', 'refresh', 'maintain', 'keys')),
    done_at timestamptz NOT NULL,
    error text,
    upto bigint
);
COMMENT ON TABLE @hub@.work_done IS
    'when work() has looked at attached tables, refreshed and maintained the hub, and maintain() has dropped old keys';
COMMENT ON COLUMN @hub@.work_done.task IS 'look, refresh, maintain or keys';
COMMENT ON COLUMN @hub@.work_done.done_at IS 'when it was tried last';
COMMENT ON COLUMN @hub@.work_done.error IS 'why it could not be done; NULL: it was';
COMMENT ON COLUMN @hub@.work_done.upto IS
    'of keys: no touchpoint up to this number has a key that is to be dropped; NULL of all else';
