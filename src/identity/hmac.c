/*
 * hmac.c
 *		HMAC-SHA-256 (RFC 2104, FIPS 180-4), by the server's own implementation,
 *		which is OpenSSL's where the server is built with it: no other extension
 *		is needed for what must be recognised without being kept, or be signed.
 */
#include "postgres.h"

#include "common/hmac.h"
#include "common/sha2.h"
#include "compat.h"
#include "fmgr.h"


PG_FUNCTION_INFO_V1(journey_hmac);

Datum
journey_hmac(PG_FUNCTION_ARGS)
{
	bytea *message = PG_GETARG_BYTEA_PP(0);
	bytea *key = PG_GETARG_BYTEA_PP(1);
	bytea *result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_hmac_ctx *ctx;

	if (VARSIZE_ANY_EXHDR(key) == 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the key of an HMAC must not be empty"));
	SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	ctx = pg_hmac_create(PG_SHA256);
	if (ctx == NULL || pg_hmac_init(ctx, (uint8 *) VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)) < 0 ||
		pg_hmac_update(ctx, (uint8 *) VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message)) < 0 ||
		pg_hmac_final(ctx, (uint8 *) VARDATA(result), PG_SHA256_DIGEST_LENGTH) < 0)
	{
		const char *why = pg_hmac_error(ctx);

		pg_hmac_free(ctx);
		ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute an HMAC: %s", why));
	}
	pg_hmac_free(ctx);
	PG_RETURN_BYTEA_P(result);
}
