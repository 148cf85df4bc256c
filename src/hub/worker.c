/*
 * worker.c
 *		Background workers that feed, refresh and maintain hubs.
 *
 * They exist where pg_journey is in shared_preload_libraries and pg_journey.worker is
 * on.  The launcher knows databases only.  Once in a while it has each of them searched
 * for hubs that ask for a worker in their settings, by a process that ends when it has
 * started one for each.  A hub's worker is a session of the hub's owner, because what
 * it calls runs code of the owner, whom nobody's rights must be lent to.
 *
 * On a standby all of this starts when it is promoted.
 *
 * Whoever loads history needs partitions.  Made in his transaction they would keep all
 * others waiting until it ends, and he may have no right to make any: so a process does it
 * in transactions of its own, as the hub's owner.  It needs no library to be preloaded.
 */
#include "postgres.h"

#include "compat.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "worker.h"

#define SEARCH_EVERY 30000		/* milliseconds between searches of a database for hubs */
#define LEAST_PAUSE 100			/* milliseconds between feeds while there is something to feed */
#define MOST_PAUSE 1000			/* and while there is nothing */
#define MOST_BACKOFF 60000		/* after errors */
#define ANSWER_WITHIN 2000		/* how long a hub's settings may keep a search, which others wait for */

/* The lock that a hub's worker holds.  SQL's advisory locks have 1 or 2 at the end: nobody can take it */
#define SET_HUB_LOCK(tag, hub) SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, hub, 0x6a6f7572, 3)

PGDLLEXPORT void journey_launcher_main(Datum argument);
PGDLLEXPORT void journey_search_main(Datum argument);
PGDLLEXPORT void journey_worker_main(Datum argument);
PGDLLEXPORT void journey_months_main(Datum argument);

/* What a hub's worker is told, in bgw_extra */
typedef struct HubWorker
{
	Oid			database;
	Oid			hub;
	Oid			owner;
} HubWorker;

/* What a process is told that makes partitions, likewise */
typedef struct Months
{
	HubWorker	hub;
	TimestampTz since;
	TimestampTz until;
} Months;

#if PG_VERSION_NUM >= 170000
#define BYPASS_LOGIN BGWORKER_BYPASS_ROLELOGINCHECK
#else
#define BYPASS_LOGIN 0
#endif

static bool worker_enabled = false;

static void
fill_worker(BackgroundWorker *worker, const char *function, const char *type)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "pg_journey", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_type, type, sizeof(worker->bgw_type));
	strlcpy(worker->bgw_name, type, sizeof(worker->bgw_name));
}

void
journey_register_workers(void)
{
	BackgroundWorker launcher;

	if (!process_shared_preload_libraries_in_progress)
		return;
	DefineCustomBoolVariable("pg_journey.worker",
							 "Starts background workers for hubs that ask for one in their settings.", NULL,
							 &worker_enabled, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("pg_journey");

	fill_worker(&launcher, "journey_launcher_main", "pg_journey launcher");
	launcher.bgw_restart_time = 10;
	RegisterBackgroundWorker(&launcher);
}

/* Wait for the time, a signal, or to be told by notify_pid that a worker has come or gone */
static void
pause_for(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static void
begin_signals(void)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
}

/* After an error that was caught: it goes to the log, and work goes on */
static void
recover(MemoryContext context)
{
	MemoryContextSwitchTo(context);
	HOLD_INTERRUPTS();
	disable_all_timeouts(false);
	QueryCancelPending = false;
	EmitErrorReport();
	AbortCurrentTransaction();
	PortalErrorCleanup();
	jit_reset_after_error();
	pgstat_report_activity(STATE_IDLE, NULL);
	FlushErrorState();
	MemoryContextSwitchTo(context);
	RESUME_INTERRUPTS();
}

static bool
start_worker(BackgroundWorker *worker, BackgroundWorkerHandle **handle)
{
	worker->bgw_notify_pid = MyProcPid;
	if (RegisterDynamicBackgroundWorker(worker, handle))
		return true;
	ereport(LOG,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("could not start background process \"%s\"", worker->bgw_name),
			 errhint("Increase max_worker_processes.")));
	return false;
}

/* --- the launcher --- */

/* OIDs of the databases that can be connected to, in the current memory context */
static List *
databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *result = NIL;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (database->datallowconn && !database->datistemplate && database->datconnlimit != -2)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			result = lappend_oid(result, database->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return result;
}

