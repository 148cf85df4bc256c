/*
 * touch.h
 *		One touchpoint in memory, and the text of its parts.
 *
 * This is the algorithm layer: no fmgr, no catalogs. A parser that fails
 * returns false and leaves its reason in the TextScan; nothing here raises.
 */
#ifndef PGJ_TOUCH_H
#define PGJ_TOUCH_H

#include "lib/stringinfo.h"

/* A label part, channel, action or detail, is at most this many bytes long. */
#define LABEL_PART_MAX 255

/* A value has at most this many decimal digits, so it fits an int64. */
#define DECIMAL_DIGITS_MAX 18

/*
 * What happened on which channel, and of what kind; an empty detail is none.
 * The strings are never NULL, not terminated, have the server's encoding and
 * belong to whoever filled the struct.
 */
typedef struct TouchLabel
{
	const char *channel;
	const char *action;
	const char *detail;
	uint8 channel_len;
	uint8 action_len;
	uint8 detail_len;
} TouchLabel;

/* Room for the text of a label that is read. */
typedef struct LabelText
{
	char channel[LABEL_PART_MAX];
	char action[LABEL_PART_MAX];
	char detail[LABEL_PART_MAX];
} LabelText;

/*
 * mantissa / 10^scale, with |mantissa| < 10^18. In normal form the mantissa
 * does not end in a zero while the scale is positive, so that equal values
 * are equal structs.
 */
typedef struct Decimal
{
	int64 mantissa;
	uint8 scale; /* 0 .. DECIMAL_DIGITS_MAX */
} Decimal;

/* A touchpoint but for the text of its label. */
typedef struct Touch
{
	int64 time; /* microseconds since 2000-01-01 00:00 UTC */
	int64 ref;
	Decimal value; /* in normal form */
	uint32 label;  /* meaning is the holder's: code or id */
	bool has_value;
	bool has_ref;
} Touch;

/*
 * A text being read. On failure, message says what is wrong, and detail and
 * hint (each may be NULL) what was expected where; palloc'd or constant.
 */
typedef struct TextScan
{
	const char *start;
	const char *p;
	const char *end;
	int sqlerrcode;
	const char *message;
	const char *detail;
	const char *hint;
} TextScan;

/* text_scan.c */
extern void text_scan_init(TextScan *s, const char *text, size_t len);
extern void text_skip_space(TextScan *s);
extern bool text_accept(TextScan *s, const char *token);
extern bool text_fail(TextScan *s, const char *expected);
extern bool text_fail_with(TextScan *s, int sqlerrcode, const char *message, const char *detail,
						   const char *hint);
extern bool text_scan_int64(TextScan *s, int64 *result, const char *out_of_range);
extern void text_print_int64(StringInfo out, int64 n);
extern char *text_excerpt(const char *p, const char *end, size_t most);

/* label.c */
extern int label_bytes_cmp(const char *a, size_t alen, const char *b, size_t blen);
extern int touch_label_cmp(const TouchLabel *a, const TouchLabel *b);
extern bool touch_label_same_pair(const TouchLabel *a, const TouchLabel *b);
extern bool label_part_scan(TextScan *s, char *buf, uint8 *len);
extern void label_part_print(StringInfo out, const char *part, size_t len);
extern bool touch_label_scan(TextScan *s, LabelText *text, TouchLabel *label);
extern void touch_label_print(StringInfo out, const TouchLabel *label);

/* decimal.c */
extern const int64 decimal_power[DECIMAL_DIGITS_MAX + 1];
extern void decimal_normalise(Decimal *d);
extern int decimal_cmp(Decimal a, Decimal b);
extern bool decimal_from_digits(Decimal *d, int64 mantissa, int digits, int64 exponent);
extern bool decimal_scan(TextScan *s, Decimal *d);
extern void decimal_print(StringInfo out, Decimal d);

/* isotime.c */
extern bool isotime_scan(TextScan *s, int64 *time);
extern void isotime_print(StringInfo out, int64 time);

/* touch_text.c */
extern bool touch_scan(TextScan *s, Touch *t, LabelText *text, TouchLabel *label);
extern void touch_print(StringInfo out, const Touch *t, const TouchLabel *label);

#endif /* PGJ_TOUCH_H */
