/*
 * changed_rows.c
 *		Which rows of an attached table a statement has changed, and notes of that.
 *
 * Trigger functions of attached tables call these, in the transactions of other
 * people's applications: so they do as little as can be, and nothing that could fail for
 * a reason of ours.  Columns are known by their numbers, and are read from the
 * transition tables one by one: what is not asked for is not detoasted, and what was
 * dropped is NULL.  Notes are put into the hub's table directly: a hub that is dropped or
 * renamed meanwhile, or was never there, is none of the application's business, while
 * an INSERT would fail for want of its table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "compat.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(journey_changed_rows);
PG_FUNCTION_INFO_V1(journey_note_rows);
PG_FUNCTION_INFO_V1(journey_note_row);

/* Columns of a row: of each its number, 0 where there is none, and how it is printed */
typedef struct Columns
{
	int count;
	AttrNumber *numbers;
	FmgrInfo *output;
} Columns;

/* What is asked of the rows of a table */
typedef struct Wanted
{
	TupleDesc descriptor;
	Columns key;
	Columns used;
	Columns kept;
	bool known; /* whether it is the table asked about, or a partition of it */
} Wanted;

/* What becomes of a change; the arrays are of text, each 0, for NULL, or of all columns */
typedef void (*Emit)(void *state, Datum key, bool gone, Datum before, Datum after);

typedef struct Sink
{
	Emit emit;
	void *state;
	MemoryContext row_context;
} Sink;

/* Values that print in a way of the session's are printed in one way */
static bool
prints_alike(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case CHAROID:
		case NAMEOID:
		case INT8OID:
		case INT2OID:
		case INT4OID:
		case TEXTOID:
		case OIDOID:
		case BPCHAROID:
		case VARCHAROID:
		case NUMERICOID:
		case UUIDOID:
			return true;
		default:
			return false;
	}
}

static void
print_alike(void)
{
	static const char *const settings[][2] = {{"datestyle", "ISO, YMD"},
											  {"intervalstyle", "postgres"},
											  {"timezone", "UTC"},
											  {"extra_float_digits", "1"},
											  {"bytea_output", "hex"}};

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * The columns that an array names, as numbers in a table, in another: a partition has
 * the same names in another order.  Sets *settings if some print in a way of the session's.
 */
static Columns
find_columns(ArrayType *array, TupleDesc descriptor, Oid named_in, Oid relation, bool print,
			 bool *settings)
{
	Columns columns = {0};
	int16 *numbers = (int16 *) ARR_DATA_PTR(array);

	if (ARR_NDIM(array) > 1 || ARR_HASNULL(array) || ARR_ELEMTYPE(array) != INT2OID)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("columns must be a one-dimensional array without NULLs")));
	columns.count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	columns.numbers = palloc0(columns.count * sizeof(AttrNumber));
	columns.output = palloc0(columns.count * sizeof(FmgrInfo));
	for (int i = 0; i < columns.count; i++)
	{
		AttrNumber number = numbers[i];

		if (named_in != relation && number > 0)
		{
			char *name = get_attname(named_in, number, true);

			number = name == NULL ? 0 : get_attnum(relation, name);
		}
		if (number > 0 && number <= descriptor->natts &&
			!TupleDescAttr(descriptor, number - 1)->attisdropped)
		{
			columns.numbers[i] = number;
			if (print)
			{
				Oid type = TupleDescAttr(descriptor, number - 1)->atttypid;
				Oid output;
				bool varlena;

				getTypeOutputInfo(type, &output, &varlena);
				fmgr_info(output, &columns.output[i]);
				if (!prints_alike(type))
					*settings = true;
			}
		}
	}
	return columns;
}

static bool
is_partition_of(Oid relation, Oid root)
{
	return get_rel_relispartition(relation) &&
		   list_member_oid(get_partition_ancestors(relation), root);
}

/* used NULL: all columns.  Returns what must be undone by AtEOXact_GUC, 0: nothing. */
static int
find_wanted(Wanted *wanted, Oid relation, Oid root, TupleDesc descriptor, ArrayType *key,
			ArrayType *used, ArrayType *kept)
{
	bool settings = false;
	int level = 0;

	wanted->descriptor = descriptor;
	wanted->known =
		OidIsValid(relation) && (relation == root || is_partition_of(relation, root));
	if (!wanted->known)
		return 0;
	wanted->key = find_columns(key, descriptor, root, relation, true, &settings);
	if (used != NULL)
		wanted->used = find_columns(used, descriptor, root, relation, false, &settings);
	else
	{
		wanted->used.numbers = palloc0(descriptor->natts * sizeof(AttrNumber));
		for (int i = 0; i < descriptor->natts; i++)
			if (!TupleDescAttr(descriptor, i)->attisdropped)
				wanted->used.numbers[wanted->used.count++] = i + 1;
	}
	if (kept != NULL)
		wanted->kept = find_columns(kept, descriptor, root, relation, true, &settings);
	if (settings)
	{
		level = NewGUCNestLevel();
		print_alike();
	}
	return level;
}