void
journey_launcher_main(Datum argument)
{
	MemoryContext context;

	begin_signals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	context = AllocSetContextCreate(TopMemoryContext, "pg_journey launcher", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	for (;;)
	{
		if (worker_enabled)
		{
			ListCell   *cell;

			foreach (cell, databases())
			{
				BackgroundWorker search;
				BackgroundWorkerHandle *handle;

				fill_worker(&search, "journey_search_main", "pg_journey search");
				search.bgw_main_arg = ObjectIdGetDatum(lfirst_oid(cell));
				/* one after the other, so that they take one slot; this wakes on SIGTERM, too */
				if (start_worker(&search, &handle))
					(void) WaitForBackgroundWorkerShutdown(handle);
				CHECK_FOR_INTERRUPTS();
			}
		}
		MemoryContextReset(context);
		pause_for(worker_enabled ? SEARCH_EVERY : MOST_BACKOFF);
	}
}

/* --- the search of a database --- */

/*
 * Catalogs tell what may be a hub.  Its settings are its owner's table, so they are read with the
 * owner's rights.
 */
#define FIND_HUBS                                                                                             \
	"SELECT n.oid, n.nspname, n.nspowner, pg_catalog.quote_ident(e.nspname)"                                  \
	" FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace e ON e.oid OPERATOR(pg_catalog.=) x.extnamespace" \
	" CROSS JOIN pg_catalog.pg_namespace n"                                                                   \
	" WHERE x.extname OPERATOR(pg_catalog.=) 'pg_journey'"                                                    \
	" AND 2 OPERATOR(pg_catalog.=) (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c"                      \
	"  JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid"                             \
	"  WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) 'settings'"      \
	"  AND c.relkind OPERATOR(pg_catalog.=) 'r'"                                                              \
	"  AND a.attname OPERATOR(pg_catalog.=) ANY ('{worker,hub_version}'::pg_catalog.name[]))"
#define ASKS_FOR_WORKER "SELECT s.worker FROM %s.settings s WHERE s.hub_version IS NOT NULL"

typedef struct FoundHub
{
	Oid			hub;
	Oid			owner;
	char	   *name;
	char	   *extension;		/* schema of the extension, quoted */
} FoundHub;

static List *
find_hubs(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *result = NIL;

	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute(FIND_HUBS, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "hubs can't be searched for: %s", SPI_result_code_string(SPI_result));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	descriptor = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		FoundHub   *found = palloc(sizeof(FoundHub));
		bool		is_null;

		found->hub = DatumGetObjectId(SPI_getbinval(tuple, descriptor, 1, &is_null));
		found->name = SPI_getvalue(tuple, descriptor, 2);
		found->owner = DatumGetObjectId(SPI_getbinval(tuple, descriptor, 3, &is_null));
		found->extension = SPI_getvalue(tuple, descriptor, 4);
		result = lappend(result, found);
		MemoryContextSwitchTo(old);
	}
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return result;
}

static bool
asks_for_worker(FoundHub *found)
{
	StringInfoData command;
	bool		asks = false;

	/* Somebody may have locked them */
	enable_timeout_after(STATEMENT_TIMEOUT, ANSWER_WITHIN);
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	initStringInfo(&command);
	appendStringInfo(&command, "SELECT %s.journey_run_as_owner(%s, %s)", found->extension,
					 quote_literal_cstr(found->name),
					 quote_literal_cstr(psprintf(ASKS_FOR_WORKER, quote_identifier(found->name))));
	if (SPI_execute(command.data, false, 0) == SPI_OK_SELECT && SPI_processed == 1)
	{
		char	   *answer = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		asks = answer != NULL && strcmp(answer, "t") == 0;
	}
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	disable_timeout(STATEMENT_TIMEOUT, false);
	return asks;
}

