/*
 * fuzz_flow.c
 *		The stored form of flows.
 *
 * The input is the content of a varlena. It is refused as corrupt, or read; then it makes a flow
 * that is written in a form which is read as the same flow again, and added to itself. As from a
 * client, items and paths need not ascend: what is sound as a stored value is sound so, too. An
 * input is accepted if its edges are those of its paths.
 */
#include "postgres.h"

#include "compat.h"
#include "flow/flow.h"
#include "fuzz.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

const char *const fuzz_tokens[] = {
	"\x01",        "\x01\x01",     "\x80\x01",     "web.view",
	"(a.b | c.d)", "\x01\x02\x02", "\x02\x01\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	NULL};

/* --- what the server has --- */

void
EOH_init_header(ExpandedObjectHeader *eohptr, const ExpandedObjectMethods *methods,
				MemoryContext obj_context)
{
	eohptr->vl_len_ = EOH_HEADER_MAGIC;
	eohptr->eoh_methods = methods;
	eohptr->eoh_context = obj_context;
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

bool
pg_verify_mbstr(int encoding, const char *text, int len, bool no_error)
{
	return true;
}

void
appendStringInfoSpaces(StringInfo s, int count)
{
	while (count-- > 0)
		appendStringInfoChar(s, ' ');
}

void
flows_differ(const FlowOptions *a, const FlowOptions *b)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("flows differ in %s", flow_options_differ(a, b))));
}

/* --- the readers --- */

typedef struct Value
{
	struct varlena *flat;
	FlowSource source;
	Flow *flow;
	const char *wrong;
} Value;

static void
read_flow(void *arg)
{
	Value *v = arg;

	v->flow = flow_of_flat(v->flat, v->source, CurrentMemoryContext);
	v->wrong = flow_wrong(v->flow);
}

static void
add_flow(void *arg)
{
	Value *v = arg;

	flow_merge(v->flow, v->flat, FLOW_STORED);
}

static int
refused(Value *v, int expected)
{
	int error = backend_run(read_flow, v);

	/* counts may not add up to a bigint */
	require(error == 0 || error == expected || error == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	return error;
}

bool
fuzz_input(const uint8 *data, size_t len)
{
	struct varlena *flat = palloc(VARHDRSZ + len);
	Value v = {.flat = flat, .source = FLOW_STORED};
	Value again = v;
	struct varlena *written;
	int64 paths;
	int error;

	SET_VARSIZE(flat, VARHDRSZ + len);
	memcpy(VARDATA(flat), data, len);
	v.flat = again.flat = exact_copy(flat, VARHDRSZ + len);
	again.source = FLOW_RECEIVED;
	error = refused(&again, ERRCODE_INVALID_BINARY_REPRESENTATION);
	if (refused(&v, ERRCODE_DATA_CORRUPTED) != 0)
		return false;
	require(error == 0);
	require(backend_peak() < UINT64CONST(0x10000000) + 1000 * len);

	/* of other edges than its paths have, what is written is anything */
	written = flow_flat(v.flow);
	if (v.wrong)
		return false;
	again.flat = exact_copy(written, VARSIZE(written));
	again.source = FLOW_STORED;
	require(refused(&again, ERRCODE_DATA_CORRUPTED) == 0);
	require(again.wrong == NULL);
	written = flow_flat(again.flow);
	require(VARSIZE(written) == VARSIZE(again.flat) &&
			memcmp(written, again.flat, VARSIZE(written)) == 0);

	paths = again.flow->paths_sum;
	again.flow->flat = NULL;
	error = backend_run(add_flow, &again);
	require(error == 0 || error == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	require(error != 0 || again.flow->paths_sum == 2 * paths);
	return true;
}
