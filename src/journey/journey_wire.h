/*
 * journey_wire.h
 *		Parts of the binary form of a journey, which journey_io.c describes; a block has the
 *		same labels and touchpoints.
 */
#ifndef PGJ_JOURNEY_WIRE_H
#define PGJ_JOURNEY_WIRE_H

#include "journey/builder.h"

#define WIRE_VERSION 1
#define WIRE_VALUE 1
#define WIRE_REF 2

/* Least bytes of a label and of a touchpoint in the binary form. */
#define WIRE_LABEL_BYTES 12
#define WIRE_TOUCH_BYTES 13

typedef struct WireReader
{
	StringInfo buf;
	const char *type; /* as errors call it */
	LabelDict *dict;
	uint32 nlabels;
	uint32 *numbers; /* of each label in the dictionary */
	bool *used;
} WireReader;

#define bad_binary(reader, ...)                                                                    \
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),                                \
					errmsg("invalid binary representation of a %s", (reader)->type),               \
					errdetail(__VA_ARGS__)))

extern void wire_send_labels(StringInfo out, const JourneyView *v);
extern void wire_send_touches(StringInfo out, const JourneyView *v);

/* A count of things that take at least so many bytes each. */
extern uint32 wire_receive_count(WireReader *r, const char *what, int least_bytes);

/* Version and labels; touchpoints into a builder; at the end every label must have been used. */
extern void wire_receive_labels(WireReader *r);
extern void wire_receive_touches(WireReader *r, JourneyBuilder *b);
extern void wire_receive_end(WireReader *r);

#endif /* PGJ_JOURNEY_WIRE_H */