/* Whether one of some columns is another by its bytes */
static bool
differ(TupleDesc descriptor, Columns *columns, TupleTableSlot *old_row, TupleTableSlot *new_row)
{
	for (int i = 0; i < columns->count; i++)
	{
		AttrNumber number = columns->numbers[i];
		Form_pg_attribute attribute;
		Datum a,
			b;
		bool a_null,
			b_null;

		if (number == 0)
			continue;
		a = slot_getattr(old_row, number, &a_null);
		b = slot_getattr(new_row, number, &b_null);
		if (a_null || b_null)
		{
			if (a_null != b_null)
				return true;
			continue;
		}
		attribute = TupleDescAttr(descriptor, number - 1);
		/* One that stands elsewhere still stands there, mostly: then it is not fetched */
		if (!datumIsEqual(a, b, attribute->attbyval, attribute->attlen) &&
			!datum_image_eq(a, b, attribute->attbyval, attribute->attlen))
			return true;
	}
	return false;
}

static Datum
print_columns(Columns *columns, TupleTableSlot *row)
{
	Datum *values = palloc(Max(columns->count, 1) * sizeof(Datum));
	bool *nulls = palloc(Max(columns->count, 1) * sizeof(bool));
	int dimension = columns->count;
	int bound = 1;

	for (int i = 0; i < columns->count; i++)
	{
		nulls[i] = true;
		values[i] = (Datum) 0;
		if (columns->numbers[i] > 0)
			values[i] = slot_getattr(row, columns->numbers[i], &nulls[i]);
		if (!nulls[i])
			values[i] = CStringGetTextDatum(OutputFunctionCall(&columns->output[i], values[i]));
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &dimension, &bound, TEXTOID, -1,
											  false, TYPALIGN_INT));
}

/* old_row or new_row may be NULL */
static void
emit_change(Sink *sink, Wanted *wanted, TupleTableSlot *old_row, TupleTableSlot *new_row)
{
	MemoryContext previous = MemoryContextSwitchTo(sink->row_context);
	Datum before = (Datum) 0;
	Datum after = (Datum) 0;
	bool another = false;

	/* One that is new tells what its values are, but not what they were: there were none */
	if (old_row == NULL && wanted->kept.count > 0)
		after = print_columns(&wanted->kept, new_row);
	else if (old_row != NULL && new_row != NULL)
	{
		another = differ(wanted->descriptor, &wanted->key, old_row, new_row);
		if (!another && !differ(wanted->descriptor, &wanted->used, old_row, new_row))
		{
			MemoryContextSwitchTo(previous);
			MemoryContextReset(sink->row_context);
			return;
		}
		if (differ(wanted->descriptor, &wanted->kept, old_row, new_row))
		{
			before = print_columns(&wanted->kept, old_row);
			after = print_columns(&wanted->kept, new_row);
		}
	}
	if (old_row != NULL && (another || new_row == NULL))
		sink->emit(sink->state, print_columns(&wanted->key, old_row), true, (Datum) 0, (Datum) 0);
	if (new_row != NULL)
		sink->emit(sink->state, print_columns(&wanted->key, new_row), false, before, after);
	MemoryContextSwitchTo(previous);
	MemoryContextReset(sink->row_context);
}

/* That something has changed, but not what: the table is not the one that is known */
static void
emit_unknown(Sink *sink)
{
	sink->emit(sink->state, PointerGetDatum(construct_empty_array(TEXTOID)), false, (Datum) 0,
			   (Datum) 0);
}

static EphemeralNamedRelation
transition_table(FunctionCallInfo fcinfo, const char *name)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	QueryEnvironment *environment = NULL;
	EphemeralNamedRelation table = NULL;

	if (info != NULL && IsA(info, ReturnSetInfo) && info->econtext != NULL &&
		info->econtext->ecxt_estate != NULL)
		environment = info->econtext->ecxt_estate->es_queryEnv;
	if (environment != NULL)
		table = get_ENR(environment, name);
	/* One without a relation is somebody's own, not a trigger's */
	return table != NULL && OidIsValid(table->md.reliddesc) && table->reldata != NULL ? table : NULL;
}

