"""A backend that sends customers to agents as soon as they write, and acts on who enters a segment.

    python3 backend.py [hub]        the server is named by PGHOST, PGDATABASE and so on; the hub is crm
    python3 backend.py --once       does what there is to do, and ends

A notification only wakes it: what is to do is read from the hub. So nothing is lost while it is down, and any number of it
may run: what one has locked, the others skip.
"""
import select
import sys

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

EVERY = 30  # seconds; looks by itself, too: people wait longer, and come on duty, without anybody telling

WAITING = """
    WITH w AS MATERIALIZED (
        SELECT w.customer_id, w.channel, w.source, w.conversation, w.waiting_since
        FROM {hub}.waiting_now(now() - interval '7 days') w
        WHERE w.source || ' ' || w.conversation <> ALL (%s)
              AND NOT EXISTS (SELECT FROM {hub}.assignments a
                              WHERE a.source = w.source AND a.conversation = w.conversation AND a.released_at IS NULL))
    SELECT w.* FROM w JOIN {hub}.customers c ON c.customer_id = w.customer_id
    ORDER BY w.waiting_since LIMIT 1 FOR UPDATE OF c SKIP LOCKED"""
ASSIGNED = "SELECT FROM {hub}.assignments WHERE source = %s AND conversation = %s AND released_at IS NULL"
ROUTE = "SELECT queue, agent, channel, reasons FROM {hub}.route(%s, %s)"
ASSIGN = "SELECT {hub}.assign(%s, %s, %s, %s, %s, %s)"
EVENTS = "SELECT segment, customer_id, entered FROM {hub}.take_segment_events(100)"


class Backend:
    def __init__(self, hub):
        self.db = psycopg.connect(autocommit=True, row_factory=namedtuple_row)
        self.hub = sql.Identifier(hub)
        self.db.execute(self.named("LISTEN {hub}"))

    def named(self, query):
        return sql.SQL(query).format(hub=self.hub)

    def route_next(self, tried):
        """Send the customer who waits longest to somebody; False if nobody waits whom no other backend has in hand."""
        with self.db.transaction():
            who = self.db.execute(self.named(WAITING), [list(tried)]).fetchone()
            if who is None:
                return False
            tried.add(f"{who.source} {who.conversation}")
            # while the customer was waited for, another backend may have been done with him
            if self.db.execute(self.named(ASSIGNED), [who.source, who.conversation]).fetchone() is not None:
                return True
            to = self.db.execute(self.named(ROUTE), [who.customer_id, who.channel]).fetchone()
            if to.queue or to.agent:
                self.db.execute(self.named(ASSIGN), [who.customer_id, to.queue, to.agent, to.channel, who.source, who.conversation])
            print(f"customer {who.customer_id}, {who.conversation}: {to.agent or to.queue or 'nobody'} ({to.reasons[-1]})")
            return True

    def take_segment_events(self):
        """Rows of segment_log that no other backend has taken. They are taken when this transaction commits, so act before."""
        with self.db.transaction():
            events = self.db.execute(self.named(EVENTS)).fetchall()
            for e in events:
                print(f"customer {e.customer_id} {'entered' if e.entered else 'left'} {e.segment}")
            return bool(events)

    def work(self):
        tried = set()
        while self.take_segment_events():
            pass
        while self.route_next(tried):
            pass

    def run(self):
        woken = []
        self.db.add_notify_handler(woken.append)
        while True:
            woken.clear()
            self.work()
            sys.stdout.flush()
            if not woken:  # told while it worked: look again
                select.select([self.db], [], [], EVERY)


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    backend = Backend(names[0] if names else "crm")
    if "--once" in sys.argv:
        backend.work()
    else:
        backend.run()


if __name__ == "__main__":
    main()
