"""A backend that sends customers to agents as soon as they write, and acts on who enters or leaves a segment.

    pip install -r requirements.txt && python3 backend.py [hub]

The server is named by PGHOST, PGDATABASE and so on; the hub is crm. A notification only wakes it: what there is to do is
read from the hub. So nothing is lost while it is down, and any number of it may run: what one has locked, the others
skip. Its role needs what grant_access gives a reader and a writer.
"""
import os
import select
import sys

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

# It looks by itself, too: agents become free, and nobody tells
EVERY = float(os.environ.get("EVERY", 30))

EVENTS = "SELECT segment, customer_id, entered FROM {hub}.take_segment_events(100)"
WAITING = """
    WITH waiting AS MATERIALIZED (
        SELECT w.customer_id, w.channel, w.source, w.conversation, w.waiting_since
        FROM {hub}.waiting_now(now() - interval '7 days') w
        WHERE w.source || ' ' || w.conversation <> ALL (%s)
              AND NOT EXISTS (SELECT FROM {hub}.assignments a WHERE a.source = w.source
                              AND a.conversation = w.conversation AND a.released_at IS NULL AND a.agent IS NOT NULL))
    SELECT w.customer_id, w.channel, w.source, w.conversation
    FROM waiting w JOIN {hub}.customers c ON c.customer_id = w.customer_id
    ORDER BY w.waiting_since LIMIT 1 FOR UPDATE OF c SKIP LOCKED"""
TAKEN = "SELECT FROM {hub}.assignments WHERE source = %s AND conversation = %s AND released_at IS NULL AND agent IS NOT NULL"
ASSIGN = "SELECT {hub}.assign(%s, channel => %s, source => %s, conversation => %s) AS id"
ASSIGNED = "SELECT agent, queue, reasons FROM {hub}.assignments WHERE assignment_id = %s"


class Backend:
    def __init__(self, hub):
        self.hub = sql.Identifier(hub)
        self.db = psycopg.connect(autocommit=True, row_factory=namedtuple_row)
        self.told = []
        self.db.add_notify_handler(self.told.append)
        self.execute("LISTEN {hub}")

    def execute(self, query, values=None):
        return self.db.execute(sql.SQL(query).format(hub=self.hub), values)

    def take_segment_events(self):
        """Who entered or left a segment, as far as no other backend has it: taken with the commit, so act before it."""
        with self.db.transaction():
            events = self.execute(EVENTS).fetchall()
            for e in events:
                print(f"customer {e.customer_id} {'entered' if e.entered else 'left'} {e.segment}", flush=True)
        return bool(events)

    def assign_next(self, tried):
        """The conversation that waits longest, of those that no agent and no other backend has, to somebody; False: there is none."""
        try:
            with self.db.transaction():
                who = self.execute(WAITING, [list(tried)]).fetchone()
                if who is None:
                    return False
                tried.add(f"{who.source} {who.conversation}")
                # another backend may have been done with it between the look and the lock
                if self.execute(TAKEN, [who.source, who.conversation]).fetchone() is not None:
                    return True
                assignment = self.execute(ASSIGN, who).fetchone()
                to = self.execute(ASSIGNED, assignment).fetchone()
                reason = to.reasons[-1] if to.reasons else None
                print(f"customer {who.customer_id} {who.conversation}: {to.agent or 'waits in ' + to.queue} ({reason})", flush=True)
        except psycopg.errors.NoDataFound as e:
            print(e.diag.message_primary, flush=True)  # no rule, and nobody free: the next round tries again
        return True

    def work(self):
        while self.take_segment_events():
            pass
        tried = set()
        while self.assign_next(tried):
            pass

    def run(self):
        while True:
            self.told.clear()
            self.work()
            if not self.told:  # nothing came while it worked
                select.select([self.db], [], [], EVERY)


if __name__ == "__main__":
    try:
        Backend(sys.argv[1] if len(sys.argv) > 1 else "crm").run()
    except (KeyboardInterrupt, psycopg.OperationalError) as e:  # whoever watches over it starts it again
        sys.exit(str(e))