static void
read_from_start(EphemeralNamedRelation table)
{
	Tuplestorestate *rows = table->reldata;

	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
}

/*
 * What a statement has changed.  Old and new rows stand in parallel, except where a
 * trigger has kept a row from moving to another partition: then it can't be told which
 * has become which.
 */
static void
find_changes(FunctionCallInfo fcinfo, Sink *sink, Oid root, ArrayType *key, ArrayType *used,
			 ArrayType *kept)
{
	EphemeralNamedRelation old_table = transition_table(fcinfo, "old_rows");
	EphemeralNamedRelation new_table = transition_table(fcinfo, "new_rows");
	Wanted wanted = {0};
	Relation relation;
	TupleTableSlot *old_row;
	TupleTableSlot *new_row;
	bool parallel;
	int level;

	if (old_table == NULL && new_table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there are no transition tables old_rows or new_rows"),
				 errhint("Call it in a trigger FOR EACH STATEMENT that references OLD TABLE AS "
						 "old_rows or NEW TABLE AS new_rows.")));
	if ((old_table == NULL || tuplestore_tuple_count(old_table->reldata) == 0) &&
		(new_table == NULL || tuplestore_tuple_count(new_table->reldata) == 0))
		return;

	/* The statement that fires the trigger holds a lock */
	relation = table_open((old_table != NULL ? old_table : new_table)->md.reliddesc, NoLock);
	level = find_wanted(&wanted, RelationGetRelid(relation), root, RelationGetDescr(relation), key,
						used, kept);
	if (!wanted.known)
		emit_unknown(sink);
	else
	{
		old_row = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsMinimalTuple);
		new_row = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsMinimalTuple);
		parallel = old_table != NULL && new_table != NULL &&
				   tuplestore_tuple_count(old_table->reldata) ==
					   tuplestore_tuple_count(new_table->reldata);
		if (old_table != NULL)
		{
			read_from_start(old_table);
			if (parallel)
				read_from_start(new_table);
			while (tuplestore_gettupleslot(old_table->reldata, true, false, old_row))
			{
				CHECK_FOR_INTERRUPTS();
				if (parallel &&
					!tuplestore_gettupleslot(new_table->reldata, true, false, new_row))
					elog(ERROR, "transition tables are not parallel");
				emit_change(sink, &wanted, old_row, parallel ? new_row : NULL);
			}
		}
		if (new_table != NULL && !parallel)
		{
			read_from_start(new_table);
			while (tuplestore_gettupleslot(new_table->reldata, true, false, new_row))
			{
				CHECK_FOR_INTERRUPTS();
				emit_change(sink, &wanted, NULL, new_row);
			}
		}
		ExecDropSingleTupleTableSlot(old_row);
		ExecDropSingleTupleTableSlot(new_row);
	}
	if (level > 0)
		AtEOXact_GUC(true, level);
	table_close(relation, NoLock);
}

static ArrayType *
columns_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : PG_GETARG_ARRAYTYPE_P(number);
}

/* ---- changes as rows ---------------------------------------------------- */