/* Whether a hub's worker runs: it holds this lock.  Otherwise whoever asks holds it until it ends */
static bool
lock_hub(Oid hub)
{
	LOCKTAG		tag;

	SET_HUB_LOCK(tag, hub);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

static void
unlock_hub(Oid hub)
{
	LOCKTAG		tag;

	SET_HUB_LOCK(tag, hub);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

/* Before 17 there is no session of a role that may not */
static bool
may_log_in(Oid role)
{
#if PG_VERSION_NUM >= 170000
	return true;
#else
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		result = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return result;
#endif
}

static bool
owner_can_work(FoundHub *found)
{
	bool		result;

	StartTransactionCommand();
	result = may_log_in(found->owner);
	if (!result)
		ereport(LOG, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
					  errmsg("hub %s has no worker: its owner may not log in", found->name),
					  errhint("Give the owner LOGIN; a password is not needed.")));
	CommitTransactionCommand();
	return result;
}

void
journey_search_main(Datum argument)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_journey search", ALLOCSET_DEFAULT_SIZES);
	List	   *hubs;
	ListCell   *cell;

	begin_signals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(argument), InvalidOid, 0);
	MemoryContextSwitchTo(context);
	hubs = find_hubs();
	foreach (cell, hubs)
	{
		FoundHub   *found = lfirst(cell);
		HubWorker	told = {MyDatabaseId, found->hub, found->owner};
		BackgroundWorker worker;
		BackgroundWorkerHandle *handle;
		bool		asks = false;

		CHECK_FOR_INTERRUPTS();
		PG_TRY();
		{
			asks = asks_for_worker(found) && owner_can_work(found);
		}
		PG_CATCH();
		{
			recover(context);
		}
		PG_END_TRY();
		MemoryContextSwitchTo(context);
		if (!asks || !lock_hub(found->hub))
			continue;
		unlock_hub(found->hub);
		fill_worker(&worker, "journey_worker_main", "pg_journey worker");
		snprintf(worker.bgw_name, sizeof(worker.bgw_name), "pg_journey worker for hub %s", found->name);
		/* it is shown in databases with other encodings, too */
		for (char *c = worker.bgw_name; *c != '\0'; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
		StaticAssertStmt(sizeof(HubWorker) <= BGW_EXTRALEN, "what a worker is told fits");
		memcpy(worker.bgw_extra, &told, sizeof(told));
		(void) start_worker(&worker, &handle);
	}
	proc_exit(0);
}

/* --- the worker of a hub --- */

/* Run one command as a client would send it: procedures commit, which SPI has no portal for */
static void
run_command(const char *command, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	RawStmt    *statement;
	List	   *queries;
	List	   *plans;
	Portal		portal;
	DestReceiver *receiver;
	QueryCompletion completion;

	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, command);
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	statement = linitial_node(RawStmt, pg_parse_query(command));
	PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_analyze_and_rewrite_fixedparams(statement, command, NULL, 0, NULL);
	plans = pg_plan_queries(queries, command, CURSOR_OPT_PARALLEL_OK, NULL);
	PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, command, CreateCommandTag(statement->stmt), plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	receiver = CreateDestReceiver(DestNone);
	MemoryContextSwitchTo(context);
#if PG_VERSION_NUM >= 180000
	(void) PortalRun(portal, FETCH_ALL, true, receiver, receiver, &completion);
#else
	(void) PortalRun(portal, FETCH_ALL, true, true, receiver, receiver, &completion);
#endif
	receiver->rDestroy(receiver);
	PortalDrop(portal, false);
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(old);
}

typedef struct HubState
{
	bool		asks;			/* for a worker */
	bool		pending;		/* something waits to be fed */
	char	   *name;			/* quoted: it may have been renamed */
} HubState;

/* Whether a procedure is there, and is the owner's: who may put his own into another's schema must not have it called */
static bool
is_owners(const HubWorker *me, const char *procedure, const Oid *types, int n)
{
	HeapTuple	tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(procedure),
										PointerGetDatum(buildoidvector(types, n)), ObjectIdGetDatum(me->hub));
	bool		result = HeapTupleIsValid(tuple) && ((Form_pg_proc) GETSTRUCT(tuple))->proowner == me->owner;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return result;
}

/* The name of a hub, quoted; NULL, if it is gone or another's, or is none */
static char *
hub_name(const HubWorker *me, MemoryContext context)
{
	static const Oid work[] = {INT8OID};
	static const Oid months[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(me->hub));
	char	   *name = NULL;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_namespace namespace = (Form_pg_namespace) GETSTRUCT(tuple);

		if (namespace->nspowner != me->owner)
			name = NULL;
		else if (!is_owners(me, "work", work, lengthof(work)) || !is_owners(me, "make_months", months, lengthof(months)))
			ereport(LOG, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						  errmsg("nothing is done for hub %s: its procedures are not its owner's", NameStr(namespace->nspname))));
		else
			name = MemoryContextStrdup(context, quote_identifier(NameStr(namespace->nspname)));
		ReleaseSysCache(tuple);
	}
	return name;
}

