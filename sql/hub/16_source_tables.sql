-- Tables that are attached: their rows are touchpoints.

CREATE TABLE @hub@.sources (
    source text PRIMARY KEY,
    relation regclass NOT NULL,
    mapping json NOT NULL,
    trusts name[] NOT NULL DEFAULT '{}',
    steady boolean NOT NULL DEFAULT true,
    attached_at timestamptz NOT NULL DEFAULT now(),
    backfilled_at timestamptz,
    detached_at timestamptz,
    rows_done bigint NOT NULL DEFAULT 0,
    rows_estimated bigint,
    pending regclass[] NOT NULL DEFAULT '{}',
    read_by oid,
    next_key text[],
    next_block bigint,
    end_block bigint
);
COMMENT ON TABLE @hub@.sources IS 'attached tables. attach_source, backfill_source and detach_source write it';
COMMENT ON COLUMN @hub@.sources.source IS 'name, which is the source of its touchpoints';
COMMENT ON COLUMN @hub@.sources.relation IS 'the table';
COMMENT ON COLUMN @hub@.sources.mapping IS 'what its rows mean, as given to attach_source';
COMMENT ON COLUMN @hub@.sources.trusts IS
    'roles whose code runs when its rows are read: owners, but for superusers and the hub''s, of the table and of '
    'what the mapping calls';
COMMENT ON COLUMN @hub@.sources.steady IS 'whether the mapping''s where says the same of a row at any time';
COMMENT ON COLUMN @hub@.sources.attached_at IS 'since when its triggers feed the hub';
COMMENT ON COLUMN @hub@.sources.backfilled_at IS 'since when the rows there were before are in the hub too; NULL: they are not yet';
COMMENT ON COLUMN @hub@.sources.detached_at IS 'since when it feeds the hub no more, though its touchpoints were kept';
COMMENT ON COLUMN @hub@.sources.rows_done IS 'how many such rows have been read';
COMMENT ON COLUMN @hub@.sources.rows_estimated IS 'how many there may be; NULL: the table has not been analysed';
COMMENT ON COLUMN @hub@.sources.pending IS 'the table, or those of its partitions, that have rows to be read, the one being read first';
COMMENT ON COLUMN @hub@.sources.read_by IS 'the index it is read by, or its file: another has another order';
COMMENT ON COLUMN @hub@.sources.next_key IS
    'primary key of the last row that has been read, if that is of numbers or times: rows are read in its order';
COMMENT ON COLUMN @hub@.sources.next_block IS 'if not, its first block that has not been read';
COMMENT ON COLUMN @hub@.sources.end_block IS 'how many blocks it had when reading began';

-- State, not a log: what is in here lacks a touchpoint now.
CREATE TABLE @hub@.source_rejects (
    source text NOT NULL,
    source_key text NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    sqlstate text NOT NULL,
    PRIMARY KEY (source, source_key)
);
COMMENT ON TABLE @hub@.source_rejects IS 'rows of attached tables that have no touchpoint, because none can be made of them';
COMMENT ON COLUMN @hub@.source_rejects.source IS 'the attached table''s name in sources';
COMMENT ON COLUMN @hub@.source_rejects.source_key IS 'key of the row';
COMMENT ON COLUMN @hub@.source_rejects.rejected_at IS 'when it was tried last';
COMMENT ON COLUMN @hub@.source_rejects.reason IS 'why there is no touchpoint';
COMMENT ON COLUMN @hub@.source_rejects.sqlstate IS 'the same as PostgreSQL''s error code';

ALTER TABLE @hub@.touchpoint_keys ADD COLUMN evidence_key text;
COMMENT ON COLUMN @hub@.touchpoint_keys.evidence_key IS 'key of the evidence between its identifiers, if that is not source_key: what was retracted can''t be recorded again under its key';