static void
put_change(void *state, Datum key, bool gone, Datum before, Datum after)
{
	ReturnSetInfo *info = state;
	Datum values[4] = {key, BoolGetDatum(gone), before, after};
	bool nulls[4] = {false, false, before == (Datum) 0, after == (Datum) 0};

	tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

Datum
journey_changed_rows(PG_FUNCTION_ARGS)
{
	Sink sink = {.emit = put_change};

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the table and its key columns must not be NULL")));
	sink.state = fcinfo->resultinfo;
	sink.row_context = AllocSetContextCreate(CurrentMemoryContext, "changed row",
											 ALLOCSET_DEFAULT_SIZES);
	find_changes(fcinfo, &sink, PG_GETARG_OID(0), PG_GETARG_ARRAYTYPE_P(1),
				 columns_argument(fcinfo, 2), columns_argument(fcinfo, 3));
	MemoryContextDelete(sink.row_context);
	return (Datum) 0;
}

/* ---- changes as notes --------------------------------------------------- */

enum
{
	NOTE_ID,
	NOTE_SOURCE,
	NOTE_LOOKUP,
	NOTE_KEY,
	NOTE_GONE,
	NOTE_BEFORE,
	NOTE_AFTER,
	NOTE_TIME,
	NOTE_PLACE,
	NOTE_COLUMNS
};

typedef struct Notes
{
	char *hub;
	bool absent;
	MemoryContext context;
	Relation relation; /* NULL: there was nothing to note as yet, and no lock is held */
	Oid sequence;
	EState *estate;
	ResultRelInfo *result;
	TupleTableSlot *slot;
	Datum source;
	Datum lookup;
	bool no_lookup;
	int64 id; /* all of a call have one */
	int64 count;
} Notes;

static bool
has_columns_of_notes(TupleDesc descriptor)
{
	static const Oid types[NOTE_COLUMNS] = {INT8OID, INT4OID,	   TEXTOID,		 TEXTARRAYOID,
											BOOLOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID,
											INT8OID};

	if (descriptor->natts < NOTE_COLUMNS)
		return false;
	for (int i = 0; i < NOTE_COLUMNS; i++)
		if (TupleDescAttr(descriptor, i)->atttypid != types[i])
			return false;
	return true;
}

/*
 * Opens the notes of the hub, or returns false.  The table is locked, and known by its
 * number from then on, so that it may be renamed while somebody waits for the lock.  The
 * lock is given back at the end of the call, not of the transaction.
 */
static bool
open_notes(Notes *notes)
{
	Oid schema = get_namespace_oid(notes->hub, true);
	Oid id = OidIsValid(schema) ? get_relname_relid("feed_notes", schema) : InvalidOid;
	MemoryContext previous;

	if (!OidIsValid(id) ||
		pg_class_aclcheck(id, GetUserId(), ACL_INSERT) != ACLCHECK_OK)
		return false;
	notes->relation = try_table_open(id, RowExclusiveLock);
	if (notes->relation == NULL)
		return false;
	notes->sequence = get_relname_relid("feed_notes_note_id_seq",
										RelationGetNamespace(notes->relation));
	if (notes->relation->rd_rel->relkind != RELKIND_RELATION || !OidIsValid(notes->sequence) ||
		!has_columns_of_notes(RelationGetDescr(notes->relation)))
	{
		table_close(notes->relation, RowExclusiveLock);
		notes->relation = NULL;
		return false;
	}
	notes->id = nextval_internal(notes->sequence, false);
	notes->estate = CreateExecutorState();
	previous = MemoryContextSwitchTo(notes->estate->es_query_cxt);
	notes->estate->es_output_cid = GetCurrentCommandId(true);
	notes->result = makeNode(ResultRelInfo);
	InitResultRelInfo(notes->result, notes->relation, 0, NULL, 0);
	ExecOpenIndices(notes->result, false);
	notes->slot = table_slot_create(notes->relation, NULL);
	MemoryContextSwitchTo(previous);
	return true;
}

static void
close_notes(Notes *notes)
{
	if (notes->relation == NULL)
		return;
	ExecDropSingleTupleTableSlot(notes->slot);
	ExecCloseIndices(notes->result);
	FreeExecutorState(notes->estate);
	table_close(notes->relation, RowExclusiveLock);
}

static void
put_note(void *state, Datum key, bool gone, Datum before, Datum after)
{
	Notes *notes = state;
	TupleTableSlot *slot;
	MemoryContext previous = CurrentMemoryContext;

	if (notes->relation == NULL)
	{
		MemoryContextSwitchTo(notes->context);
		notes->absent = notes->absent || !open_notes(notes);
		MemoryContextSwitchTo(previous);
	}
	if (notes->absent)
		return;
	MemoryContextSwitchTo(GetPerTupleMemoryContext(notes->estate));
	slot = notes->slot;
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	memset(slot->tts_isnull, false, NOTE_COLUMNS * sizeof(bool));
	slot->tts_values[NOTE_ID] = Int64GetDatum(notes->id);
	slot->tts_values[NOTE_SOURCE] = notes->source;
	slot->tts_values[NOTE_LOOKUP] = notes->lookup;
	slot->tts_isnull[NOTE_LOOKUP] = notes->no_lookup;
	slot->tts_values[NOTE_KEY] = key;
	slot->tts_isnull[NOTE_KEY] = key == (Datum) 0;
	slot->tts_values[NOTE_GONE] = BoolGetDatum(gone);
	slot->tts_values[NOTE_BEFORE] = before;
	slot->tts_values[NOTE_AFTER] = after;
	slot->tts_isnull[NOTE_BEFORE] = before == (Datum) 0;
	slot->tts_isnull[NOTE_AFTER] = after == (Datum) 0;
	slot->tts_values[NOTE_TIME] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	slot->tts_values[NOTE_PLACE] = Int64GetDatum(notes->count);
	ExecStoreVirtualTuple(slot);
	ExecSimpleRelationInsert(notes->result, notes->estate, slot);
	MemoryContextSwitchTo(previous);
	ResetPerTupleExprContext(notes->estate);
	notes->count++;
}

/* Arguments: hub, source, lookup, table, columns of its key, used, and kept */
static bool
begin_notes(FunctionCallInfo fcinfo, Notes *notes, Sink *sink)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		return false;
	notes->context = CurrentMemoryContext;
	notes->hub = text_to_cstring(PG_GETARG_TEXT_PP(0));
	notes->source = PG_GETARG_DATUM(1);
	notes->no_lookup = PG_ARGISNULL(2);
	notes->lookup = PG_GETARG_DATUM(2);
	sink->emit = put_note;
	sink->state = notes;
	sink->row_context =
		AllocSetContextCreate(CurrentMemoryContext, "changed row", ALLOCSET_DEFAULT_SIZES);
	return true;
}