/* What to do for a hub; nothing, if it is gone or another's */
static HubState
hub_state(const HubWorker *me, MemoryContext context)
{
	HubState	state = {0};

	StartTransactionCommand();
	state.name = hub_name(me, context);
	if (state.name != NULL)
	{
		char	   *query = psprintf("SELECT s.worker, EXISTS (SELECT FROM %1$s.feed_notes) FROM %1$s.settings s",
									 state.name);

		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		if (SPI_execute(query, true, 1) == SPI_OK_SELECT && SPI_processed == 1)
		{
			bool		is_null;

			state.asks = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
			state.pending = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null));
		}
		PopActiveSnapshot();
		SPI_finish();
	}
	CommitTransactionCommand();
	return state;
}

void
journey_worker_main(Datum argument)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_journey worker", ALLOCSET_DEFAULT_SIZES);
	HubWorker	me;
	long		pause = LEAST_PAUSE;
	long		backoff = 0;

	memcpy(&me, MyBgworkerEntry->bgw_extra, sizeof(me));
	begin_signals();
	BackgroundWorkerInitializeConnectionByOid(me.database, me.owner, BYPASS_LOGIN);
#if PG_VERSION_NUM >= 170000
	/* Of this database or the owner: it is for clients */
	SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
#endif
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	if (!lock_hub(me.hub))
		proc_exit(0);			/* another was quicker */
	MemoryContextSwitchTo(context);
	for (;;)
	{
		volatile bool asks = true;

		PG_TRY();
		{
			HubState	state = hub_state(&me, context);

			asks = state.asks;
			if (asks && worker_enabled)
				run_command(psprintf("CALL %s.work(pg_catalog.int8 '0')", state.name), context);
			pause = state.pending ? LEAST_PAUSE : Min(pause + pause / 3, MOST_PAUSE);
			backoff = 0;
		}
		PG_CATCH();
		{
			recover(context);
			backoff = backoff == 0 ? MOST_PAUSE : Min(2 * backoff, MOST_BACKOFF);
		}
		PG_END_TRY();
		if (!asks || !worker_enabled)
			proc_exit(0);
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		pause_for(Max(pause, backoff));
	}
}

/* --- partitions --- */

void
journey_months_main(Datum argument)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_journey months", ALLOCSET_DEFAULT_SIZES);
	Months		told;
	char	   *name;

	memcpy(&told, MyBgworkerEntry->bgw_extra, sizeof(told));
	begin_signals();
	BackgroundWorkerInitializeConnectionByOid(told.hub.database, told.hub.owner, BYPASS_LOGIN);
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	StartTransactionCommand();
	name = hub_name(&told.hub, context);
	CommitTransactionCommand();
	if (name != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		char	   *since = pstrdup(timestamptz_to_str(told.since));
		char	   *until = pstrdup(timestamptz_to_str(told.until));
		char	   *command = psprintf("CALL %s.make_months(pg_catalog.timestamptz '%s', pg_catalog.timestamptz '%s')",
										 name, since, until);

		MemoryContextSwitchTo(old);
		run_command(command, context);
	}
	proc_exit(0);
}

/*
 * Have partitions made, and wait for it; returns whether there was a process that could try.
 * Whoever may write in a hub may ask for them.  From -infinity to infinity means those of
 * which the default partition has many rows by now, the caller's among them: it can't be had
 * before he commits, so nobody waits.
 */
PG_FUNCTION_INFO_V1(journey_make_months);
Datum
journey_make_months(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			schema = get_namespace_oid(name, false);
	Oid			keys = get_relname_relid("touchpoint_keys", schema);
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Months		told = {{MyDatabaseId, schema, InvalidOid}, PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TIMESTAMPTZ(2)};
	bool		all;
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	told.hub.owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (!OidIsValid(keys) || pg_class_aclcheck(keys, GetUserId(), ACL_INSERT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, name);
	all = TIMESTAMP_IS_NOBEGIN(told.since) && TIMESTAMP_IS_NOEND(told.until);
	if (!all && (TIMESTAMP_NOT_FINITE(told.since) || TIMESTAMP_NOT_FINITE(told.until)))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_FIELD_OVERFLOW), errmsg("months must be finite")));
	if (!may_log_in(told.hub.owner))
		PG_RETURN_BOOL(false);

	fill_worker(&worker, "journey_months_main", "pg_journey months");
	StaticAssertStmt(sizeof(Months) <= BGW_EXTRALEN, "what a process is told fits");
	memcpy(worker.bgw_extra, &told, sizeof(told));
	if (!start_worker(&worker, &handle))
		PG_RETURN_BOOL(false);
	if (all)
		PG_RETURN_BOOL(true);
	(void) WaitForBackgroundWorkerShutdown(handle);
	AcceptInvalidationMessages();	/* of the partitions, if their table is locked already */
	PG_RETURN_BOOL(true);
}