Datum
journey_note_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	Notes notes = {0};
	Sink sink = {0};

	/* A set of one row: only a set is told the transition tables */
	if (info != NULL && IsA(info, ReturnSetInfo))
		info->isDone = ExprSingleResult;
	if (!begin_notes(fcinfo, &notes, &sink))
		PG_RETURN_INT64(0);
	if (PG_ARGISNULL(4)) /* a table is truncated */
		put_note(&notes, (Datum) 0, true, (Datum) 0, (Datum) 0);
	else
		find_changes(fcinfo, &sink, PG_GETARG_OID(3), PG_GETARG_ARRAYTYPE_P(4),
					 columns_argument(fcinfo, 5), columns_argument(fcinfo, 6));
	close_notes(&notes);
	MemoryContextDelete(sink.row_context);
	PG_RETURN_INT64(notes.count);
}

static TupleTableSlot *
record_argument(FunctionCallInfo fcinfo, int number, TupleDesc descriptor)
{
	HeapTupleHeader header;
	HeapTuple tuple;

	if (PG_ARGISNULL(number))
		return NULL;
	header = PG_GETARG_HEAPTUPLEHEADER(number);
	if (HeapTupleHeaderGetTypeId(header) != descriptor->tdtypeid ||
		HeapTupleHeaderGetTypMod(header) != descriptor->tdtypmod)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("what a row was and what it is must be of one type")));
	tuple = palloc0(sizeof(HeapTupleData));
	tuple->t_len = HeapTupleHeaderGetDatumLength(header);
	tuple->t_data = header;
	return ExecStoreHeapTuple(tuple, MakeSingleTupleTableSlot(descriptor, &TTSOpsHeapTuple), false);
}

static void
drop_slot(TupleTableSlot *slot)
{
	if (slot != NULL)
		ExecDropSingleTupleTableSlot(slot);
}

/* Of one row: the two last arguments are what it was and is */
Datum
journey_note_row(PG_FUNCTION_ARGS)
{
	int given = !PG_ARGISNULL(8) ? 8 : 7;
	Notes notes = {0};
	Sink sink = {0};
	Wanted wanted = {0};
	HeapTupleHeader header;
	TupleDesc descriptor;
	TupleTableSlot *old_row;
	TupleTableSlot *new_row;
	Oid relation;
	int level;

	if (PG_ARGISNULL(given) || PG_ARGISNULL(4) || !begin_notes(fcinfo, &notes, &sink))
		PG_RETURN_INT64(0);
	header = PG_GETARG_HEAPTUPLEHEADER(given);
	descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
										HeapTupleHeaderGetTypMod(header));
	relation = typeidTypeRelid(HeapTupleHeaderGetTypeId(header));
	level = find_wanted(&wanted, relation, PG_GETARG_OID(3), descriptor, PG_GETARG_ARRAYTYPE_P(4),
						columns_argument(fcinfo, 5), columns_argument(fcinfo, 6));
	if (wanted.known)
	{
		old_row = record_argument(fcinfo, 7, descriptor);
		new_row = record_argument(fcinfo, 8, descriptor);
		emit_change(&sink, &wanted, old_row, new_row);
		drop_slot(old_row);
		drop_slot(new_row);
	}
	else
		emit_unknown(&sink);
	if (level > 0)
		AtEOXact_GUC(true, level);
	close_notes(&notes);
	ReleaseTupleDesc(descriptor);
	MemoryContextDelete(sink.row_context);
	PG_RETURN_INT64(notes.count);
}
